"""Two operations at once: in any order, no session stays open that should be closed."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from portal.access.revocation import RevocationReason
from portal.access.sign_ins import SignIn
from portal.contract import Active, Inactive
from portal.settings import Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import NOW, an_app
from tests.portal.store_deployment import Deployment, a_deployment

ROUNDS = 12


@pytest.fixture
def deployments(database_url: Secret, tmp_path: Path) -> Iterator[list[Deployment]]:
    """Two processes' worth of stores over one database."""
    made = [a_deployment(Database(database_url), tmp_path) for _ in range(2)]
    yield made
    for deployment in made:
        deployment.database.close()


def redeeming(deployment: Deployment, token: str) -> Callable[[], object]:
    return lambda: deployment.app_sessions.redeem(token, app=an_app(), now=NOW)


def revoking(deployment: Deployment, begun: SignIn) -> Callable[[], object]:
    return partial(deployment.sign_ins.revoke, begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW)


def together(*tasks: Callable[[], object]) -> list[object]:
    """Run *tasks* in threads that start at the same moment; return what each returned."""
    barrier = threading.Barrier(len(tasks))
    answers: list[object] = [None] * len(tasks)

    def run(place: int, task: Callable[[], object]) -> None:
        barrier.wait()
        answers[place] = task()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_two_that_redeem_one_ticket_one_opens_and_neither_keeps_a_session(deployments: list[Deployment]) -> None:
    one, other = deployments
    for _ in range(ROUNDS):
        token = one.ticket(one.sign_in())
        answers = together(redeeming(one, token), redeeming(other, token))
        opened = [answer for answer in answers if isinstance(answer, Active)]
        refused = [answer for answer in answers if isinstance(answer, Inactive)]

        assert (len(opened), [answer.code for answer in refused]) == (1, ["already-redeemed"])
        assert not one.app_sessions.renew(opened[0].session, app=an_app(), now=NOW)
        assert opened[0].session in {row["session"] for row in one.rows(tables.outbox)}


def test_a_redemption_during_a_sign_out_leaves_nothing_open(deployments: list[Deployment]) -> None:
    one, other = deployments
    for _ in range(ROUNDS):
        begun = one.sign_in()
        token = one.ticket(begun)
        known = one.notified()
        answer, _ = together(redeeming(one, token), revoking(other, begun))
        (session,) = one.notified() - known
        if isinstance(answer, Active):  # it came first: then its session ended with the sign-in; its app is notified
            assert session == answer.session
            assert one.app_sessions.renew(answer.session, app=an_app(), now=NOW) == Inactive(code="signed-out")
        else:
            assert answer == Inactive(code="signed-out")


def test_two_revocations_of_one_sign_in_notify_once(deployments: list[Deployment]) -> None:
    one, other = deployments
    for number in range(ROUNDS):
        begun = one.sign_in()
        one.open(begun)
        together(revoking(one, begun), revoking(other, begun))

        assert len(one.rows(tables.outbox)) == number + 1


def test_everything_at_once_neither_deadlocks_nor_leaves_a_session_open(deployments: list[Deployment]) -> None:
    """
    Opening, renewing, looking and ending in one sign-in from eight threads: nothing deadlocks, nothing stays open.
    """
    one, other = deployments
    begun = one.sign_in()
    sids = [one.open(begun) for _ in range(3)]
    late = NOW + 120

    def open_one() -> object:
        return one.app_sessions.redeem(one.ticket(begun, now=late), app=an_app(), now=late)

    def renew_one() -> object:
        return other.app_sessions.renew(sids[0], app=an_app(), now=late)

    def look() -> object:
        return other.sign_ins.find(begun.id, now=late)

    def end() -> None:
        one.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=late)

    together(open_one, open_one, renew_one, look, renew_one, look, end, open_one)

    assert one.sign_ins.find(begun.id, now=late) is None
    for row in one.rows(tables.app_sessions):
        assert not other.app_sessions.renew(row["id"], app=an_app(), now=late)
        assert row["redeemed_at"] is None or row["ended_at"] is not None
