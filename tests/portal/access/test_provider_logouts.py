"""Logouts that a provider reports: they end what they name, once, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from portal.access.audit import Audit
from portal.access.provider_logouts import ProviderLogouts, selection_of
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import Selection, SignIn, provider_session_key
from portal.errors import LogoutTokenRejected, ProviderRefused, StoreUnavailable
from portal.rules.identity import Identity
from portal.settings import Secret
from portal.sign_in.providers.logout_token import LONGEST_LIFE, MAX_SESSION, ProviderLogout
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.retention import purge
from tests.builders import ISSUER, NOW, an_app, an_identity
from tests.portal.access.test_races import ROUNDS, together
from tests.portal.store_deployment import Deployment, a_deployment

OTHER = "https://other.example.com"
ADA = an_identity(subject="ada")


@pytest.fixture
def logouts(deployment: Deployment) -> ProviderLogouts:
    return ProviderLogouts(deployment.database, deployment.sign_ins)


def a_logout(**changes: Any) -> ProviderLogout:
    """Return a logout that names session ``s1`` and no person."""
    return ProviderLogout(**{"issuer": ISSUER, "subject": None, "session": "s1", "token_id": "t1", **changes})


def end(logouts: ProviderLogouts, *, provider: str = "company", now: int = NOW, **changes: Any) -> int:
    return logouts.end(a_logout(**changes), provider=provider, now=now)


def sign_in(deployment: Deployment, identity: Identity | None = None, *, session: object = "s1") -> SignIn:
    return deployment.sign_ins.begin(
        identity or an_identity(), tenant="acme", browser="Firefox", now=NOW, provider_session=session
    )


def living(deployment: Deployment, *begun: SignIn) -> list[bool]:
    return [deployment.sign_ins.peek(one.id, now=NOW) is not None for one in begun]


def problem_of(call: Callable[[], object]) -> str:
    with pytest.raises(LogoutTokenRejected) as caught:
        call()
    return caught.value.problem


class TestSelectionOf:
    @pytest.mark.parametrize(
        ("subject", "session"),
        [
            (None, None),
            ("", None),
            (None, ""),
            ("", ""),
            (None, "x" * (MAX_SESSION + 1)),
            # What is given and is no name must not widen the selection to the other.
            ("ana", ""),
            ("ana", "x" * (MAX_SESSION + 1)),
            ("", "s1"),
        ],
    )
    def test_what_names_nothing_selects_nothing_and_never_everything(
        self, subject: str | None, session: str | None
    ) -> None:
        assert (
            problem_of(lambda: selection_of(provider="company", issuer=ISSUER, subject=subject, session=session))
            == "ends-nothing"
        )

    @pytest.mark.parametrize(
        ("subject", "session"),
        [(None, None), ("", None), (None, ""), ("", "s1"), ("ana", ""), (None, "x" * (MAX_SESSION + 1))],
    )
    def test_and_there_is_no_such_logout(self, subject: str | None, session: str | None) -> None:
        assert problem_of(lambda: a_logout(subject=subject, session=session)) == "ends-nothing"

    def test_both_together_select_no_more_than_each(self) -> None:
        key = provider_session_key("company", "s1")
        of_provider = Selection(provider="company", issuer=ISSUER)
        named = partial(selection_of, provider="company", issuer=ISSUER)

        assert named(subject="ana", session=None) == replace(of_provider, person=an_identity().id)
        assert named(subject=None, session="s1") == replace(of_provider, provider_session=key)
        assert named(subject="ana", session="s1") == replace(of_provider, person=an_identity().id, provider_session=key)

    def test_a_person_has_no_name_without_the_issuer(self) -> None:
        for session in (None, "s1"):
            with pytest.raises(LogoutTokenRejected):
                selection_of(provider="company", issuer=None, subject="ana", session=session)
        assert selection_of(provider="company", issuer=None, subject=None, session="s1").issuer is None


class TestWhatEnds:
    def test_by_session_that_one_ends(self, deployment: Deployment, logouts: ProviderLogouts) -> None:
        begun = [sign_in(deployment, session=session) for session in ("s1", "s2", None, "S1")]

        assert end(logouts) == 1
        assert living(deployment, *begun) == [False, True, True, True]
        assert deployment.events()[-1] == ("sign-in-ended", "provider-signed-out")

    def test_a_session_of_several_browsers_or_people_ends_for_all_of_them(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        begun = [sign_in(deployment), sign_in(deployment), sign_in(deployment, ADA)]

        assert end(logouts) == 3
        assert not any(living(deployment, *begun))

    def test_by_subject_all_of_that_person_end(self, deployment: Deployment, logouts: ProviderLogouts) -> None:
        begun = [sign_in(deployment, session=session) for session in ("s1", "s2", None)]
        other = sign_in(deployment, ADA)

        assert end(logouts, subject="ana", session=None) == 3
        assert living(deployment, *begun, other) == [False, False, False, True]

    def test_by_both_that_session_of_that_person_ends(self, deployment: Deployment, logouts: ProviderLogouts) -> None:
        mine, elsewhere, others = sign_in(deployment), sign_in(deployment, session="s2"), sign_in(deployment, ADA)

        assert end(logouts, subject="ana") == 1
        assert living(deployment, mine, elsewhere, others) == [False, True, True]

    def test_by_both_one_whose_session_was_never_named_may_be_the_one(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        unnamed, others = sign_in(deployment, session=None), sign_in(deployment, ADA, session=None)

        assert end(logouts, subject="ana") == 1
        assert living(deployment, unnamed, others) == [False, True]

    @pytest.mark.parametrize(
        "changes",
        [{"subject": "ana", "session": None}, {"subject": "ana"}, {}],
        ids=["by subject", "by both", "by session"],
    )
    @pytest.mark.parametrize(
        "theirs",
        [{"provider": "other"}, {"issuer": OTHER}, {"provider": "other", "issuer": OTHER}],
        ids=["another provider of that issuer", "another issuer of that provider", "another provider"],
    )
    def test_people_elsewhere_with_the_same_names_stay_signed_in(
        self, deployment: Deployment, logouts: ProviderLogouts, changes: dict[str, Any], theirs: dict[str, Any]
    ) -> None:
        elsewhere = sign_in(deployment, an_identity(**theirs))

        assert end(logouts, **changes) == 0
        assert living(deployment, elsewhere) == [True]

    def test_its_app_sessions_end_and_their_apps_are_notified(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        begun, other = sign_in(deployment), sign_in(deployment, ADA, session="s2")
        session, untouched = deployment.open(begun), deployment.open(other)
        end(logouts)

        assert deployment.notified() == {session}
        answer = deployment.app_sessions.renew(session, app=an_app(), now=NOW)
        assert (bool(answer), getattr(answer, "code", None)) == (False, "provider-signed-out")
        assert deployment.app_sessions.renew(untouched, app=an_app(), now=NOW)

    def test_a_front_channels_logout_ends_its_session_and_is_not_remembered(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        """
        Anyone can ask for that, of sessions that never were.
        """
        begun, other = sign_in(deployment), sign_in(deployment, session="s2")

        assert logouts.end_session("s1", provider="company", issuer=ISSUER, now=NOW) == 1
        assert living(deployment, begun, other) == [False, True]
        for session, provider, issuer in (("s2", "other", ISSUER), ("s2", "company", OTHER), ("s3", "company", ISSUER)):
            assert logouts.end_session(session, provider=provider, issuer=issuer, now=NOW) == 0
        assert living(deployment, other) == [True]
        assert deployment.rows(tables.provider_logouts) == []

    @pytest.mark.parametrize("session", ["", "x" * (MAX_SESSION + 1)])
    def test_a_front_channels_logout_of_no_session_ends_nothing(
        self, deployment: Deployment, logouts: ProviderLogouts, session: str
    ) -> None:
        begun = [sign_in(deployment, session=one) for one in (session, None, "s1")]

        assert (
            problem_of(lambda: logouts.end_session(session, provider="company", issuer=ISSUER, now=NOW))
            == "ends-nothing"
        )
        assert all(living(deployment, *begun))


class TestOnce:
    def test_a_token_counts_once(self, deployment: Deployment, logouts: ProviderLogouts) -> None:
        """
        Else who has seen it could put out the person again and again.
        """
        sign_in(deployment)
        assert end(logouts, subject="ana", session=None) == 1
        later = sign_in(deployment, session="s2")

        assert problem_of(lambda: end(logouts, subject="ana", session=None)) == "repeated"
        assert problem_of(lambda: end(logouts, session="s2")) == "repeated"
        assert living(deployment, later) == [True]

    def test_the_same_name_of_another_providers_token_counts(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        end(logouts)
        begun = sign_in(deployment, an_identity(provider="other"), session="s9")

        assert end(logouts, provider="other", session="s9") == 1
        assert living(deployment, begun) == [False]

    def test_another_token_for_the_same_session_counts(self, deployment: Deployment, logouts: ProviderLogouts) -> None:
        end(logouts)

        assert end(logouts, token_id="t2") == 0
        assert len(deployment.rows(tables.provider_logouts)) == 3  # two tokens, one session

    def test_what_is_remembered_is_forgotten_when_the_token_is_too_old_by_itself(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        end(logouts)
        purge(deployment.database, audit_retention=deployment.settings.audit_retention, now=NOW + LONGEST_LIFE)
        assert problem_of(lambda: end(logouts)) == "repeated"
        purge(deployment.database, audit_retention=deployment.settings.audit_retention, now=NOW + LONGEST_LIFE + 1)

        assert deployment.rows(tables.provider_logouts) == []

    def test_neither_session_nor_token_is_stored_in_clear(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        """
        Who can read the database, or a backup of it, must not be able to end sign-ins.
        """
        sign_in(deployment, session="guarded-session")
        end(logouts, session="guarded-session", token_id="guarded-token")

        stored = f"{deployment.rows(tables.provider_logouts)} {deployment.rows(tables.sign_ins)}"
        assert "guarded" not in stored

    def test_two_at_once_both_succeed(self, database_url: Secret, tmp_path: Path) -> None:
        one, other = (a_deployment(Database(database_url), tmp_path) for _ in range(2))
        both = [ProviderLogouts(each.database, each.sign_ins) for each in (one, other)]
        for number in range(ROUNDS):
            begun = sign_in(one, session=f"s{number}")
            counts = together(
                lambda: end(both[0], session=f"s{number}", token_id=f"t{number}"),  # noqa: B023 - called in the loop
                lambda: end(both[1], session=f"s{number}", token_id=f"u{number}"),  # noqa: B023
            )

            assert all(isinstance(count, int) for count in counts)
            assert living(one, begun) == [False]
        for each in (one, other):
            each.database.close()


class TestASignInThatIsJustBeginning:
    def test_one_of_an_ended_session_is_refused(self, deployment: Deployment, logouts: ProviderLogouts) -> None:
        """
        The provider ended the session between its redirect and the sign-in's row.
        """
        end(logouts)

        with pytest.raises(ProviderRefused):
            sign_in(deployment)
        assert deployment.rows(tables.sign_ins) == []
        assert all(living(deployment, sign_in(deployment, session="s2"), sign_in(deployment, session=None)))
        assert living(deployment, sign_in(deployment, an_identity(provider="other"))) == [True]

    def test_the_former_one_of_that_browser_stays(self, deployment: Deployment, logouts: ProviderLogouts) -> None:
        former = sign_in(deployment, session="s0")
        end(logouts)

        with pytest.raises(ProviderRefused):
            deployment.sign_ins.begin(
                an_identity(), tenant="acme", browser="", now=NOW, provider_session="s1", former=former.id
            )
        assert living(deployment, former) == [True]

    def test_a_report_between_its_check_and_its_commit_ends_it(self, database_url: Secret, tmp_path: Path) -> None:
        """
        The report sees no row to end, and the sign-in has seen no report: only on PostgreSQL can both go on at once.
        """
        database = Database(database_url)
        deployment = a_deployment(database, tmp_path)
        logouts = ProviderLogouts(database, deployment.sign_ins)
        reported: list[int] = []

        class Meanwhile(Audit):
            def record(self, *args: Any, **options: Any) -> None:
                if not reported and database.file is None:
                    reported.append(end(logouts))
                super().record(*args, **options)

        deployment.sign_ins._audit = Meanwhile(database)
        if database.file is None:
            with pytest.raises(ProviderRefused):
                sign_in(deployment)
            assert reported == [0]
            (row,) = deployment.rows(tables.sign_ins)
            assert row["end_reason"] == RevocationReason.PROVIDER_SIGNED_OUT.value
        else:
            assert living(deployment, sign_in(deployment)) == [True]
        database.close()

    def test_in_any_order_nothing_of_the_session_goes_on(self, database_url: Secret, tmp_path: Path) -> None:
        one, other = (a_deployment(Database(database_url), tmp_path) for _ in range(2))
        logouts = ProviderLogouts(other.database, other.sign_ins)

        def begin(session: str) -> object:
            try:
                return sign_in(one, session=session)
            except ProviderRefused as error:
                return error

        for number in range(ROUNDS):
            begun, count = together(
                lambda: begin(f"s{number}"),  # noqa: B023 - called in the loop
                lambda: end(logouts, session=f"s{number}", token_id=f"t{number}"),  # noqa: B023
            )
            assert isinstance(count, int)
            assert isinstance(begun, ProviderRefused) or living(one, begun) == [False]  # type: ignore[arg-type] # a SignIn
        assert one.sign_ins.of_identity(an_identity().id, now=NOW) == []
        for each in (one, other):
            each.database.close()


class TestHasEnded:
    def test_only_a_report_of_the_sign_ins_own_session_proves_it(
        self, deployment: Deployment, logouts: ProviderLogouts
    ) -> None:
        begun, unnamed = sign_in(deployment), sign_in(deployment, session=None)
        end(logouts, session="s2", token_id="t2")
        end(logouts, subject="ana", session=None, token_id="t3")
        assert not logouts.has_ended(begun.id)

        end(logouts)
        assert logouts.has_ended(begun.id)
        assert not logouts.has_ended(unnamed.id)
        assert not logouts.has_ended("unknown")


@pytest.fixture
def failing(database: Database, tmp_path: Path) -> tuple[Deployment, list[int]]:
    """A deployment whose database fails at the records whose numbers are in the list."""
    deployment = a_deployment(database, tmp_path)
    fails_at: list[int] = []
    records = 0

    class Failing(Audit):
        def record(self, *args: Any, **options: Any) -> None:
            nonlocal records
            records += 1
            if records in fails_at:
                raise StoreUnavailable("the disk is full")
            super().record(*args, **options)

    deployment.sign_ins._audit = Failing(database)
    return deployment, fails_at


def test_after_a_failure_half_way_the_same_token_ends_the_rest(failing: tuple[Deployment, list[int]]) -> None:
    """
    A provider sends it again when the answer is 503.
    """
    deployment, fails_at = failing
    logouts = ProviderLogouts(deployment.database, deployment.sign_ins)
    begun = [sign_in(deployment) for _ in range(60)]
    fails_at.append(60 + 55)

    with pytest.raises(StoreUnavailable):
        end(logouts)
    assert living(deployment, *begun).count(True) == 10  # of two transactions, one was committed
    assert end(logouts) == 10
    assert not any(living(deployment, *begun))
    assert problem_of(lambda: end(logouts)) == "repeated"
