"""Sign-ins: begun, found while they live, and revoked together with their app sessions."""

from pathlib import Path

import pytest

from portal.access.revocation import RevocationReason
from portal.access.sign_ins import MOST_LIVING, TOUCH
from portal.rules.identity import Affiliation
from portal.settings import DAY, HOUR, Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import ISSUER, NOW, an_app, an_identity
from tests.portal.store_deployment import REFRESH_TOKEN, Deployment, a_deployment, impatient

TWO_TENANTS = an_identity(
    affiliations=(
        Affiliation(tenant="acme", groups=frozenset({"AI-Analysts"})),
        Affiliation(tenant="beta", groups=frozenset({"AI-Analysts"})),
    )
)


class TestBegin:
    def test_what_begins_is_found(self, deployment: Deployment) -> None:
        begun = deployment.sign_in(renewal=REFRESH_TOKEN)

        assert deployment.sign_ins.find(begun.id, now=NOW) == begun
        assert begun.is_refreshed
        assert begun.identity == an_identity()
        assert begun.expires_at == NOW + 30 * DAY
        assert deployment.events() == [("signed-in", "")]

    def test_ids_are_unguessable(self, deployment: Deployment) -> None:
        assert len(deployment.sign_in().id) == 32
        assert deployment.sign_in().id != deployment.sign_in().id

    def test_a_tenant_of_others_is_refused(self, deployment: Deployment) -> None:
        with pytest.raises(ValueError, match="tenant"):
            deployment.sign_in(tenant="beta")
        assert deployment.rows(tables.sign_ins) == []

    def test_the_browsers_name_is_made_harmless(self, deployment: Deployment) -> None:
        begun = deployment.sign_ins.begin(an_identity(), tenant="acme", browser="a\0b\n\udce9" + "c" * 500, now=NOW)
        found = deployment.sign_ins.find(begun.id, now=NOW)

        assert found is not None
        assert found.browser == "a b  " + "c" * 195

    def test_the_id_token_is_kept_sealed_for_the_providers_sign_out(self, deployment: Deployment) -> None:
        begun = deployment.sign_ins.begin(
            an_identity(), tenant="acme", browser="", now=NOW, id_token="header.claims.mac"
        )
        (row,) = deployment.rows(tables.sign_ins)

        assert deployment.sign_ins.id_token_of(begun.id) == "header.claims.mac"
        assert "header.claims.mac" not in str(row)
        assert deployment.sign_ins.id_token_of(deployment.sign_in().id) is None
        assert deployment.sign_ins.id_token_of("unknown") is None


class TestLifetime:
    @pytest.mark.parametrize("sign_in_id", ["", "unknown", "x" * 1000, "a\0b", "\udce9", "é"])
    def test_nobody_is_found_by_another_id(self, deployment: Deployment, sign_in_id: str) -> None:
        deployment.sign_in()

        assert deployment.sign_ins.find(sign_in_id, now=NOW) is None
        assert deployment.sign_ins.peek(sign_in_id, now=NOW) is None

    def test_it_ends_when_it_is_not_used(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()

        assert deployment.sign_ins.peek(begun.id, now=NOW + 8 * HOUR - 1) is not None
        assert deployment.sign_ins.peek(begun.id, now=NOW + 8 * HOUR) is None
        assert deployment.sign_ins.find(begun.id, now=NOW + 8 * HOUR) is None

    def test_use_prolongs_it_but_not_for_ever(self, deployment: Deployment) -> None:
        begun = deployment.sign_in(renewal=REFRESH_TOKEN)
        for hour in range(0, 30 * 24, 7):
            assert deployment.sign_ins.find(begun.id, now=NOW + hour * HOUR) is not None, hour

        assert deployment.sign_ins.find(begun.id, now=NOW + 30 * DAY - 1) is not None
        assert deployment.sign_ins.find(begun.id, now=NOW + 30 * DAY) is None

    def test_what_cannot_be_refreshed_lives_for_less_however_it_is_used(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        assert not begun.is_refreshed
        for hour in range(8):
            assert deployment.sign_ins.find(begun.id, now=NOW + hour * HOUR) is not None, hour

        assert deployment.sign_ins.find(begun.id, now=NOW + 8 * HOUR - 1) is not None
        assert deployment.sign_ins.find(begun.id, now=NOW + 8 * HOUR) is None
        assert deployment.rows(tables.sign_ins)[0]["end_reason"] == "sign-in-expired"

    def test_a_shorter_lifetime_of_all_sign_ins_is_also_that_of_those(self, database: Database, tmp_path: Path) -> None:
        deployment = a_deployment(database, tmp_path, absolute_lifetime=HOUR)

        assert deployment.sign_in().expires_at == deployment.sign_in(renewal=REFRESH_TOKEN).expires_at == NOW + HOUR

    def test_use_is_noted_once_a_minute(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()

        def seen_after(seconds: int) -> int:
            deployment.sign_ins.find(begun.id, now=NOW + seconds)
            return int(deployment.rows(tables.sign_ins)[0]["last_seen_at"]) - NOW

        assert [seen_after(seconds) for seconds in (1, TOUCH - 1, TOUCH, TOUCH + 1, 2 * TOUCH)] == [0, 0, 60, 60, 120]

    def test_peeking_does_not_count_as_use(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.sign_ins.peek(begun.id, now=NOW + HOUR)

        assert deployment.rows(tables.sign_ins)[0]["last_seen_at"] == NOW

    def test_finding_it_expired_revokes_it_with_its_app_sessions(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.open(begun)
        deployment.sign_ins.find(begun.id, now=NOW + 8 * HOUR)
        (row,), (session,) = deployment.rows(tables.sign_ins), deployment.rows(tables.app_sessions)

        assert (row["end_reason"], session["end_reason"]) == ("sign-in-expired", "sign-in-expired")
        assert len(deployment.rows(tables.outbox)) == 1
        assert deployment.events()[-1] == ("sign-in-ended", "sign-in-expired")

    def test_a_busy_writer_does_not_fail_a_look(
        self, deployment: Deployment, database_url: Secret, tmp_path: Path
    ) -> None:
        """
        While another transaction holds the row (or, on SQLite, the file), the reader goes on unnoted.
        """
        begun = deployment.sign_in()
        database = Database(impatient(database_url))
        hurried = a_deployment(database, tmp_path)
        with deployment.database.write() as connection:
            assert deployment.sign_ins.lock(connection, begun.id) is not None

            assert hurried.sign_ins.find(begun.id, now=NOW + TOUCH) is not None
            assert hurried.sign_ins.find(begun.id, now=NOW + 8 * HOUR) is None
        assert deployment.rows(tables.sign_ins)[0]["last_seen_at"] == NOW
        database.close()

    def test_one_that_was_used_meanwhile_is_not_ended(self, deployment: Deployment) -> None:
        """
        Two requests at the edge: one checked it too old by a row that the other has touched since.
        """
        begun = deployment.sign_in(renewal=REFRESH_TOKEN)
        with deployment.database.write() as connection:
            connection.execute(tables.sign_ins.update().values(last_seen_at=NOW + 8 * HOUR))
        deployment.sign_ins._expire(begun.id, now=NOW + 8 * HOUR)

        assert deployment.sign_ins.peek(begun.id, now=NOW + 8 * HOUR) is not None


class TestRevoke:
    def test_it_is_no_longer_found(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW + 1)

        assert deployment.sign_ins.find(begun.id, now=NOW + 1) is None
        assert deployment.sign_ins.peek(begun.id, now=NOW + 1) is None
        assert deployment.events()[-1] == ("signed-out", "")

    def test_its_app_sessions_end_and_their_apps_are_notified(self, deployment: Deployment) -> None:
        begun, other = deployment.sign_in(), deployment.sign_in()
        sessions = {deployment.open(begun), deployment.open(begun)}
        untouched = deployment.open(other)
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW + 1)
        rows = {row["id"]: row for row in deployment.rows(tables.app_sessions)}

        assert deployment.notified() == sessions
        assert {row["app"] for row in deployment.rows(tables.outbox)} == {"forecast"}
        assert {rows[sid]["end_reason"] for sid in sessions} == {"signed-out"}
        assert rows[untouched]["ended_at"] is None

    def test_a_ticket_under_way_is_notified_too_and_one_that_expired_is_not(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.ticket(begun, now=NOW)
        deployment.ticket(begun, now=NOW + 20)
        under_way = max(deployment.rows(tables.app_sessions), key=lambda row: int(row["ticket_expires_at"]))
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW + 30)

        assert deployment.notified() == {under_way["id"]}
        assert all(row["ended_at"] == NOW + 30 for row in deployment.rows(tables.app_sessions))

    def test_an_expired_ticket_alone_needs_no_notification(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.ticket(begun)

        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW + 30)
        assert deployment.rows(tables.outbox) == []

    def test_revoking_again_changes_nothing(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.open(begun)
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW + 1)

        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGN_IN_ENDED, now=NOW + 2)
        deployment.sign_ins.revoke("unknown", reason=RevocationReason.SIGN_IN_ENDED, now=NOW + 2)
        assert len(deployment.rows(tables.outbox)) == 1
        assert deployment.rows(tables.sign_ins)[0]["end_reason"] == "signed-out"

    @pytest.mark.parametrize(
        ("by", "detail"),
        [("", "sign-in-ended"), ("admin-dashboard for b0b", "sign-in-ended by admin-dashboard for b0b")],
    )
    def test_who_ended_it_is_recorded(self, deployment: Deployment, by: str, detail: str) -> None:
        begun = deployment.sign_in()
        deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGN_IN_ENDED, now=NOW + 1, by=by)

        assert deployment.events()[-1] == ("sign-in-ended", detail)
        assert deployment.rows(tables.sign_ins)[0]["ended_by"] == by

    def test_what_fails_half_way_ends_nothing(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.open(begun)
        with deployment.database.write() as connection:
            tables.outbox.drop(connection)

        with pytest.raises(Exception, match="outbox"):
            deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW + 1)
        assert deployment.sign_ins.find(begun.id, now=NOW + 1) is not None
        assert deployment.rows(tables.app_sessions)[0]["ended_at"] is None


class TestSwitchTenant:
    def test_the_app_sessions_of_the_tenant_before_end(self, deployment: Deployment) -> None:
        begun = deployment.sign_in(TWO_TENANTS)
        before = deployment.open(begun)
        deployment.sign_ins.switch_tenant(begun.id, tenant="beta", now=NOW + 1)
        switched = deployment.sign_ins.find(begun.id, now=NOW + 1)

        assert deployment.notified() == {before}
        assert switched is not None
        assert switched.tenant == "beta"
        assert deployment.rows(tables.app_sessions)[0]["end_reason"] == "tenant-switched"
        assert deployment.events()[-1] == ("tenant-switched", "from acme")
        assert deployment.app_sessions.renew(deployment.open(switched), app=an_app(), now=NOW + 2)

    def test_a_tenant_of_others_is_refused(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.open(begun)

        with pytest.raises(ValueError, match="tenant"):
            deployment.sign_ins.switch_tenant(begun.id, tenant="beta", now=NOW)
        assert deployment.rows(tables.sign_ins)[0]["tenant"] == "acme"
        assert deployment.rows(tables.outbox) == []

    def test_switching_to_the_same_tenant_changes_nothing(self, deployment: Deployment) -> None:
        begun = deployment.sign_in()
        deployment.open(begun)

        deployment.sign_ins.switch_tenant(begun.id, tenant="acme", now=NOW)
        assert deployment.rows(tables.outbox) == []
        assert deployment.rows(tables.app_sessions)[0]["ended_at"] is None

    def test_an_ended_sign_in_switches_no_tenant(self, deployment: Deployment) -> None:
        ended, expired = deployment.sign_in(TWO_TENANTS), deployment.sign_in(TWO_TENANTS)
        deployment.sign_ins.revoke(ended.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

        deployment.sign_ins.switch_tenant(ended.id, tenant="beta", now=NOW)
        deployment.sign_ins.switch_tenant(expired.id, tenant="beta", now=NOW + 8 * HOUR)
        deployment.sign_ins.switch_tenant("unknown", tenant="beta", now=NOW)
        assert {row["tenant"] for row in deployment.rows(tables.sign_ins)} == {"acme"}


class TestListing:
    def test_a_tenant_sees_who_is_in_it_now(self, deployment: Deployment) -> None:
        first = deployment.sign_in(TWO_TENANTS)
        second = deployment.sign_in(an_identity(subject="bob"), now=NOW + 10)
        deployment.sign_in(an_identity(affiliations=(Affiliation(tenant="beta"),)), tenant="beta")
        ended = deployment.sign_in()
        deployment.sign_ins.revoke(ended.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

        living = deployment.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + 10)
        assert [one.id for one in living] == [second.id, first.id]
        assert deployment.sign_ins.of_tenant("acme", issuer="https://partner.example.com", now=NOW + 10) == []
        deployment.sign_ins.switch_tenant(first.id, tenant="beta", now=NOW + 11)
        assert [one.id for one in deployment.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + 11)] == [second.id]

    @pytest.mark.parametrize("later", [8 * HOUR, 30 * DAY])
    def test_those_that_are_too_old_are_not_listed(self, deployment: Deployment, later: int) -> None:
        begun = deployment.sign_in()

        assert deployment.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + later) == []
        assert deployment.sign_ins.of_identity(begun.identity.id, now=NOW + later) == []

    def test_a_tenant_of_many_is_read_in_pages_whoever_is_used_meanwhile(self, deployment: Deployment) -> None:
        begun = [deployment.sign_in(an_identity(subject=str(at)), now=NOW + at // 3).id for at in range(10)]
        seen: list[str] = []
        after: tuple[int, str] | None = None
        while page := deployment.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + 200, limit=3, after=after):
            seen += [one.id for one in page]
            after = (page[-1].created_at, page[-1].id)
            deployment.sign_ins.find(begun[0], now=NOW + 200)
        assert sorted(seen) == sorted(begun)
        assert len(seen) == len(set(seen))

    def test_one_person_has_a_bounded_number_and_what_is_used_stays(self, deployment: Deployment) -> None:
        first = deployment.sign_in()
        second = deployment.sign_in()
        deployment.sign_ins.find(first.id, now=NOW + 100)
        for _ in range(MOST_LIVING - 2):
            deployment.sign_in(now=NOW + 100)
        other = deployment.sign_in(an_identity(subject="bob"), now=NOW + 101)
        latest = deployment.sign_in(now=NOW + 101)
        living = {one.id for one in deployment.sign_ins.of_identity(an_identity().id, now=NOW + 101)}
        assert len(living) == MOST_LIVING
        assert {first.id, latest.id} <= living
        assert second.id not in living
        assert deployment.sign_ins.find(other.id, now=NOW + 101) is not None
        (row,) = [row for row in deployment.rows(tables.sign_ins) if row["id"] == second.id]
        assert row["end_reason"] == "superseded"

    def test_a_person_sees_their_own(self, deployment: Deployment) -> None:
        mine = {deployment.sign_in().id, deployment.sign_in().id}
        deployment.sign_in(an_identity(subject="bob"))

        assert {one.id for one in deployment.sign_ins.of_identity(an_identity().id, now=NOW)} == mine
