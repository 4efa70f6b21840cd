"""A worker that starts with another configuration ends exactly the app sessions that it does not allow any more."""

import threading
from pathlib import Path
from typing import Any

import pytest

from portal.access.outbox import Outbox
from portal.access.revocation import RevocationReason
from portal.contract import Inactive
from portal.errors import StoreUnavailable
from portal.rules.catalogue import EVERYONE, Catalogue
from portal.rules.identity import Affiliation
from portal.rules.policy import RoleRule
from portal.settings import HOUR, Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import NOW, RULES, an_app, an_identity
from tests.portal.access.test_outbox import until
from tests.portal.store_deployment import Deployment, UnreachableApps, a_deployment, impatient

FORECAST = an_app()
REPORTS = an_app(slug="reports", open_to=frozenset({EVERYONE}))
CONSOLE = an_app(slug="console", open_to=frozenset({"admin"}))
APPS = Catalogue((FORECAST, REPORTS, CONSOLE))
ANA = an_identity()
ADA = an_identity(
    subject="ada",
    affiliations=(Affiliation(tenant="acme", groups=frozenset({"AI-Analysts"}), roles=frozenset({"Tenant Admin"})),),
)
OPENED = {"ana: forecast", "ana: reports", "ada: forecast", "ada: reports", "ada: console"}
LATER = NOW + 10


@pytest.fixture
def deployment(database: Database, tmp_path: Path) -> Deployment:
    return a_deployment(database, tmp_path, catalogue=APPS)


@pytest.fixture
def sessions(deployment: Deployment) -> dict[str, str]:
    """What Ana and Ada have open, and the app sessions."""
    ana, ada = deployment.sign_in(ANA), deployment.sign_in(ADA)
    return {
        **{f"ana: {app.slug}": deployment.open(ana, app=app) for app in (FORECAST, REPORTS)},
        **{f"ada: {app.slug}": deployment.open(ada, app=app) for app in (FORECAST, REPORTS, CONSOLE)},
    }


def reloaded(database: Database, folder: Path, **changes: Any) -> Deployment:
    """Return the stores of a worker that has just started with *changes* to the configuration."""
    deployment = a_deployment(database, folder, **{"catalogue": APPS, **changes})
    deployment.app_sessions.revoke_all_denied(LATER)
    return deployment


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        ({}, set()),
        ({"title": "Another title"}, set()),
        ({"catalogue": Catalogue((an_app(open_to=frozenset({"admin"})), REPORTS, CONSOLE))}, {"ana: forecast"}),
        (
            {"catalogue": Catalogue((an_app(open_to=frozenset()), REPORTS, CONSOLE))},
            {"ana: forecast", "ada: forecast"},
        ),
        ({"catalogue": Catalogue((REPORTS, CONSOLE))}, {"ana: forecast", "ada: forecast"}),
        ({"catalogue": Catalogue()}, OPENED),
        (
            {"catalogue": Catalogue((an_app(tenants=frozenset({"beta"})), REPORTS, CONSOLE))},
            {"ana: forecast", "ada: forecast"},
        ),
        ({"roles": RULES[1:]}, {"ada: console"}),
        ({"roles": RULES[:1]}, {"ana: forecast", "ada: forecast"}),
        (
            {"roles": (RULES[0], RoleRule(role="analyst", groups=frozenset({"Other"})))},
            {"ana: forecast", "ada: forecast"},
        ),
        ({"roles": ()}, {"ana: forecast", "ada: forecast", "ada: console"}),
    ],
    ids=[
        "nothing",
        "something else",
        "closed to some",
        "closed to all",
        "removed",
        "all removed",
        "another tenant's",
        "without a role's rule",
        "without another's",
        "a rule with another group",
        "without any rule",
    ],
)
def test_exactly_what_is_not_allowed_any_more_ends(
    database: Database, tmp_path: Path, sessions: dict[str, str], changes: dict[str, Any], ended: set[str]
) -> None:
    worker = reloaded(database, tmp_path, **changes)
    rows = {row["id"]: row for row in worker.rows(tables.app_sessions)}

    assert {name for name, sid in sessions.items() if rows[sid]["ended_at"] is not None} == ended
    assert {rows[sessions[name]]["end_reason"] for name in ended} <= {"denied"}
    assert worker.notified() == {sessions[name] for name in ended}
    assert all(row["ended_at"] is None for row in worker.rows(tables.sign_ins))
    assert sum(event == "app-denied" for event, _ in worker.events()) == len(ended)


def test_what_was_ended_stays_so_when_the_configuration_comes_back(
    database: Database, tmp_path: Path, sessions: dict[str, str]
) -> None:
    reloaded(database, tmp_path, roles=())
    worker = reloaded(database, tmp_path)
    renew = worker.app_sessions.renew

    assert renew(sessions["ana: forecast"], app=FORECAST, now=LATER) == Inactive(code="denied")
    assert renew(sessions["ana: reports"], app=REPORTS, now=LATER)


def test_a_removed_app_and_a_closed_one_are_both_in_the_audit_once_for_each_person(
    database: Database, tmp_path: Path, deployment: Deployment, sessions: dict[str, str]
) -> None:
    del sessions
    (begun,) = [one for one in deployment.sign_ins.of_identity(ANA.id, now=NOW) if one.identity == ANA]
    for _ in range(3):
        deployment.open(begun, app=REPORTS)
    worker = reloaded(database, tmp_path, catalogue=Catalogue((FORECAST, an_app(slug="console"))), roles=RULES[1:])

    denied = [detail for event, detail in worker.events() if event == "app-denied"]
    assert denied.count("unknown-app") == 2
    assert len(denied) == 2, "the console is open to analysts now"
    assert len(worker.notified()) == 5


def test_a_ticket_under_way_to_a_closed_app_opens_nothing(
    database: Database, tmp_path: Path, deployment: Deployment
) -> None:
    token = deployment.ticket(deployment.sign_in(ANA), now=LATER)
    worker = reloaded(database, tmp_path, roles=())

    assert worker.app_sessions.redeem(token, app=FORECAST, now=LATER) == Inactive(code="denied")
    # Nor at a worker that still has the configuration before.
    assert deployment.app_sessions.redeem(token, app=FORECAST, now=LATER) == Inactive(code="denied")


def test_what_has_ended_or_expired_already_is_left_as_it_is(
    database: Database, tmp_path: Path, deployment: Deployment
) -> None:
    expired = deployment.sign_in(ANA, now=NOW - 8 * HOUR)
    deployment.open(expired, now=NOW - 8 * HOUR)
    ended = deployment.sign_in(ANA)
    deployment.open(ended)
    deployment.sign_ins.revoke(ended.id, reason=RevocationReason.SIGNED_OUT, now=NOW)
    worker = reloaded(database, tmp_path, roles=())

    assert {row["end_reason"] for row in worker.rows(tables.app_sessions)} == {None, "signed-out"}
    assert "app-denied" not in {event for event, _ in worker.events()}


def test_many_are_read_in_pages_and_each_is_seen(database: Database, tmp_path: Path, deployment: Deployment) -> None:
    """
    Sign-ins with one, five and several hundred app sessions, so that pages end within a sign-in and between two.
    """
    closed, kept = set[str](), set[str]()
    for number, count in enumerate([1, 5, 450, 5, 1, 199, 1]):
        begun = deployment.sign_in(an_identity(subject=str(number)))
        for at in range(count):
            app = (FORECAST, REPORTS)[at % 2]
            deployment.ticket(begun, app=app, now=LATER)
    for row in deployment.rows(tables.app_sessions):
        (closed if row["app"] == "forecast" else kept).add(row["id"])
    worker = reloaded(database, tmp_path, roles=())

    rows = worker.rows(tables.app_sessions)
    assert {row["id"] for row in rows if row["ended_at"] is not None} == closed == worker.notified()
    assert {row["id"] for row in rows if row["ended_at"] is None} == kept


def test_a_database_that_is_locked_is_an_error_and_the_next_attempt_ends_the_rest(
    database: Database, database_url: Secret, tmp_path: Path, deployment: Deployment, sessions: dict[str, str]
) -> None:
    hurried_database = Database(impatient(database_url))
    hurried = a_deployment(hurried_database, tmp_path, catalogue=APPS, roles=())
    (begun,) = deployment.sign_ins.of_identity(ANA.id, now=NOW)
    with deployment.database.write() as connection:
        assert deployment.sign_ins.lock(connection, begun.id) is not None
        with pytest.raises(StoreUnavailable):
            hurried.app_sessions.revoke_all_denied(LATER)
    hurried.app_sessions.revoke_all_denied(LATER)
    hurried_database.close()

    ended = {row["id"] for row in deployment.rows(tables.app_sessions) if row["end_reason"] == "denied"}
    assert ended == {sessions[one] for one in ("ana: forecast", "ada: forecast", "ada: console")}
    assert deployment.notified() == ended
    database.close()


@pytest.mark.parametrize("error", [StoreUnavailable("locked"), ValueError("an error of ours")])
def test_the_background_thread_tries_until_it_succeeds_and_does_its_other_work_meanwhile(
    deployment: Deployment, error: Exception
) -> None:
    times: list[int] = []
    minutes = threading.Event()

    def first(now: int) -> None:
        times.append(now)
        if not minutes.is_set():
            raise error

    outbox = Outbox(
        deployment.database,
        deployment.keys,
        UnreachableApps(APPS, issuer="https://portal.example.com"),
        audit_retention=deployment.settings.audit_retention,
        clock=lambda: NOW,
        each_minute=lambda _now: minutes.set(),
    )
    outbox.start(first=first)
    try:
        assert minutes.wait(60)
        until(lambda: len(times) >= 2)
    finally:
        outbox.stop()
    assert len(times) == 2
