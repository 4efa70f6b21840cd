"""Refreshes: one at a time, no token lost, and what follows from each answer of the provider."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from portal.access.refreshing import (
    AT_ONCE,
    KEEP_FOR,
    LEASE,
    RETRY,
    RETRY_LOST,
    Refresher,
    Verdict,
    roles_changed,
    verdict_on,
)
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import TOUCH, SignIn, due_after
from portal.contract import Active, Inactive
from portal.errors import (
    AnswerLost,
    CallbackRejected,
    ClaimsTooLarge,
    NotAdmitted,
    PortalError,
    ProviderMisconfigured,
    ProviderNotBelieved,
    ProviderRefused,
    ProviderUnavailable,
    ProxyUnavailable,
    RefreshRefused,
    StoreUnavailable,
)
from portal.rules.identity import Affiliation, Identity
from portal.settings import HOUR, Admission, ProviderSpec, Secret
from portal.sign_in.admission import AdmissionRefusal, Arrival, Hook
from portal.sign_in.hook.invocation import LIMIT
from portal.sign_in.providers.base import CompletedSignIn, Provider, Renewal
from portal.sign_in.providers.id_token import IdTokenProblem, IdTokenRejected
from portal.sign_in.providers.transport import DEFAULT_LIMITS
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sqlite_files import BUSY_TIMEOUT
from tests.builders import ISSUER, NOW, RULES, a_provider, an_app, an_identity
from tests.portal.access.test_outbox import until
from tests.portal.store_deployment import REFRESH_TOKEN, Deployment, a_deployment, impatient
from tests.provider.scripted import ScriptedProvider

INTERVAL = HOUR // 4
DUE = NOW + INTERVAL
NEW_TOKEN = Renewal("refresh", "the-token-after-it")
NO_ROLES = an_identity(affiliations=(Affiliation(tenant="acme", tenant_name="Acme"),))
ADMIN = an_identity(affiliations=(Affiliation(tenant="acme", roles=frozenset({"Tenant Admin"})),))
OF_TWO = an_identity(
    affiliations=tuple(Affiliation(tenant=one, groups=frozenset({"AI-Analysts"})) for one in ("acme", "beta"))
)
OF_BETA = replace(OF_TWO, affiliations=OF_TWO.affiliations[1:])


class Crash(Exception):
    """The worker dies."""


class RotatingProvider(ScriptedProvider):
    """Replaces the token if :attr:`renewal` is set; calls :attr:`asked` before the new one is kept, and then more."""

    def __init__(self, spec: ProviderSpec | None = None) -> None:
        super().__init__(spec)
        self.asked: Callable[[], object] = lambda: None
        self.kept: Callable[[], object] = lambda: None

    def refresh(self, renewal: Renewal, *, keep: Callable[[Renewal], None], **others: Any) -> CompletedSignIn:
        def keep_between(new: Renewal) -> None:
            self.asked()
            keep(new)

        if self.renewal is None:
            self.asked()
        done = super().refresh(renewal, keep=keep_between, **others)
        self.kept()
        return done


def dies() -> None:
    raise Crash


@dataclass(slots=True)
class Worker:
    """One worker's refresher, with a provider and a clock of its own."""

    deployment: Deployment
    refresher: Refresher
    provider: RotatingProvider
    now: int = DUE
    slept: list[float] = field(default_factory=list)
    sleep: Callable[[], object] = lambda: None

    def rest(self, seconds: float) -> None:
        """Sleep, without taking time."""
        self.slept.append(seconds)
        self.sleep()

    def refresh(self, sign_in: SignIn) -> None:
        self.refresher.refresh(sign_in.id)

    def row(self) -> dict[str, Any]:
        (row,) = self.deployment.rows(tables.sign_ins)
        return row

    def token(self) -> Renewal | None:
        """The stored token."""
        with self.deployment.database.read() as connection:
            return self.deployment.sign_ins.renewal_in(connection.execute(tables.sign_ins.select()).one())

    def living(self, sign_in: SignIn) -> SignIn | None:
        return self.deployment.sign_ins.peek(sign_in.id, now=self.now)


def a_worker(
    database: Database,
    folder: Path,
    *,
    hook: Hook | None = None,
    more: Mapping[str, Provider] | None = None,
    is_configured: bool = True,
    **changes: Any,
) -> Worker:
    deployment, provider = a_deployment(database, folder, **changes), RotatingProvider()
    mine: Mapping[str, Provider] = {"company": provider} if is_configured else {}
    refresher = Refresher(
        database,
        sign_ins=deployment.sign_ins,
        app_sessions=deployment.app_sessions,
        audit=deployment.audit,
        outbox=deployment.outbox,
        providers={**mine, **(more or {})},
        hook=hook,
        settings=deployment.settings,
        clock=lambda: made.now,
        monotonic=lambda: sum(made.slept),
        sleep=lambda seconds: made.rest(seconds),  # noqa: PLW0108 - it is made below
    )
    made = Worker(deployment, refresher, provider)
    return made


@pytest.fixture
def worker(database: Database, tmp_path: Path) -> Worker:
    return a_worker(database, tmp_path)


@pytest.fixture
def other(database: Database, tmp_path: Path) -> Worker:
    """A second worker over the same database."""
    return a_worker(database, tmp_path)


def in_use(worker: Worker, identity: Identity | None = None, *, tenant: str = "acme") -> SignIn:
    """A sign-in that was used a minute after it began, and is due at :data:`DUE` at the latest."""
    begun = worker.deployment.sign_in(identity, tenant=tenant, renewal=REFRESH_TOKEN)
    assert worker.deployment.sign_ins.find(begun.id, now=NOW + TOUCH) is not None
    return begun


class TestVerdict:
    @pytest.mark.parametrize("is_doubtful", [False, True])
    @pytest.mark.parametrize(
        "error",
        [
            AnswerLost("lost"),
            CallbackRejected("userinfo is about another person"),
            IdTokenRejected(IdTokenProblem.BAD_SIGNATURE),
            NotAdmitted(AdmissionRefusal.HOOK_FAILED),
            ProviderMisconfigured("invalid_client"),
            ProviderNotBelieved("certificate"),
            ProviderRefused("no"),
            ProviderUnavailable("status 500"),
            ProxyUnavailable("407"),
            StoreUnavailable("locked"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_what_says_nothing_about_the_person_is_tried_again(self, error: PortalError, *, is_doubtful: bool) -> None:
        assert verdict_on(error, is_doubtful=is_doubtful) is Verdict.RETRY

    @pytest.mark.parametrize("is_doubtful", [False, True])
    @pytest.mark.parametrize(
        "error",
        [
            ClaimsTooLarge("groups"),
            NotAdmitted(),
            *(NotAdmitted(one) for one in AdmissionRefusal if one is not AdmissionRefusal.HOOK_FAILED),
        ],
        ids=repr,
    )
    def test_whoever_would_not_be_admitted_now_is_signed_out(self, error: PortalError, *, is_doubtful: bool) -> None:
        assert verdict_on(error, is_doubtful=is_doubtful) is Verdict.REVOKE

    def test_a_refusal_ends_the_sign_in_unless_the_token_may_be_used_up(self) -> None:
        assert verdict_on(RefreshRefused("invalid_grant"), is_doubtful=False) is Verdict.REVOKE
        assert verdict_on(RefreshRefused("invalid_grant"), is_doubtful=True) is Verdict.FORGET


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (an_identity(), an_identity(), ((), ())),
        (an_identity(), NO_ROLES, ((), ("analyst",))),
        (NO_ROLES, an_identity(), (("analyst",), ())),
        (an_identity(), ADMIN, (("admin",), ("analyst",))),
        (OF_TWO, OF_BETA, ((), ("analyst",))),
        (OF_BETA, OF_BETA, ((), ())),
        (an_identity(), an_identity(name="Ana Other"), ((), ())),
    ],
)
def test_the_audit_says_how_the_roles_in_the_tenant_changed(
    before: Identity, after: Identity, changes: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    assert roles_changed(before, after, tenant="acme", rules=RULES) == changes


class TestSpread:
    def test_a_thousand_sign_ins_of_one_moment_are_not_due_at_one_moment(self) -> None:
        due = [due_after(f"sign-in-{number}", interval=900, now=NOW) for number in range(1000)]

        assert min(due) >= NOW + 720
        assert max(due) <= NOW + 900
        assert max(Counter(due).values()) <= 20
        assert len(set(due)) >= 170

    def test_each_has_its_own_place_and_another_one_each_time(self) -> None:
        due = {due_after("sign-in", interval=900, now=NOW + 900 * number) - 900 * number for number in range(10)}

        assert due_after("sign-in", interval=900, now=NOW) == due_after("sign-in", interval=900, now=NOW)
        assert len(due) > 5

    @pytest.mark.parametrize("interval", [1, 2, 60])
    def test_a_short_interval_is_not_exceeded(self, interval: int) -> None:
        due = [due_after(str(number), interval=interval, now=NOW) for number in range(100)]

        assert NOW < min(due) <= max(due) <= NOW + interval


class TestDue:
    def test_a_sign_in_in_use_is_refreshed_once_in_an_interval(self, worker: Worker) -> None:
        begun = in_use(worker)
        assert worker.refresher.due(NOW + 719) == {}
        assert worker.refresher.due(DUE) == {begun.id: "company"}
        worker.refresh(begun)
        worker.refresh(begun)

        assert worker.provider.refreshed == [REFRESH_TOKEN]
        row = worker.row()
        assert (row["checked_at"], row["refresh_lease_until"]) == (DUE, None)
        assert DUE + 720 <= row["refresh_due_at"] <= DUE + 900
        assert worker.refresher.due(DUE) == {}

    def test_one_that_is_not_due_is_left_alone(self, worker: Worker) -> None:
        begun = in_use(worker)
        worker.now = NOW + 719
        worker.refresh(begun)
        worker.refresher.refresh("unknown")

        assert worker.provider.refreshed == []

    def test_one_that_is_not_used_is_not_refreshed_until_it_is(self, worker: Worker) -> None:
        begun = worker.deployment.sign_in(renewal=REFRESH_TOKEN)
        worker.refresh(begun)
        assert worker.provider.refreshed == []
        assert worker.row()["refresh_due_at"] is None

        worker.now = NOW + 2 * HOUR
        assert worker.refresher.due(worker.now) == {}
        worker.deployment.sign_ins.find(begun.id, now=worker.now)
        assert worker.refresher.due(worker.now) == {begun.id: "company"}
        worker.refresh(begun)
        assert worker.provider.refreshed == [REFRESH_TOKEN]

    def test_using_an_app_is_use(self, worker: Worker) -> None:
        begun = worker.deployment.sign_in(renewal=REFRESH_TOKEN)
        sid = worker.deployment.open(begun)
        worker.refresh(begun)
        worker.deployment.app_sessions.renew(sid, app=an_app(), now=DUE, in_use=False)
        assert worker.refresher.due(DUE) == {}
        worker.deployment.app_sessions.renew(sid, app=an_app(), now=DUE)

        assert worker.refresher.due(DUE) == {begun.id: "company"}

    def test_one_without_a_token_is_never_due(self, worker: Worker) -> None:
        begun = worker.deployment.sign_in()
        worker.deployment.sign_ins.find(begun.id, now=NOW + HOUR)

        assert worker.refresher.due(NOW + 8 * HOUR) == {}

    def test_one_that_has_ended_or_expired_is_not_refreshed(self, worker: Worker) -> None:
        ended, expired = in_use(worker), in_use(worker)
        worker.deployment.sign_ins.revoke(ended.id, reason=RevocationReason.SIGNED_OUT, now=NOW + TOUCH)
        worker.now = NOW + TOUCH + 8 * HOUR
        assert worker.refresher.due(worker.now) == {expired.id: "company"}
        worker.refresh(ended)
        worker.refresh(expired)

        assert worker.provider.refreshed == []

    def test_a_busy_provider_does_not_hide_the_sign_ins_of_others(self, worker: Worker) -> None:
        for number in range(70):
            in_use(worker, an_identity(subject=str(number)))
        partner = in_use(worker, an_identity(provider="partner", issuer="https://partner.example.com"))
        with worker.deployment.database.write() as connection:
            connection.execute(
                tables.sign_ins.update().where(tables.sign_ins.c.id == partner.id).values(refresh_due_at=DUE)
            )

        assert partner.id not in worker.refresher.due(DUE)
        assert worker.refresher.due(DUE, without={"company"}) == {partner.id: "partner"}


class TestLease:
    def test_of_two_workers_one_calls_the_provider(self, worker: Worker, other: Worker) -> None:
        begun = in_use(worker)
        seen: list[dict[str, str]] = []

        def try_too() -> None:
            other.refresh(begun)
            seen.append(other.refresher.due(DUE))

        worker.provider.asked = try_too
        worker.refresh(begun)

        assert (len(worker.provider.refreshed), other.provider.refreshed) == (1, [])
        assert seen == [{}]

    def test_at_the_same_moment_too(self, worker: Worker, other: Worker) -> None:
        for number in range(12):
            begun = in_use(worker, an_identity(subject=str(number)))
            barrier = threading.Barrier(2)

            def run(one: Worker, begun: SignIn = begun, barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                one.refresh(begun)

            threads = [threading.Thread(target=run, args=(one,)) for one in (worker, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(worker.provider.refreshed) + len(other.provider.refreshed) == number + 1

    def test_that_of_a_worker_that_died_ends_and_is_taken_over(self, worker: Worker, other: Worker) -> None:
        begun = in_use(worker)
        worker.provider.asked = dies
        with pytest.raises(Crash):
            worker.refresh(begun)
        other.now = DUE + LEASE - 1
        assert other.refresher.due(other.now) == {}
        other.refresh(begun)
        assert other.provider.refreshed == []

        other.now = DUE + LEASE
        assert other.refresher.due(other.now) == {begun.id: "company"}
        other.refresh(begun)
        assert other.provider.refreshed == [REFRESH_TOKEN]
        assert other.row()["refresh_lease_until"] is None

    def test_a_worker_that_comes_back_late_changes_nothing(self, worker: Worker, other: Worker) -> None:
        """
        Its machine slept: another worker has refreshed the sign-in since, with other claims and another token.
        """
        begun = in_use(worker)
        worker.provider.renewal, other.provider.renewal = Renewal("refresh", "the-late-one"), NEW_TOKEN
        worker.provider.identity, other.provider.identity = NO_ROLES, ADMIN

        def take_over() -> None:
            worker.now = other.now = DUE + LEASE
            other.refresh(begun)

        worker.provider.asked = take_over
        worker.refresh(begun)

        living = worker.living(begun)
        assert living is not None
        assert living.identity == ADMIN
        assert worker.token() == NEW_TOKEN

    @pytest.mark.parametrize("error", [RefreshRefused("used up"), ProviderUnavailable("status 500")])
    def test_nor_does_its_failure(self, worker: Worker, other: Worker, error: PortalError) -> None:
        begun = in_use(worker)
        other.provider.renewal = NEW_TOKEN

        def take_over() -> None:
            worker.now = other.now = DUE + LEASE
            other.refresh(begun)
            raise error

        worker.provider.asked = take_over
        worker.refresh(begun)

        assert worker.living(begun) is not None
        assert worker.token() == NEW_TOKEN
        assert worker.row()["refresh_due_at"] >= DUE + LEASE + 720

    def test_it_is_longer_than_all_that_a_refresh_may_wait_for(self) -> None:
        provider = DEFAULT_LIMITS.queue + DEFAULT_LIMITS.total

        assert provider + LIMIT + KEEP_FOR + 3 * BUSY_TIMEOUT < LEASE

    def test_people_can_sign_in_while_a_provider_hangs_in_refreshes(self) -> None:
        assert DEFAULT_LIMITS.waiting / 2 >= AT_ONCE


class TestReplacedToken:
    def test_it_is_stored_and_used_the_next_time(self, worker: Worker) -> None:
        begun = in_use(worker)
        worker.provider.renewal = NEW_TOKEN
        worker.refresh(begun)
        worker.now = DUE + INTERVAL
        worker.deployment.sign_ins.find(begun.id, now=worker.now)
        worker.refresh(begun)

        assert worker.provider.refreshed == [REFRESH_TOKEN, NEW_TOKEN]

    def test_it_survives_a_worker_that_dies_right_after(self, worker: Worker, other: Worker) -> None:
        begun = in_use(worker)
        worker.provider.renewal, worker.provider.kept = NEW_TOKEN, dies
        with pytest.raises(Crash):
            worker.refresh(begun)
        assert worker.token() == NEW_TOKEN

        other.now = DUE + LEASE
        other.refresh(begun)
        assert other.provider.refreshed == [NEW_TOKEN]
        assert other.living(begun) is not None

    def test_a_worker_that_dies_just_before_puts_no_one_out(self, worker: Worker, other: Worker) -> None:
        """
        The provider has replaced the token and the new one is lost, so that it refuses the former: about the person
        that says nothing.  The sign-in lives as long as one that cannot be refreshed.
        """
        begun = in_use(worker)
        worker.provider.renewal, worker.provider.asked = NEW_TOKEN, dies
        with pytest.raises(Crash):
            worker.refresh(begun)
        assert worker.token() == REFRESH_TOKEN

        other.now = DUE + LEASE
        other.provider.fails_with = RefreshRefused("invalid_grant")
        other.refresh(begun)
        living, row = other.living(begun), other.row()
        assert living is not None
        assert living.expires_at == NOW + 8 * HOUR
        assert not living.is_refreshed
        assert (row["renewal"], row["refresh_due_at"], row["refresh_lease_until"]) == (None, None, None)
        assert other.deployment.sign_ins.find(begun.id, now=NOW + 8 * HOUR) is None

    def test_that_the_token_may_be_used_up_is_not_forgotten_while_the_sign_in_is_not_used(self, worker: Worker) -> None:
        begun = in_use(worker)
        worker.provider.asked = dies
        with pytest.raises(Crash):
            worker.refresh(begun)
        with worker.deployment.database.write() as connection:
            connection.execute(tables.sign_ins.update().values(checked_at=NOW + TOUCH))
        worker.now = DUE + LEASE
        worker.refresh(begun)
        assert worker.row()["refresh_due_at"] is None

        worker.now = NOW + 2 * HOUR
        worker.deployment.sign_ins.find(begun.id, now=worker.now)
        worker.provider.asked, worker.provider.fails_with = (lambda: None), RefreshRefused("invalid_grant")
        worker.refresh(begun)
        assert worker.living(begun) is not None

    def test_while_the_database_is_locked_it_is_kept_for_later(
        self, worker: Worker, database_url: Secret, tmp_path: Path
    ) -> None:
        begun = in_use(worker)
        database = Database(impatient(database_url))
        hurried = a_worker(database, tmp_path)
        hurried.provider.renewal = NEW_TOKEN
        with ExitStack() as lock:

            def hold() -> None:
                connection = lock.enter_context(worker.deployment.database.write())
                assert worker.deployment.sign_ins.lock(connection, begun.id) is not None

            hurried.provider.asked, hurried.sleep = hold, lock.close
            hurried.refresh(begun)

        assert hurried.slept == [0.5]
        assert worker.token() == NEW_TOKEN
        assert worker.row()["checked_at"] == DUE
        database.close()

    def test_a_database_that_stays_locked_is_given_up_and_the_token_may_be_used_up_then(
        self, worker: Worker, other: Worker, database_url: Secret, tmp_path: Path
    ) -> None:
        begun = in_use(worker)
        database = Database(impatient(database_url))
        hurried = a_worker(database, tmp_path)
        hurried.provider.renewal = NEW_TOKEN
        hurried.sleep = lambda: hurried.slept.append(9.0)
        with ExitStack() as lock:

            def hold() -> None:
                connection = lock.enter_context(worker.deployment.database.write())
                assert worker.deployment.sign_ins.lock(connection, begun.id) is not None

            hurried.provider.asked = hold
            with pytest.raises(StoreUnavailable):
                hurried.refresh(begun)
        database.close()
        assert KEEP_FOR < sum(hurried.slept) < LEASE
        assert worker.token() == REFRESH_TOKEN

        other.now = DUE + LEASE
        other.provider.fails_with = RefreshRefused("invalid_grant")
        other.refresh(begun)
        assert other.living(begun) is not None

    def test_once_it_is_stored_a_refusal_counts_again(self, worker: Worker, other: Worker) -> None:
        begun = in_use(worker)
        worker.provider.asked = dies
        with pytest.raises(Crash):
            worker.refresh(begun)
        other.now = DUE + LEASE
        other.provider.renewal, other.provider.kept = NEW_TOKEN, unavailable
        other.refresh(begun)
        assert other.row()["refresh_lease_until"] is None

        other.now += RETRY
        other.provider.fails_with = RefreshRefused("invalid_grant")
        other.refresh(begun)
        assert other.row()["end_reason"] == "refresh-refused"


def unavailable() -> None:
    raise ProviderUnavailable("userinfo: status 500")


class TestRolesFollow:
    def test_an_app_session_whose_role_is_gone_ends_and_its_app_is_notified(self, worker: Worker) -> None:
        begun = in_use(worker)
        sid = worker.deployment.open(begun)
        worker.provider.identity = NO_ROLES
        worker.refresh(begun)

        assert worker.deployment.app_sessions.renew(sid, app=an_app(), now=DUE) == Inactive(code="denied")
        assert worker.deployment.notified() == {sid}
        living = worker.living(begun)
        assert living is not None
        assert living.identity == NO_ROLES
        assert [event for event, _ in worker.deployment.events()[-2:]] == ["app-denied", "roles-changed"]
        assert worker.deployment.events()[-1] == ("roles-changed", "-analyst")

    def test_one_that_keeps_its_role_goes_on_and_its_app_gets_the_new_roles(self, worker: Worker) -> None:
        begun = in_use(worker)
        sid = worker.deployment.open(begun)
        both = Affiliation(tenant="acme", groups=frozenset({"AI-Analysts"}), roles=frozenset({"Tenant Admin"}))
        worker.provider.identity = an_identity(affiliations=(both,))
        worker.refresh(begun)
        app = an_app(open_to=frozenset({"admin", "analyst"}))
        answer = worker.deployment.app_sessions.renew(sid, app=app, now=DUE)

        assert isinstance(answer, Active)
        assert answer.person.roles == {"admin", "analyst"}
        assert worker.deployment.notified() == set()
        assert worker.deployment.events()[-1] == ("roles-changed", "+admin")

    def test_tickets_have_the_new_roles(self, worker: Worker) -> None:
        begun = in_use(worker)
        worker.provider.identity = ADMIN
        worker.refresh(begun)
        living = worker.living(begun)
        assert living is not None
        answer = worker.deployment.app_sessions.redeem(
            worker.deployment.ticket(living, app=an_app(open_to=frozenset({"admin"})), now=DUE),
            app=an_app(open_to=frozenset({"admin"})),
            now=DUE,
        )

        assert isinstance(answer, Active)
        assert answer.person.roles == {"admin"}

    def test_a_ticket_under_way_does_not_bring_back_a_role_that_is_gone(self, worker: Worker) -> None:
        begun = in_use(worker)
        ticket = worker.deployment.ticket(begun, now=DUE)
        worker.provider.identity = NO_ROLES
        worker.refresh(begun)

        assert worker.deployment.app_sessions.redeem(ticket, app=an_app(), now=DUE) == Inactive(code="denied")

    def test_a_sign_in_leaves_a_tenant_that_is_gone(self, worker: Worker) -> None:
        begun = in_use(worker, OF_TWO)
        sid = worker.deployment.open(begun)
        worker.provider.identity = OF_BETA
        worker.refresh(begun)

        living = worker.living(begun)
        assert living is not None
        assert living.tenant == "beta"
        assert worker.deployment.notified() == {sid}
        assert worker.deployment.rows(tables.app_sessions)[0]["end_reason"] == "tenant-switched"
        assert worker.deployment.events()[-1] == ("tenant-switched", "from acme")

    def test_a_tenant_that_was_switched_meanwhile_stays(self, worker: Worker) -> None:
        begun = in_use(worker, OF_TWO)
        worker.provider.identity = OF_TWO
        worker.provider.asked = lambda: worker.deployment.sign_ins.switch_tenant(begun.id, tenant="beta", now=DUE)
        worker.refresh(begun)

        assert worker.row()["tenant"] == "beta"
        assert [event for event, _ in worker.deployment.events()].count("tenant-switched") == 1

    def test_what_did_not_change_is_not_recorded(self, worker: Worker) -> None:
        worker.refresh(in_use(worker))

        assert worker.deployment.events() == [("signed-in", "")]


class TestFinal:
    """What ends the sign-in, with its app sessions."""

    def ended_with(self, worker: Worker) -> str:
        begun = in_use(worker)
        sid = worker.deployment.open(begun)
        worker.refresh(begun)
        row = worker.row()
        assert row["ended_at"] == DUE
        assert (row["renewal"], row["refresh_due_at"], row["refresh_lease_until"]) == (None, None, None)
        assert worker.deployment.notified() == {sid}
        assert worker.deployment.app_sessions.renew(sid, app=an_app(), now=DUE) == Inactive(code=row["end_reason"])
        assert worker.deployment.events()[-1] == ("sign-in-ended", row["end_reason"])
        return str(row["end_reason"])

    def test_the_provider_refuses(self, worker: Worker) -> None:
        worker.provider.fails_with = RefreshRefused("invalid_grant")

        assert self.ended_with(worker) == "refresh-refused"

    def test_a_condition_is_not_met_any_more(self, worker: Worker) -> None:
        worker.provider.spec = a_provider(admission=Admission(groups=frozenset({"Staff"})))

        assert self.ended_with(worker) == "not-admitted"

    def test_the_hook_refuses(self, database: Database, tmp_path: Path) -> None:
        assert self.ended_with(a_worker(database, tmp_path, hook=lambda _arrival: None)) == "not-admitted"

    def test_the_claims_have_become_too_large(self, worker: Worker) -> None:
        worker.provider.fails_with = ClaimsTooLarge("groups")

        assert self.ended_with(worker) == "not-admitted"


class TestPassing:
    """What the sign-in survives."""

    @pytest.mark.parametrize("error", [ProviderUnavailable("away"), ProviderMisconfigured("invalid_client")])
    def test_a_provider_that_is_away_is_asked_again_after_a_pause(self, worker: Worker, error: PortalError) -> None:
        begun = in_use(worker)
        sid = worker.deployment.open(begun)
        worker.provider.fails_with = error
        worker.refresh(begun)
        row = worker.row()
        assert DUE + RETRY * 4 // 5 <= row["refresh_due_at"] <= DUE + RETRY
        assert (row["ended_at"], row["refresh_lease_until"], row["checked_at"]) == (None, None, NOW)
        assert worker.deployment.app_sessions.renew(sid, app=an_app(), now=DUE)

        worker.now, worker.provider.fails_with = DUE + HOUR, None
        worker.refresh(begun)
        assert worker.provider.refreshed == [REFRESH_TOKEN, REFRESH_TOKEN]
        assert worker.row()["checked_at"] == DUE + HOUR

    def test_after_a_lost_answer_the_token_is_tried_again_at_once_and_a_refusal_ends_nothing(
        self, worker: Worker
    ) -> None:
        begun = in_use(worker)
        worker.provider.fails_with = AnswerLost("no answer in time")
        worker.refresh(begun)
        assert worker.row()["refresh_due_at"] == DUE + RETRY_LOST
        worker.now = DUE + RETRY_LOST
        worker.refresh(begun)
        assert worker.row()["refresh_due_at"] >= worker.now + RETRY * 4 // 5

        worker.now += RETRY
        worker.provider.fails_with = ProviderUnavailable("away")
        worker.refresh(begun)
        worker.now += RETRY
        worker.provider.fails_with = RefreshRefused("invalid_grant")
        worker.refresh(begun)
        assert worker.living(begun) is not None
        assert worker.row()["renewal"] is None

    def test_an_answer_dispels_the_doubt(self, worker: Worker) -> None:
        begun = in_use(worker)
        worker.provider.fails_with = AnswerLost("no answer in time")
        worker.refresh(begun)
        worker.now, worker.provider.fails_with = DUE + RETRY_LOST, None
        worker.refresh(begun)
        worker.now = DUE + 2 * INTERVAL
        worker.deployment.sign_ins.find(begun.id, now=worker.now)
        worker.provider.fails_with = RefreshRefused("invalid_grant")
        worker.refresh(begun)

        assert worker.row()["end_reason"] == "refresh-refused"

    def test_a_hook_that_fails_changes_nothing(self, database: Database, tmp_path: Path) -> None:
        def fails(_arrival: Arrival) -> Identity:
            raise OSError("the directory is away")

        worker = a_worker(database, tmp_path, hook=fails)
        begun = in_use(worker)
        worker.provider.identity = ADMIN
        worker.refresh(begun)

        living = worker.living(begun)
        assert living is not None
        assert living.identity == an_identity()
        assert worker.row()["refresh_due_at"] <= DUE + RETRY

    def test_the_hook_gives_roles_as_at_a_sign_in(self, database: Database, tmp_path: Path) -> None:
        seen: list[Arrival] = []

        def gives(arrival: Arrival) -> Identity:
            seen.append(arrival)
            (one,) = arrival.identity.affiliations
            return replace(arrival.identity, affiliations=(replace(one, hook_roles=frozenset({"admin"})),))

        worker = a_worker(database, tmp_path, hook=gives)
        worker.refresh(in_use(worker))

        assert [one.access_token for one in seen] == ["access-token"]
        assert worker.deployment.events()[-1] == ("roles-changed", "+admin")

    def test_without_a_database_nothing_is_lost(self, worker: Worker, database_url: Secret, tmp_path: Path) -> None:
        begun = in_use(worker)
        database = Database(impatient(database_url))
        hurried = a_worker(database, tmp_path)
        with worker.deployment.database.write() as connection:
            assert worker.deployment.sign_ins.lock(connection, begun.id) is not None
            with pytest.raises(StoreUnavailable):
                hurried.refresh(begun)
        assert hurried.provider.refreshed == []

        hurried.refresh(begun)
        assert hurried.provider.refreshed == [REFRESH_TOKEN]
        database.close()


class TestSignedOutMeanwhile:
    @pytest.mark.parametrize("moment", ["asked", "kept"])
    @pytest.mark.parametrize("renewal", [None, NEW_TOKEN])
    def test_a_refresh_under_way_does_not_bring_the_sign_in_back(
        self, worker: Worker, moment: str, renewal: Renewal | None
    ) -> None:
        begun = in_use(worker)
        worker.provider.identity, worker.provider.renewal = ADMIN, renewal
        reason = RevocationReason.SIGNED_OUT
        setattr(worker.provider, moment, lambda: worker.deployment.sign_ins.revoke(begun.id, reason=reason, now=DUE))
        worker.refresh(begun)

        row = worker.row()
        assert worker.deployment.sign_ins.find(begun.id, now=DUE) is None
        assert (row["end_reason"], row["ended_at"]) == ("signed-out", DUE)
        assert (row["renewal"], row["refresh_due_at"], row["refresh_lease_until"]) == (None, None, None)
        assert row["checked_at"] == NOW
        assert worker.deployment.events()[-1] == ("signed-out", "")

    @pytest.mark.parametrize("error", [RefreshRefused("no"), ProviderUnavailable("away"), AnswerLost("lost")])
    def test_nor_does_a_failure_change_why_it_ended(self, worker: Worker, error: PortalError) -> None:
        begun = in_use(worker)
        worker.provider.fails_with = error
        worker.provider.asked = lambda: worker.deployment.sign_ins.revoke(
            begun.id, reason=RevocationReason.SIGNED_OUT, now=DUE
        )
        worker.refresh(begun)

        row = worker.row()
        assert (row["end_reason"], row["refresh_due_at"], row["refresh_lease_until"]) == ("signed-out", None, None)
        assert worker.deployment.events()[-1] == ("signed-out", "")


class TestSealed:
    def test_no_row_holds_a_token(self, worker: Worker) -> None:
        begun = in_use(worker)
        worker.deployment.open(begun)
        stored = str([worker.deployment.rows(table) for table in tables.METADATA.sorted_tables])
        assert begun.id in stored
        assert REFRESH_TOKEN.token not in stored
        worker.provider.renewal = NEW_TOKEN
        worker.refresh(begun)

        stored = str([worker.deployment.rows(table) for table in tables.METADATA.sorted_tables])
        assert worker.token() == NEW_TOKEN
        assert NEW_TOKEN.token not in stored
        assert worker.provider.id_token not in stored

    def test_no_log_names_one(self, worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
        begun = in_use(worker)
        worker.provider.renewal, worker.provider.kept = NEW_TOKEN, unavailable
        worker.refresh(begun)

        assert "refresh of a sign-in: retry: userinfo" in caplog.text
        assert REFRESH_TOKEN.token not in caplog.text
        assert NEW_TOKEN.token not in caplog.text
        assert begun.id not in caplog.text


class TestNotRefreshed:
    """A sign-in that cannot be refreshed any more lives as long as one that never could, counted from its claims."""

    def test_a_secret_key_that_is_lost(self, worker: Worker, database: Database, tmp_path: Path) -> None:
        begun = in_use(worker)
        rekeyed = a_worker(database, tmp_path, secret_keys=(Secret("z" * 43),))
        rekeyed.refresh(begun)
        assert rekeyed.provider.refreshed == []
        living = rekeyed.living(begun)
        assert living is not None
        assert living.expires_at == NOW + 8 * HOUR

        worker.deployment.sign_ins.find(begun.id, now=DUE + TOUCH)
        worker.now = DUE + TOUCH
        worker.refresh(begun)
        assert worker.provider.refreshed == [REFRESH_TOKEN], "the key was found again"

    def test_a_provider_that_is_not_configured_any_more(self, database: Database, tmp_path: Path) -> None:
        worker = a_worker(database, tmp_path, is_configured=False)
        begun = in_use(worker)
        worker.refresh(begun)

        assert worker.row()["refresh_due_at"] is None
        assert worker.row()["expires_at"] == NOW + 8 * HOUR

    def test_refreshing_is_turned_off(self, worker: Worker) -> None:
        begun = in_use(worker)
        worker.provider.spec = a_provider(refresh=False)
        worker.refresh(begun)

        assert worker.provider.refreshed == []
        assert worker.row()["expires_at"] == NOW + 8 * HOUR


class TestBackground:
    def test_what_is_due_is_refreshed_and_a_failure_does_not_stop_it(self, worker: Worker) -> None:
        for number in range(2):
            in_use(worker, an_identity(subject=str(number)))
        failures = iter([Crash])

        def fail_once() -> None:
            for failure in failures:
                raise failure

        worker.provider.asked = fail_once
        worker.refresher.start()
        try:
            until(lambda: {row["checked_at"] for row in worker.deployment.rows(tables.sign_ins)} == {NOW, DUE})
            worker.now = DUE + LEASE
            until(lambda: all(row["checked_at"] > NOW for row in worker.deployment.rows(tables.sign_ins)))
        finally:
            worker.refresher.stop()
        assert next(failures, None) is None

    def test_a_provider_that_hangs_delays_no_other_and_is_asked_by_few_at_once(
        self, database: Database, tmp_path: Path
    ) -> None:
        partner = RotatingProvider(a_provider(id="partner", issuer="https://partner.example.com"))
        worker = a_worker(database, tmp_path, more={"partner": partner})
        for number in range(80):
            in_use(worker, an_identity(subject=str(number)))
        other = in_use(worker, an_identity(provider="partner", issuer=partner.spec.issuer))
        goes_on, hanging = threading.Event(), threading.Semaphore(0)

        def hang() -> None:
            hanging.release()
            goes_on.wait(60)

        worker.provider.asked = hang
        worker.refresher.start()
        try:
            until(lambda: partner.refreshed == [REFRESH_TOKEN])
            asked = 0
            while hanging.acquire(blocking=False):
                asked += 1
            assert 1 <= asked <= AT_ONCE
        finally:
            goes_on.set()
            worker.refresher.stop()
        assert other.id in {row["id"] for row in worker.deployment.rows(tables.sign_ins)}

    def test_it_goes_on_after_a_database_that_could_not_be_read(
        self, worker: Worker, caplog: pytest.LogCaptureFixture
    ) -> None:
        in_use(worker)
        with worker.deployment.database.write() as connection:
            connection.execute(sa.text("ALTER TABLE sign_ins RENAME TO away"))
        worker.refresher.start()
        try:
            until(lambda: "refreshes" in caplog.text)
            with worker.deployment.database.write() as connection:
                connection.execute(sa.text("ALTER TABLE away RENAME TO sign_ins"))
            until(lambda: worker.row()["checked_at"] == DUE)
        finally:
            worker.refresher.stop()

    def test_it_goes_on_after_a_database_that_was_locked(
        self, worker: Worker, database_url: Secret, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        begun = in_use(worker)
        database = Database(impatient(database_url))
        hurried = a_worker(database, tmp_path)
        with worker.deployment.database.write() as connection:
            assert worker.deployment.sign_ins.lock(connection, begun.id) is not None
            hurried.refresher.start()
            until(lambda: "a refresh waits for the database" in caplog.text)
        until(lambda: worker.row()["checked_at"] == DUE)
        hurried.refresher.stop()
        database.close()

    def test_starting_twice_is_starting_once_and_it_can_start_again(self, worker: Worker) -> None:
        def threads() -> int:
            return sum(thread.name == "portal-refresh" for thread in threading.enumerate())

        worker.refresher.stop()
        worker.refresher.start()
        worker.refresher.start()
        assert threads() == 1
        worker.refresher.stop()
        worker.refresher.stop()
        assert threads() == 0
        begun = in_use(worker)
        worker.refresher.start()
        until(lambda: worker.row()["checked_at"] == DUE)
        worker.refresher.stop()
        assert worker.row()["id"] == begun.id
        assert worker.row()["issuer"] == ISSUER
