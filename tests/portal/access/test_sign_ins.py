"""Sign-ins: begun, found while they live, and ended together with everything that hangs on them."""

from pathlib import Path

import pytest

from portal.access.revocation import EndReason, PendingPush
from portal.access.sign_ins import MOST_LIVING, TOUCH
from portal.rules.identity import Affiliation
from portal.settings import DAY, HOUR, Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import ISSUER, NOW, an_app, an_identity
from tests.portal.store_environment import House, a_house, impatient

TWO_TENANTS = an_identity(
    affiliations=(
        Affiliation(tenant="acme", groups=frozenset({"AI-Analysts"})),
        Affiliation(tenant="beta", groups=frozenset({"AI-Analysts"})),
    )
)


def ended_sessions(pushes: tuple[PendingPush, ...]) -> set[str]:
    return {push.session for push in pushes}


class TestBegin:
    def test_what_begins_is_found(self, house: House) -> None:
        begun = house.sign_in()

        assert house.sign_ins.find(begun.id, now=NOW) == begun
        assert begun.identity == an_identity()
        assert begun.expires_at == NOW + 30 * DAY
        assert house.events() == [("signed-in", "")]

    def test_ids_are_unguessable(self, house: House) -> None:
        assert len(house.sign_in().id) == 32
        assert house.sign_in().id != house.sign_in().id

    def test_a_tenant_of_others_is_refused(self, house: House) -> None:
        with pytest.raises(ValueError, match="tenant"):
            house.sign_in(tenant="beta")
        assert house.rows(tables.sign_ins) == []

    def test_the_browsers_name_is_made_harmless(self, house: House) -> None:
        begun = house.sign_ins.begin(an_identity(), tenant="acme", browser="a\0b\n\udce9" + "c" * 500, now=NOW)
        found = house.sign_ins.find(begun.id, now=NOW)

        assert found is not None
        assert found.browser == "a b  " + "c" * 195

    def test_the_id_token_is_kept_sealed_for_the_providers_sign_out(self, house: House) -> None:
        begun = house.sign_ins.begin(an_identity(), tenant="acme", browser="", now=NOW, id_token="header.claims.mac")
        (row,) = house.rows(tables.sign_ins)

        assert house.sign_ins.id_token_of(begun.id) == "header.claims.mac"
        assert "header.claims.mac" not in str(row)
        assert house.sign_ins.id_token_of(house.sign_in().id) is None
        assert house.sign_ins.id_token_of("unknown") is None


class TestLifetime:
    @pytest.mark.parametrize("sign_in_id", ["", "unknown", "x" * 1000, "a\0b", "\udce9", "é"])
    def test_nobody_is_found_by_another_id(self, house: House, sign_in_id: str) -> None:
        house.sign_in()

        assert house.sign_ins.find(sign_in_id, now=NOW) is None
        assert house.sign_ins.peek(sign_in_id, now=NOW) is None

    def test_it_ends_when_it_is_not_used(self, house: House) -> None:
        begun = house.sign_in()

        assert house.sign_ins.peek(begun.id, now=NOW + 8 * HOUR - 1) is not None
        assert house.sign_ins.peek(begun.id, now=NOW + 8 * HOUR) is None
        assert house.sign_ins.find(begun.id, now=NOW + 8 * HOUR) is None

    def test_use_prolongs_it_but_not_for_ever(self, house: House) -> None:
        begun = house.sign_in()
        for hour in range(0, 30 * 24, 7):
            assert house.sign_ins.find(begun.id, now=NOW + hour * HOUR) is not None, hour

        assert house.sign_ins.find(begun.id, now=NOW + 30 * DAY - 1) is not None
        assert house.sign_ins.find(begun.id, now=NOW + 30 * DAY) is None

    def test_use_is_noted_once_a_minute(self, house: House) -> None:
        begun = house.sign_in()

        def seen_after(seconds: int) -> int:
            house.sign_ins.find(begun.id, now=NOW + seconds)
            return int(house.rows(tables.sign_ins)[0]["last_seen_at"]) - NOW

        assert [seen_after(seconds) for seconds in (1, TOUCH - 1, TOUCH, TOUCH + 1, 2 * TOUCH)] == [0, 0, 60, 60, 120]

    def test_looking_at_it_is_no_use_of_it(self, house: House) -> None:
        begun = house.sign_in()
        house.sign_ins.peek(begun.id, now=NOW + HOUR)

        assert house.rows(tables.sign_ins)[0]["last_seen_at"] == NOW

    def test_finding_it_too_old_ends_it_with_its_app_sessions(self, house: House) -> None:
        begun = house.sign_in()
        house.open(begun)
        house.sign_ins.find(begun.id, now=NOW + 8 * HOUR)
        (row,), (session,) = house.rows(tables.sign_ins), house.rows(tables.app_sessions)

        assert (row["end_reason"], session["end_reason"]) == ("sign-in-expired", "sign-in-expired")
        assert len(house.rows(tables.outbox)) == 1
        assert house.events()[-1] == ("sign-in-ended", "sign-in-expired")

    def test_a_busy_writer_does_not_fail_a_look(self, house: House, database_url: Secret, tmp_path: Path) -> None:
        """
        While another transaction holds the row (or, on SQLite, the file), the reader goes on unnoted.
        """
        begun = house.sign_in()
        database = Database(impatient(database_url))
        hurried = a_house(database, tmp_path)
        with house.database.write() as connection:
            assert house.sign_ins.lock(connection, begun.id) is not None

            assert hurried.sign_ins.find(begun.id, now=NOW + TOUCH) is not None
            assert hurried.sign_ins.find(begun.id, now=NOW + 8 * HOUR) is None
        assert house.rows(tables.sign_ins)[0]["last_seen_at"] == NOW
        database.close()

    def test_one_that_was_used_meanwhile_is_not_ended(self, house: House) -> None:
        """
        Two requests at the edge: one judged it too old by a row that the other has touched since.
        """
        begun = house.sign_in()
        with house.database.write() as connection:
            connection.execute(tables.sign_ins.update().values(last_seen_at=NOW + 8 * HOUR))
        house.sign_ins._expire(begun.id, now=NOW + 8 * HOUR)

        assert house.sign_ins.peek(begun.id, now=NOW + 8 * HOUR) is not None


class TestEnd:
    def test_it_is_found_no_more(self, house: House) -> None:
        begun = house.sign_in()
        house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW + 1)

        assert house.sign_ins.find(begun.id, now=NOW + 1) is None
        assert house.sign_ins.peek(begun.id, now=NOW + 1) is None
        assert house.events()[-1] == ("signed-out", "")

    def test_its_app_sessions_end_and_their_apps_are_to_be_told(self, house: House) -> None:
        begun, other = house.sign_in(), house.sign_in()
        sessions = {house.open(begun), house.open(begun)}
        untouched = house.open(other)
        pushes = house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW + 1)
        rows = {row["id"]: row for row in house.rows(tables.app_sessions)}

        assert ended_sessions(pushes) == sessions
        assert {push.app for push in pushes} == {"forecast"}
        assert {rows[sid]["end_reason"] for sid in sessions} == {"signed-out"}
        assert rows[untouched]["ended_at"] is None
        assert {row["id"] for row in house.rows(tables.outbox)} == {push.id for push in pushes}

    def test_a_ticket_under_way_is_pushed_too_and_one_that_is_over_is_not(self, house: House) -> None:
        begun = house.sign_in()
        house.ticket(begun, now=NOW)
        house.ticket(begun, now=NOW + 20)
        under_way = max(house.rows(tables.app_sessions), key=lambda row: int(row["ticket_expires_at"]))
        pushes = house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW + 30)

        assert ended_sessions(pushes) == {under_way["id"]}
        assert all(row["ended_at"] == NOW + 30 for row in house.rows(tables.app_sessions))

    def test_where_only_a_ticket_is_left_that_is_over_nobody_is_told(self, house: House) -> None:
        begun = house.sign_in()
        house.ticket(begun)

        assert house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW + 30) == ()
        assert house.rows(tables.outbox) == []

    def test_ending_again_changes_nothing(self, house: House) -> None:
        begun = house.sign_in()
        house.open(begun)
        house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW + 1)

        assert house.sign_ins.end(begun.id, reason=EndReason.SIGN_IN_ENDED, now=NOW + 2) == ()
        assert house.sign_ins.end("unknown", reason=EndReason.SIGN_IN_ENDED, now=NOW + 2) == ()
        assert house.rows(tables.sign_ins)[0]["end_reason"] == "signed-out"

    @pytest.mark.parametrize(
        ("by", "detail"),
        [("", "sign-in-ended"), ("admin-dashboard for b0b", "sign-in-ended by admin-dashboard for b0b")],
    )
    def test_who_ended_it_is_recorded(self, house: House, by: str, detail: str) -> None:
        begun = house.sign_in()
        house.sign_ins.end(begun.id, reason=EndReason.SIGN_IN_ENDED, now=NOW + 1, by=by)

        assert house.events()[-1] == ("sign-in-ended", detail)
        assert house.rows(tables.sign_ins)[0]["ended_by"] == by

    def test_what_fails_half_way_ends_nothing(self, house: House) -> None:
        begun = house.sign_in()
        house.open(begun)
        with house.database.write() as connection:
            tables.outbox.drop(connection)

        with pytest.raises(Exception, match="outbox"):
            house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW + 1)
        assert house.sign_ins.find(begun.id, now=NOW + 1) is not None
        assert house.rows(tables.app_sessions)[0]["ended_at"] is None


class TestSwitchTenant:
    def test_the_app_sessions_of_the_tenant_before_end(self, house: House) -> None:
        begun = house.sign_in(TWO_TENANTS)
        before = house.open(begun)
        pushes = house.sign_ins.switch_tenant(begun.id, tenant="beta", now=NOW + 1)
        switched = house.sign_ins.find(begun.id, now=NOW + 1)

        assert ended_sessions(pushes) == {before}
        assert switched is not None
        assert switched.tenant == "beta"
        assert house.rows(tables.app_sessions)[0]["end_reason"] == "tenant-switched"
        assert house.events()[-1] == ("tenant-switched", "from acme")
        assert house.app_sessions.renew(house.open(switched), app=an_app(), now=NOW + 2)

    def test_a_tenant_of_others_is_refused(self, house: House) -> None:
        begun = house.sign_in()
        house.open(begun)

        with pytest.raises(ValueError, match="tenant"):
            house.sign_ins.switch_tenant(begun.id, tenant="beta", now=NOW)
        assert house.rows(tables.sign_ins)[0]["tenant"] == "acme"
        assert house.rows(tables.outbox) == []

    def test_to_the_same_tenant_nothing_changes(self, house: House) -> None:
        begun = house.sign_in()
        house.open(begun)

        assert house.sign_ins.switch_tenant(begun.id, tenant="acme", now=NOW) == ()
        assert house.rows(tables.app_sessions)[0]["ended_at"] is None

    def test_what_has_ended_switches_no_more(self, house: House) -> None:
        ended, expired = house.sign_in(TWO_TENANTS), house.sign_in(TWO_TENANTS)
        house.sign_ins.end(ended.id, reason=EndReason.SIGNED_OUT, now=NOW)

        assert house.sign_ins.switch_tenant(ended.id, tenant="beta", now=NOW) == ()
        assert house.sign_ins.switch_tenant(expired.id, tenant="beta", now=NOW + 8 * HOUR) == ()
        assert house.sign_ins.switch_tenant("unknown", tenant="beta", now=NOW) == ()
        assert {row["tenant"] for row in house.rows(tables.sign_ins)} == {"acme"}


class TestListing:
    def test_a_tenant_sees_who_is_in_it_now(self, house: House) -> None:
        first = house.sign_in(TWO_TENANTS)
        second = house.sign_in(an_identity(subject="bob"), now=NOW + 10)
        house.sign_in(an_identity(affiliations=(Affiliation(tenant="beta"),)), tenant="beta")
        ended = house.sign_in()
        house.sign_ins.end(ended.id, reason=EndReason.SIGNED_OUT, now=NOW)

        living = house.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + 10)
        assert [one.id for one in living] == [second.id, first.id]
        assert house.sign_ins.of_tenant("acme", issuer="https://partner.example.com", now=NOW + 10) == []
        house.sign_ins.switch_tenant(first.id, tenant="beta", now=NOW + 11)
        assert [one.id for one in house.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + 11)] == [second.id]

    @pytest.mark.parametrize("later", [8 * HOUR, 30 * DAY])
    def test_those_that_are_too_old_are_not_listed(self, house: House, later: int) -> None:
        begun = house.sign_in()

        assert house.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + later) == []
        assert house.sign_ins.of_identity(begun.identity.id, now=NOW + later) == []

    def test_a_tenant_of_many_is_read_in_pages_whoever_is_used_meanwhile(self, house: House) -> None:
        begun = [house.sign_in(an_identity(subject=str(at)), now=NOW + at // 3).id for at in range(10)]
        seen: list[str] = []
        after: tuple[int, str] | None = None
        while page := house.sign_ins.of_tenant("acme", issuer=ISSUER, now=NOW + 200, limit=3, after=after):
            seen += [one.id for one in page]
            after = (page[-1].created_at, page[-1].id)
            house.sign_ins.find(begun[0], now=NOW + 200)
        assert sorted(seen) == sorted(begun)
        assert len(seen) == len(set(seen))

    def test_one_person_has_a_bounded_number_and_what_is_used_stays(self, house: House) -> None:
        first = house.sign_in()
        second = house.sign_in()
        house.sign_ins.find(first.id, now=NOW + 100)
        for _ in range(MOST_LIVING - 2):
            house.sign_in(now=NOW + 100)
        other = house.sign_in(an_identity(subject="bob"), now=NOW + 101)
        latest = house.sign_in(now=NOW + 101)
        living = {one.id for one in house.sign_ins.of_identity(an_identity().id, now=NOW + 101)}
        assert len(living) == MOST_LIVING
        assert {first.id, latest.id} <= living
        assert second.id not in living
        assert house.sign_ins.find(other.id, now=NOW + 101) is not None
        (row,) = [row for row in house.rows(tables.sign_ins) if row["id"] == second.id]
        assert row["end_reason"] == "superseded"

    def test_a_person_sees_their_own(self, house: House) -> None:
        mine = {house.sign_in().id, house.sign_in().id}
        house.sign_in(an_identity(subject="bob"))

        assert {one.id for one in house.sign_ins.of_identity(an_identity().id, now=NOW)} == mine
