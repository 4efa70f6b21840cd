"""What is kept goes when its time is over, and not before; what is in use stays."""

from portal.access.audit import AuditEvent
from portal.access.revocation import EndReason
from portal.settings import DAY
from portal.storage import tables
from portal.storage.retention import APP_SESSIONS_KEPT, AUDIT_KEPT, SIGN_INS_KEPT, TICKETS_KEPT, purge
from tests.builders import NOW, an_identity
from tests.portal.store_environment import House


def test_a_fresh_portal_has_nothing_to_drop(house: House) -> None:
    assert purge(house.database, now=NOW) == 0


def test_an_ended_sign_in_goes_after_its_time_with_its_app_sessions(house: House) -> None:
    begun, living = house.sign_in(), house.sign_in()
    house.open(begun)
    house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW)

    purge(house.database, now=NOW + SIGN_INS_KEPT)
    assert len(house.rows(tables.sign_ins)) == 2
    purge(house.database, now=NOW + SIGN_INS_KEPT + 1)
    assert [row["id"] for row in house.rows(tables.sign_ins)] == [living.id]
    assert house.rows(tables.app_sessions) == []


def test_a_sign_in_that_nobody_ended_goes_too(house: House) -> None:
    begun = house.sign_in()
    house.open(begun)
    purge(house.database, now=begun.expires_at + SIGN_INS_KEPT + 1)

    assert house.rows(tables.sign_ins) == []
    assert house.rows(tables.app_sessions) == []


def test_a_ticket_nobody_redeemed_goes_and_an_open_session_stays(house: House) -> None:
    begun = house.sign_in()
    sid = house.open(begun)
    house.ticket(begun)
    purge(house.database, now=NOW + 30 + TICKETS_KEPT)
    assert len(house.rows(tables.app_sessions)) == 2

    assert purge(house.database, now=NOW + 31 + TICKETS_KEPT) == 1
    assert [row["id"] for row in house.rows(tables.app_sessions)] == [sid]
    assert purge(house.database, now=NOW + 30 * DAY) == 0


def test_an_ended_session_stays_while_guards_may_ask_why(house: House) -> None:
    begun = house.sign_in()
    house.open(begun)
    house.sign_ins.end(begun.id, reason=EndReason.SIGNED_OUT, now=NOW)

    assert purge(house.database, now=NOW + APP_SESSIONS_KEPT) == 0
    assert purge(house.database, now=NOW + APP_SESSIONS_KEPT + 1) == 1


def test_the_audit_goes_after_its_time_a_little_at_once(house: House) -> None:
    with house.database.write() as connection:
        for number in range(700):
            who = an_identity(subject=str(number))
            house.audit.record(AuditEvent.SIGNED_IN, now=NOW, identity=who, connection=connection)
    house.audit.record(AuditEvent.SIGNED_IN, now=NOW + 10)

    assert purge(house.database, now=NOW + AUDIT_KEPT) == 0
    assert purge(house.database, now=NOW + AUDIT_KEPT + 1) == 500
    assert purge(house.database, now=NOW + AUDIT_KEPT + 1) == 200
    assert [event for event, _ in house.events()] == ["signed-in"]
