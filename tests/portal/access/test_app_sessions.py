"""App sessions: a ticket opens one, once; renewal validates it again; an ended one stays ended."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from portal.access.app_sessions import MOST_LIVING, LiveSession
from portal.access.audit import MOST_REFUSED
from portal.access.revocation import RevocationReason
from portal.access.session_validation import EndedSession
from portal.access.sign_ins import TOUCH, Row, SignIns
from portal.access.signing_keys import SigningKeys
from portal.contract import (
    Active,
    Inactive,
    read_introspection,
    sign_logout_token,
    sign_ticket,
    verify_ticket,
)
from portal.contract.logout_tokens import LogoutToken
from portal.rules.catalogue import EVERYONE, AppSpec
from portal.rules.identity import Affiliation, Identity
from portal.rules.policy import Allowed, RoleRule, Standing, may_open
from portal.settings import DAY, HOUR, Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import NOW, PORTAL, a_standing, a_ticket, an_app, an_identity
from tests.portal.store_deployment import REFRESH_TOKEN, Deployment, a_deployment, a_sealer, impatient

FORECAST = an_app()
CLOSED = an_app(open_to=frozenset())
REPORTS = an_app(slug="reports", open_to=frozenset({EVERYONE}))


def code(answer: object) -> str:
    assert isinstance(answer, Inactive)
    return str(answer.code)


def sid_of(deployment: Deployment, token: str, *, app: AppSpec = FORECAST, now: int = NOW) -> str:
    keys = deployment.keys.key_set(now)
    return verify_ticket(token, keys=keys, issuer=PORTAL, audience=app.slug, now=now).session


class TestIssue:
    def test_a_ticket_names_person_app_and_path(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        token = deployment.ticket(begun, next_path="/a?b=1")
        keys = deployment.keys.key_set(NOW)
        ticket = verify_ticket(token, keys=keys, issuer=PORTAL, audience="forecast", now=NOW, leeway=0)

        assert ticket == a_ticket(id=ticket.id, session=ticket.session, next="/a?b=1")
        assert len(ticket.id) == len(ticket.session) == 32

    def test_the_jti_is_stored_hashed(self, deployment: Deployment) -> None:
        token = deployment.ticket(deployment.sign_in())
        ticket = verify_ticket(
            token, keys=deployment.keys.key_set(NOW), issuer=PORTAL, audience="forecast", now=NOW, leeway=0
        )

        assert ticket.id not in str(deployment.rows(tables.app_sessions))

    @pytest.mark.parametrize(
        "standing",
        [
            a_standing(an_identity(subject="bob")),
            a_standing(
                an_identity(affiliations=(Affiliation(tenant="beta", groups=frozenset({"AI-Analysts"})),)),
                tenant="beta",
            ),
        ],
        ids=["another person", "another tenant"],
    )
    def test_a_decision_for_another_person_is_refused(self, deployment: Deployment, standing: Standing) -> None:
        allowed = may_open(FORECAST, standing=standing)
        assert isinstance(allowed, Allowed)

        with pytest.raises(ValueError, match="another person or tenant"):
            deployment.app_sessions.issue(allowed, sign_in=deployment.sign_in(), next="/", now=NOW)

    @pytest.mark.parametrize("target", ["//evil.test", "https://evil.test", "", "a"])
    def test_a_path_that_leaves_the_app_is_refused(self, deployment: Deployment, target: str) -> None:
        with pytest.raises(ValueError, match="path"):
            deployment.ticket(deployment.sign_in(), next_path=target)

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "x" * 5000, "email": "x" * 5000, "picture": "https://id.example.com/" + "x" * 5000},
            {"name": "a\nb", "email": "a\0b@example.com", "picture": "http://id.example.com/a.png"},
            {"name": "", "email": "", "picture": "javascript:alert(1)"},
            {"name": "\udce9", "email": "x" * 600, "picture": ""},
            {"email_verified": False},
        ],
        ids=["too long", "control characters", "empty", "surrogates", "unverified"],
    )
    def test_what_a_provider_puts_in_a_profile_makes_no_ticket_unreadable(
        self, deployment: Deployment, changes: dict[str, Any]
    ) -> None:
        identity = an_identity(**changes)
        begun = deployment.sign_in(identity)
        answer = deployment.app_sessions.redeem(deployment.ticket(begun), app=FORECAST, now=NOW)

        assert isinstance(answer, Active)
        body = answer.to_json(issuer=PORTAL, audience="forecast")
        assert read_introspection(body, issuer=PORTAL, audience="forecast") == answer
        assert answer.person.username == identity.id
        assert answer.person.email is None

    def test_people_without_a_tenant_get_tickets_too(self, tmp_path: Path, database: Database) -> None:
        deployment = a_deployment(database, tmp_path)
        begun = deployment.sign_in(
            an_identity(affiliations=(Affiliation(groups=frozenset({"AI-Analysts"})),)), tenant=""
        )
        answer = deployment.app_sessions.redeem(deployment.ticket(begun), app=FORECAST, now=NOW)

        assert isinstance(answer, Active)
        assert answer.person.tenant is None


class TestRedeem:
    def test_a_ticket_opens_a_session_and_says_who_is_there(self, deployment: Deployment) -> None:
        begun = deployment.sign_in(an_identity(picture="https://id.example.com/ana.png"), renewal=REFRESH_TOKEN)
        token = deployment.ticket(begun, next_path="/a")
        answer = deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 5)

        assert isinstance(answer, Active)
        assert answer.session == sid_of(deployment, token)
        assert answer.next == "/a"
        assert (answer.person.subject, answer.person.username) == (begun.identity.id, "ana@example.com")
        assert (answer.person.tenant, answer.person.tenant_name) == ("acme", "Acme")
        assert answer.person.roles == {"analyst"}
        assert answer.person.picture == "https://id.example.com/ana.png"
        assert answer.person.signed_in_until == NOW + 30 * DAY
        assert deployment.events()[-1] == ("app-opened", "")

    def test_a_second_redemption_is_refused_and_ends_what_the_first_opened(self, deployment: Deployment) -> None:
        token = deployment.ticket(deployment.sign_in())
        first = deployment.app_sessions.redeem(token, app=FORECAST, now=NOW)
        second = deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 1)

        assert isinstance(first, Active)
        assert code(second) == "already-redeemed"
        assert code(deployment.app_sessions.renew(first.session, app=FORECAST, now=NOW + 1)) == "already-redeemed"
        assert [row["session"] for row in deployment.rows(tables.outbox)] == [first.session]
        assert deployment.events()[-1] == ("ticket-refused", "already-redeemed")
        assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 2)) == "already-redeemed"
        assert len(deployment.rows(tables.outbox)) == 1

    @pytest.mark.parametrize(("later", "expected"), [(29, None), (30, "expired"), (3600, "expired")])
    def test_portal_time_decides_without_leeway(self, deployment: Deployment, later: int, expected: str | None) -> None:
        answer = deployment.app_sessions.redeem(deployment.ticket(deployment.sign_in()), app=FORECAST, now=NOW + later)

        assert (code(answer) if expected else answer) == (expected or answer)
        assert bool(answer) is (expected is None)

    def test_after_signing_out_it_opens_nothing(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        token = deployment.ticket(begun)
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

        assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 1)) == "signed-out"
        assert deployment.events()[-1] == ("ticket-refused", "signed-out")

    def test_a_ticket_issued_after_the_sign_in_ended_opens_nothing(self, deployment: Deployment) -> None:
        """
        A launch that was under way while the person signed out.
        """
        begun = deployment.sign_in()
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGN_IN_ENDED, now=NOW)
        token = deployment.ticket(begun)

        assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 1)) == "sign-in-ended"
        assert deployment.rows(tables.app_sessions)[0]["end_reason"] == "sign-in-ended"

    def test_after_a_tenant_switch_it_opens_nothing(self, deployment: Deployment) -> None:
        affiliations = tuple(Affiliation(tenant=name, groups=frozenset({"AI-Analysts"})) for name in ("acme", "beta"))
        begun = deployment.sign_in(an_identity(affiliations=affiliations))
        token = deployment.ticket(begun)
        deployment.sign_ins.switch_tenant(begun.id, tenant="beta", now=NOW)

        assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 1)) == "tenant-switched"

    def test_a_ticket_of_the_tenant_before_issued_during_the_switch_opens_nothing(self, deployment: Deployment) -> None:
        affiliations = tuple(Affiliation(tenant=name, groups=frozenset({"AI-Analysts"})) for name in ("acme", "beta"))
        begun = deployment.sign_in(an_identity(affiliations=affiliations))
        deployment.sign_ins.switch_tenant(begun.id, tenant="beta", now=NOW)
        token = deployment.ticket(begun)

        assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 1)) == "tenant-switched"

    def test_a_sign_in_that_grew_too_old_meanwhile_ends(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        token = deployment.ticket(begun, now=NOW + 8 * HOUR - 1)

        assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW + 8 * HOUR)) == "sign-in-expired"
        assert deployment.rows(tables.sign_ins)[0]["end_reason"] == "sign-in-expired"

    def test_policy_is_asked_again(self, deployment: Deployment) -> None:
        token = deployment.ticket(deployment.sign_in())

        assert code(deployment.app_sessions.redeem(token, app=CLOSED, now=NOW)) == "denied"
        assert deployment.events()[-2:] == [("app-denied", "open-to-nobody"), ("ticket-refused", "denied")]

    def test_the_roles_follow_the_rules_of_now(self, deployment: Deployment, tmp_path: Path) -> None:
        token = deployment.ticket(deployment.sign_in())
        stricter = a_deployment(
            deployment.database, tmp_path, roles=(RoleRule(role="analyst", groups=frozenset({"Other"})),)
        )

        assert code(stricter.app_sessions.redeem(token, app=FORECAST, now=NOW)) == "denied"
        assert stricter.events()[-2] == ("app-denied", "missing-role (roles look for groups)")

    def test_a_key_that_another_process_made_a_moment_ago_counts(self, deployment: Deployment, tmp_path: Path) -> None:
        other = a_deployment(deployment.database, tmp_path, secret_keys=(Secret("z" * 43),))
        deployment.keys.ensure(NOW)
        token = other.ticket(other.sign_in())

        assert deployment.app_sessions.redeem(token, app=FORECAST, now=NOW)


class TestHostileTickets:
    """Every refusal leaves the session of the honest ticket as it was."""

    def forged(self, deployment: Deployment, token: str, **changes: Any) -> str:
        keys = deployment.keys.key_set(NOW)
        honest = verify_ticket(token, keys=keys, issuer=PORTAL, audience="forecast", now=NOW)
        return sign_ticket(replace(honest, **changes), key=deployment.keys.signing_key(NOW))

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "another"},
            {"session": "another"},
            {"session": "x" * 500},
            {"subject": "somebody-else"},
            {"audience": "reports"},
            {"issuer": "https://evil.test"},
            {"expires_at": NOW + 31},
            {"issued_at": NOW + 1, "expires_at": NOW + 31},
        ],
        ids=str,
    )
    def test_a_ticket_that_was_signed_for_something_else_opens_nothing(
        self, deployment: Deployment, changes: dict[str, Any]
    ) -> None:
        """
        Even under the portal's own key: what is redeemed is what was issued.
        """
        token = deployment.ticket(deployment.sign_in())
        forged = self.forged(deployment, token, **changes)

        assert code(deployment.app_sessions.redeem(forged, app=FORECAST, now=NOW)) == "bad-ticket"
        assert deployment.app_sessions.redeem(token, app=FORECAST, now=NOW)

    def test_another_apps_ticket_opens_nothing_even_if_it_is_signed_for_this_one(self, deployment: Deployment) -> None:
        token = deployment.ticket(deployment.sign_in())
        assert code(deployment.app_sessions.redeem(token, app=REPORTS, now=NOW)) == "bad-ticket"

        forged = self.forged(deployment, token, audience="reports")
        assert code(deployment.app_sessions.redeem(forged, app=REPORTS, now=NOW)) == "bad-ticket"
        assert deployment.app_sessions.redeem(token, app=FORECAST, now=NOW)

    @pytest.mark.parametrize("token", [None, 5, b"a.b.c", "", "a.b.c", "é" * 10, "x" * 100_000, "\udce9..", ["a"]])
    def test_an_invalid_ticket_opens_nothing(self, deployment: Deployment, token: object) -> None:
        assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW)) == "bad-ticket"

    def test_a_logout_token_is_not_a_ticket(self, deployment: Deployment) -> None:
        token = deployment.ticket(deployment.sign_in())
        logout = LogoutToken(
            id="a",
            issuer=PORTAL,
            audience="forecast",
            session=sid_of(deployment, token),
            issued_at=NOW,
            expires_at=NOW + 30,
        )
        signed = sign_logout_token(logout, key=deployment.keys.signing_key(NOW))

        assert code(deployment.app_sessions.redeem(signed, app=FORECAST, now=NOW)) == "bad-ticket"

    def test_a_foreign_key_opens_nothing(self, deployment: Deployment, tmp_path: Path) -> None:
        token = deployment.ticket(deployment.sign_in())
        elsewhere = Database(Secret(f"sqlite:///{tmp_path / 'elsewhere.db'}"))
        elsewhere.upgrade()
        key = SigningKeys(elsewhere, a_sealer(), deployment.audit).signing_key(NOW)
        keys = deployment.keys.key_set(NOW)
        honest = verify_ticket(token, keys=keys, issuer=PORTAL, audience="forecast", now=NOW)

        assert code(deployment.app_sessions.redeem(sign_ticket(honest, key=key), app=FORECAST, now=NOW)) == "bad-ticket"
        assert deployment.events()[-1] == ("ticket-refused", "unknown-key")
        elsewhere.close()

    def test_junk_tickets_do_not_fill_the_audit(self, deployment: Deployment) -> None:
        for number in range(MOST_REFUSED + 30):
            assert code(deployment.app_sessions.redeem(f"junk-{number}", app=FORECAST, now=NOW)) == "bad-ticket"
        assert deployment.events() == [("ticket-refused", "unreadable")] * MOST_REFUSED

        deployment.app_sessions.redeem("junk", app=FORECAST, now=NOW + 60)
        assert deployment.events()[MOST_REFUSED:] == [("tickets-left-out", "30"), ("ticket-refused", "unreadable")]

    def test_junk_does_not_hide_the_ticket_of_a_person(self, deployment: Deployment) -> None:
        """Nor does the same ticket again and again fill the disk: what it opened ends with the first."""
        token = deployment.ticket(deployment.sign_in())
        deployment.app_sessions.redeem(token, app=FORECAST, now=NOW)
        for _ in range(MOST_REFUSED + 5):
            deployment.app_sessions.redeem("junk", app=FORECAST, now=NOW)
        for _ in range(MOST_REFUSED + 5):
            assert code(deployment.app_sessions.redeem(token, app=FORECAST, now=NOW)) == "already-redeemed"

        assert deployment.events().count(("ticket-refused", "already-redeemed")) == MOST_REFUSED
        deployment.audit.record_left_out(NOW + 60)
        assert deployment.events()[-2:] == [("tickets-left-out", "5")] * 2


class TestRenew:
    def test_a_living_session_says_who_is_there_now(self, deployment: Deployment) -> None:
        sid = deployment.open(deployment.sign_in())
        answer = deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + 60)

        assert isinstance(answer, Active)
        assert (answer.session, answer.next) == (sid, "/")
        assert answer.person.roles == {"analyst"}

    @pytest.mark.parametrize("sid", [None, 5, "", "unknown", "x" * 1000, "a\0b", "é", "\udce9", ["a"]])
    def test_an_invalid_sid_is_unknown(self, deployment: Deployment, sid: object) -> None:
        assert code(deployment.app_sessions.renew(sid, app=FORECAST, now=NOW)) == "unknown-session"

    def test_another_apps_session_is_unknown_whatever_its_state(self, deployment: Deployment) -> None:
        """
        Alive, ended or never opened: an app learns nothing of the sessions of others.
        """
        begun = deployment.sign_in()
        alive, ended = deployment.open(begun), deployment.open(begun)
        unopened = sid_of(deployment, deployment.ticket(begun))
        with deployment.database.write() as connection:
            connection.execute(
                tables.app_sessions.update().where(tables.app_sessions.c.id == ended).values(ended_at=NOW)
            )

        assert [deployment.app_sessions.renew(sid, app=REPORTS, now=NOW) for sid in (alive, ended, unopened)] == [
            Inactive(code="unknown-session")
        ] * 3

    def test_a_session_that_was_never_opened_is_unknown(self, deployment: Deployment) -> None:
        sid = sid_of(deployment, deployment.ticket(deployment.sign_in()))

        assert code(deployment.app_sessions.renew(sid, app=FORECAST, now=NOW)) == "unknown-session"

    @pytest.mark.parametrize(
        "reason",
        [RevocationReason.SIGNED_OUT, RevocationReason.SIGN_IN_ENDED, RevocationReason.SIGN_IN_EXPIRED],
        ids=str,
    )
    def test_revoking_the_sign_in_ends_its_app_sessions(self, deployment: Deployment, reason: RevocationReason) -> None:
        begun = deployment.sign_in()
        sid = deployment.open(begun)
        deployment.sign_ins.revoke(begun.id, reason=reason, now=NOW)

        assert code(deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + 1)) == reason.value

    def test_a_withdrawn_role_ends_the_session_for_good(self, deployment: Deployment) -> None:
        sid = deployment.open(deployment.sign_in())

        assert code(deployment.app_sessions.renew(sid, app=CLOSED, now=NOW + 60)) == "denied"
        assert code(deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + 61)) == "denied"
        assert deployment.events()[-1] == ("app-denied", "open-to-nobody")
        assert [row["session"] for row in deployment.rows(tables.outbox)] == [sid]

    def test_using_an_app_keeps_the_sign_in_alive(self, deployment: Deployment) -> None:
        begun = deployment.sign_in(renewal=REFRESH_TOKEN)
        sid = deployment.open(begun)
        for hour in range(1, 24, 7):
            assert deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + hour * HOUR), hour

        assert deployment.sign_ins.peek(begun.id, now=NOW + 24 * HOUR) is not None

    def test_an_app_that_is_only_open_does_not(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        sid = deployment.open(begun)
        for hour in range(1, 8):
            assert deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + hour * HOUR, in_use=False), hour

        assert (
            code(deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + 9 * HOUR, in_use=False))
            == "sign-in-expired"
        )

    def test_use_is_noted_once_a_minute(self, deployment: Deployment) -> None:
        sid = deployment.open(deployment.sign_in())

        def seen_after(seconds: int) -> tuple[int, int]:
            deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + seconds)
            (sign_in,), (session,) = deployment.rows(tables.sign_ins), deployment.rows(tables.app_sessions)
            return sign_in["last_seen_at"] - NOW, session["last_seen_at"] - NOW

        assert [seen_after(seconds) for seconds in (1, TOUCH - 1, TOUCH, TOUCH + 1)] == [
            (0, 0),
            (0, 0),
            (60, 60),
            (60, 60),
        ]

    def test_a_tab_that_is_only_open_is_no_use(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        sid = deployment.open(begun)

        assert deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + HOUR, in_use=False)
        assert deployment.rows(tables.sign_ins)[0]["last_seen_at"] == NOW

    @pytest.mark.parametrize("later", [8 * HOUR, 30 * DAY])
    def test_finding_the_sign_in_too_old_ends_it_with_all_its_sessions(
        self, deployment: Deployment, later: int
    ) -> None:
        begun = deployment.sign_in()
        first, second = deployment.open(begun), deployment.open(begun)

        assert code(deployment.app_sessions.renew(first, app=FORECAST, now=NOW + later)) == "sign-in-expired"
        assert {row["session"] for row in deployment.rows(tables.outbox)} == {first, second}
        assert code(deployment.app_sessions.renew(second, app=FORECAST, now=NOW + later)) == "sign-in-expired"

    def test_a_busy_writer_does_not_fail_a_renewal(
        self, deployment: Deployment, database_url: Secret, tmp_path: Path
    ) -> None:
        begun = deployment.sign_in()
        sid = deployment.open(begun)
        database = Database(impatient(database_url))
        hurried = a_deployment(database, tmp_path)
        with deployment.database.write() as connection:
            assert deployment.sign_ins.lock(connection, begun.id) is not None

            assert hurried.app_sessions.renew(sid, app=FORECAST, now=NOW + TOUCH)
        database.close()

    def test_one_that_was_used_meanwhile_goes_on(self, deployment: Deployment) -> None:
        """
        Found too old by a row that another request touched before the lock was had.
        """
        sid = deployment.open(deployment.sign_in())

        class Racing(SignIns):
            """Says "expired" once, as one who looked before the touch would."""

            has_looked = False

            def is_expired(self, row: Row, *, now: int) -> bool:
                has_looked, Racing.has_looked = Racing.has_looked, True
                return super().is_expired(row, now=now) if has_looked else True

        deployment.sign_ins.__class__ = Racing
        assert deployment.app_sessions.renew(sid, app=FORECAST, now=NOW + HOUR)

    def test_a_session_purged_meanwhile_is_unknown(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        sid = deployment.open(begun)

        class Purging(SignIns):
            """Has the rows gone when the lock is asked for."""

            def lock(self, connection: sa.Connection, sign_in_id: str) -> None:
                connection.execute(tables.sign_ins.delete().where(tables.sign_ins.c.id == sign_in_id))

        deployment.sign_ins.__class__ = Purging
        assert code(deployment.app_sessions.renew(sid, app=CLOSED, now=NOW)) == "unknown-session"


class TestRoom:
    def test_the_least_recently_used_sessions_with_an_app_make_room(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        reports = deployment.open(begun, app=REPORTS)
        sids = [deployment.open(begun, now=NOW + number) for number in range(MOST_LIVING)]
        deployment.app_sessions.renew(sids[0], app=FORECAST, now=NOW + 100)
        latest = deployment.open(begun, now=NOW + 101)
        ended = {row["id"]: row["end_reason"] for row in deployment.rows(tables.app_sessions) if row["ended_at"]}

        assert ended == {sids[1]: "superseded"}
        assert [row["session"] for row in deployment.rows(tables.outbox)] == [sids[1]]
        assert deployment.app_sessions.renew(latest, app=FORECAST, now=NOW + 101)
        assert deployment.app_sessions.renew(reports, app=REPORTS, now=NOW + 101)
        assert code(deployment.app_sessions.renew(sids[1], app=FORECAST, now=NOW + 101)) == "superseded"

    def test_other_sign_ins_keep_their_room(self, deployment: Deployment) -> None:
        mine, other = deployment.sign_in(), deployment.sign_in()
        kept = deployment.open(other)
        for _ in range(MOST_LIVING + 3):
            deployment.open(mine)

        assert deployment.app_sessions.renew(kept, app=FORECAST, now=NOW)


class TestStanding:
    def test_a_living_session_has_its_persons_standing(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        sid = deployment.open(begun)
        live = deployment.app_sessions.live(sid, app=FORECAST, now=NOW)

        assert live == LiveSession(sid=sid, app=FORECAST, sign_in_id=begun.id, standing=a_standing())
        assert live
        assert deployment.app_sessions.standing_of(sid, app=FORECAST, now=NOW) == a_standing()

    def test_an_ended_one_has_none(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        sid = deployment.open(begun)
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

        assert code(deployment.app_sessions.live(sid, app=FORECAST, now=NOW)) == "signed-out"
        assert code(deployment.app_sessions.standing_of(sid, app=FORECAST, now=NOW)) == "signed-out"


def test_redemption_and_renewal_give_the_same_person(deployment: Deployment) -> None:
    identity: Identity = an_identity(name="Ünï ©ødé 漢字 \U0001f600")
    answer = deployment.app_sessions.renew(deployment.open(deployment.sign_in(identity)), app=FORECAST, now=NOW)

    assert isinstance(answer, Active)
    assert answer.person.name == identity.name


def test_an_ended_session_is_falsy() -> None:
    assert not EndedSession(RevocationReason.DENIED)
