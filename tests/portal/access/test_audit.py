"""The record: one row for the tenant's admins, one line for the operator."""

import json
import logging

import pytest
import sqlalchemy as sa

from portal.access.audit import (
    MAX_DETAIL,
    MOST_OF_ADDRESS,
    MOST_OF_ONE,
    MOST_REFUSALS_OF_ONE,
    MOST_REFUSED,
    MOST_UNNAMED,
    WINDOW,
)
from portal.access.audit_events import (
    DECLARATIONS,
    EVENT_KINDS,
    MAX_NAME,
    MAX_NAMES,
    MAX_TEXT,
    AuditEvent,
    events_of,
)
from portal.clock import rfc3339
from portal.storage import tables
from tests.builders import ISSUER, NOW, an_identity
from tests.portal.store_deployment import Deployment


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "portal.audit"]


def test_an_event_is_a_row_and_a_line(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "portal.audit")
    deployment.audit.record(
        AuditEvent.APP_DENIED,
        now=NOW,
        identity=an_identity(),
        tenant="acme",
        app="forecast",
        detail="missing-role",
        fields={"claims_sent": ("sub", "groups"), "roles": [], "denial": "missing-role"},
        reference="abcd1234",
    )
    (entry,) = deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=10)

    assert (entry.at, entry.event, entry.app, entry.detail) == (NOW, "app-denied", "forecast", "missing-role")
    assert (entry.name, entry.email, entry.tenant, entry.reference) == (
        "Ana Analyst",
        "ana@example.com",
        "acme",
        "abcd1234",
    )
    assert lines(caplog) == [
        {
            "at": rfc3339(NOW),
            "event": "app-denied",
            "identity_id": an_identity().id,
            "issuer": ISSUER,
            "tenant": "acme",
            "app": "forecast",
            "detail": "missing-role",
            "reference": "abcd1234",
            "fields": {"denial": "missing-role", "claims_sent": ["sub", "groups"]},
        }
    ]
    assert entry.fields == {"denial": "missing-role", "claims_sent": ["sub", "groups"]}


@pytest.mark.parametrize(
    "fields", [{"browser": "x"}, {"claims_sent": "sub"}, {"claims_sent": [7]}, {"denial": ["x"]}, {"denial": 7}]
)
def test_a_field_that_is_not_declared_or_of_another_kind_is_a_mistake_in_the_code(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        DECLARATIONS[AuditEvent.APP_DENIED].checked(fields)


def test_hostile_names_and_values_are_cut_and_stay_json(deployment: Deployment) -> None:
    hostile = "\0\udce9\x1b]0;x\a\u2028" * 1000
    fields: dict[str, object] = {"denial": hostile, "claims_sent": [hostile] * 1000}
    deployment.audit.record(AuditEvent.APP_DENIED, now=NOW, identity=an_identity(), tenant="acme", fields=fields)
    (row,) = deployment.rows(tables.audit)
    (entry,) = deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=1)

    assert row["fields"].isascii()
    assert row["fields"].isprintable()
    names = entry.fields["claims_sent"]
    assert isinstance(names, list)
    assert (len(names), len(names[0]), len(str(entry.fields["denial"]))) == (MAX_NAMES, MAX_NAME, MAX_TEXT)


def test_an_event_from_before_there_were_fields_has_its_text(deployment: Deployment) -> None:
    deployment.audit.record(
        AuditEvent.TENANT_SWITCHED, now=NOW, identity=an_identity(), tenant="acme", detail="from beta"
    )
    with deployment.database.write() as connection:
        connection.execute(sa.update(tables.audit).values(fields=None))
    (entry,) = deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=1)

    assert (entry.detail, entry.fields) == ("from beta", {})


def test_every_event_is_declared_and_of_one_kind() -> None:
    assert DECLARATIONS.keys() == set(AuditEvent)
    assert sorted(event for kind in EVENT_KINDS for event in events_of(kind)) == sorted(AuditEvent)


def test_the_log_line_has_no_name_and_no_line_break(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "portal.audit")
    deployment.audit.record(AuditEvent.SIGN_IN_REFUSED, now=NOW, identity=an_identity(), detail="a\nb\x1b[2J\u2028c")
    (record,) = [record for record in caplog.records if record.name == "portal.audit"]

    assert record.getMessage().isascii()
    assert record.getMessage().isprintable()
    assert "ana@example.com" not in record.getMessage()
    assert "Ana" not in record.getMessage()


@pytest.mark.parametrize(
    ("name", "email", "verified", "kept"),
    [
        ("Ana", "ana@example.com", True, ("Ana", "ana@example.com")),
        ("Ana", "ceo@example.com", False, ("Ana", None)),
        (None, "ceo@example.com", False, ("ceo@example.com (not verified)", None)),
        (None, "ana@example.com", True, (None, "ana@example.com")),
        (None, None, False, (None, None)),
    ],
)
def test_an_unverified_address_is_marked(
    deployment: Deployment, name: str | None, email: str | None, kept: tuple[str | None, str | None], *, verified: bool
) -> None:
    identity = an_identity(name=name, email=email, email_verified=verified)
    deployment.audit.record(AuditEvent.SIGNED_IN, now=NOW, identity=identity, tenant="acme")
    (entry,) = deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=1)

    assert (entry.name, entry.email) == kept


def test_a_tenant_reads_its_own_events_newest_first(deployment: Deployment) -> None:
    for number in range(5):
        deployment.audit.record(
            AuditEvent.APP_OPENED, now=NOW + number, identity=an_identity(), tenant="acme", app=f"app-{number}"
        )
    deployment.audit.record(AuditEvent.APP_OPENED, now=NOW, identity=an_identity(), tenant="beta", app="secret")
    deployment.audit.record(AuditEvent.TICKET_REFUSED, now=NOW, app="secret")

    latest = deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=3)
    assert [entry.app for entry in latest] == ["app-4", "app-3", "app-2"]
    assert deployment.audit.recent(issuer="https://partner.example.com", tenant="acme", limit=3) == []
    assert [entry.app for entry in deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=99)][-1] == "app-0"
    assert deployment.audit.recent(issuer=ISSUER, tenant="", limit=99) == []
    assert deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=-1) == []


@pytest.mark.parametrize("text", ["x" * 10_000, "nul\0", "\udce9", "ü" * 10_000])
def test_hostile_text_is_cut_and_stored(deployment: Deployment, text: str) -> None:
    deployment.audit.record(
        AuditEvent.SIGN_IN_REFUSED,
        now=NOW,
        identity=an_identity(name=text, email=text),
        tenant=text,
        app=text,
        detail=text,
        reference=text,
    )
    (row,) = deployment.rows(tables.audit)

    assert len(row["detail"]) <= MAX_DETAIL
    assert len(row["reference"]) <= 64


def test_within_a_transaction_the_row_shares_its_fate(deployment: Deployment) -> None:
    def fail() -> None:
        with deployment.database.write() as connection:
            deployment.audit.record(AuditEvent.SIGNED_IN, now=NOW, connection=connection)
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert deployment.rows(tables.audit) == []


def test_the_line_is_written_even_where_the_row_cannot_be(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "portal.audit")
    with deployment.database.write() as connection:
        tables.audit.drop(connection)

    with pytest.raises(Exception, match="audit"):
        deployment.audit.record(AuditEvent.SIGNED_IN, now=NOW)
    assert [line["event"] for line in lines(caplog)] == ["signed-in"]


def test_the_vocabulary_is_sorted_and_unique() -> None:
    values = [event.value for event in AuditEvent]

    assert values == sorted(set(values))


class TestBounds:
    """A person who causes events could fill the disk, and push everything else out of an admin's sight."""

    def deny(self, deployment: Deployment, times: int, *, subject: str = "ana", now: int = NOW) -> None:
        for _ in range(times):
            who = an_identity(subject=subject)
            deployment.audit.record(AuditEvent.APP_DENIED, now=now, identity=who, tenant="acme", detail="unknown-app")

    def test_one_person_leaves_some_of_a_kind_and_a_count_of_the_rest(
        self, deployment: Deployment, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "portal.audit")
        self.deny(deployment, MOST_OF_ONE + 2000)
        assert len(deployment.rows(tables.audit)) == len(lines(caplog)) == MOST_OF_ONE
        self.deny(deployment, 1, subject="bob")
        deployment.audit.record(AuditEvent.TENANT_SWITCHED, now=NOW, identity=an_identity(subject="ana"), tenant="acme")
        assert len(deployment.rows(tables.audit)) == MOST_OF_ONE + 2  # others, and other kinds, are not in its way

        deployment.audit.record_left_out(NOW + WINDOW - 1)
        assert len(deployment.rows(tables.audit)) == MOST_OF_ONE + 2
        deployment.audit.record_left_out(NOW + WINDOW)
        deployment.audit.record_left_out(NOW + WINDOW)
        (latest, *_) = deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=1)
        assert (latest.event, latest.detail, latest.name) == ("events-left-out", "2000 app-denied", "Ana Analyst")
        assert len(deployment.rows(tables.audit)) == MOST_OF_ONE + 3

    def test_the_next_window_begins_by_itself_and_forgets_no_count(self, deployment: Deployment) -> None:
        self.deny(deployment, MOST_OF_ONE + 5)
        self.deny(deployment, MOST_OF_ONE + 7, now=NOW + WINDOW)
        assert len(deployment.rows(tables.audit)) == 2 * MOST_OF_ONE
        deployment.audit.record_left_out(NOW + 2 * WINDOW)
        assert deployment.events()[-1] == ("events-left-out", "12 app-denied")

    def test_strangers_are_bounded_together(self, deployment: Deployment) -> None:
        for _ in range(MOST_UNNAMED + 9):
            deployment.audit.record(AuditEvent.SIGN_IN_REFUSED, now=NOW, detail="company: callback-rejected")
        deployment.audit.record_left_out(NOW + WINDOW)
        assert len(deployment.rows(tables.audit)) == MOST_UNNAMED + 1
        assert deployment.events()[-1] == ("events-left-out", "9 sign-in-refused")

    def test_a_process_that_ends_records_what_it_left_out(self, deployment: Deployment) -> None:
        self.deny(deployment, MOST_OF_ONE + 5)
        deployment.audit.record_left_out(NOW + 1, is_last=True)
        deployment.audit.record_left_out(NOW + WINDOW)
        assert deployment.events()[MOST_OF_ONE:] == [("events-left-out", "5 app-denied")]

    def test_one_address_leaves_room_for_other_strangers(self, deployment: Deployment) -> None:
        for address in ["192.0.2.1"] * (MOST_OF_ADDRESS + 500) + ["192.0.2.2"]:
            deployment.audit.record(AuditEvent.SIGN_IN_REFUSED, now=NOW, address=address)
        assert len(deployment.rows(tables.audit)) == MOST_OF_ADDRESS + 1
        deployment.audit.record_left_out(NOW + WINDOW)
        assert deployment.events()[-1] == ("events-left-out", "500 sign-in-refused")

    def test_many_addresses_are_bounded_together_and_make_one_count(self, deployment: Deployment) -> None:
        for number in range(3 * MOST_UNNAMED):
            deployment.audit.record(AuditEvent.SIGN_IN_REFUSED, now=NOW, address=f"2001:db8::{number:x}")
        assert len(deployment.audit._of_address._since) <= MOST_UNNAMED  # nor do they fill memory
        deployment.audit.record_left_out(NOW + WINDOW)
        assert len(deployment.audit._of_address._since) == 0
        assert len(deployment.rows(tables.audit)) == MOST_UNNAMED + 1
        assert deployment.events()[-1] == ("events-left-out", f"{2 * MOST_UNNAMED} sign-in-refused")

    def test_a_person_is_bounded_over_all_kinds_of_refusals_and_all_tenants(self, deployment: Deployment) -> None:
        who = an_identity(subject="ana")
        for tenant in ("acme", "beta", "gamma"):
            for _ in range(MOST_OF_ONE):
                deployment.audit.record(AuditEvent.APP_DENIED, now=NOW, identity=who, tenant=tenant)
        deployment.audit.record(AuditEvent.SIGN_IN_ENDED, now=NOW, identity=who, tenant="acme")
        events = [event for event, _ in deployment.events()]
        assert (len(events), events[-1]) == (MOST_REFUSALS_OF_ONE + 1, "sign-in-ended")  # no refusal hides an end
        deployment.audit.record_left_out(NOW + WINDOW)
        assert deployment.events()[-2:] == [("events-left-out", "20 app-denied"), ("events-left-out", "30 app-denied")]

    def test_another_name_is_not_another_person(self, deployment: Deployment) -> None:
        for number in range(MOST_OF_ONE + 5):
            who = an_identity(name=f"Ana {number}", email=f"ana+{number}@example.com")
            deployment.audit.record(AuditEvent.TENANT_SWITCHED, now=NOW, identity=who, tenant="acme")
        assert len(deployment.rows(tables.audit)) == MOST_OF_ONE

    def test_one_persons_refused_tickets_leave_room_for_the_others(self, deployment: Deployment) -> None:
        """In every minute of a window: twenty of the app and person, until the person has used up theirs."""
        for minute in range(5):
            for _ in range(MOST_REFUSED + 10):
                deployment.audit.refused_ticket(
                    now=NOW + minute * 60, app="a", reason="expired", identity=an_identity(), tenant="acme"
                )
        bob = an_identity(subject="bob")
        deployment.audit.refused_ticket(now=NOW + 240, app="a", reason="expired", identity=bob, tenant="acme")
        refused = [row for row in deployment.rows(tables.audit) if row["event"] == "ticket-refused"]
        assert sorted(row["identity_id"] == bob.id for row in refused) == [False] * MOST_REFUSED + [True]


def test_a_page_begins_where_the_one_before_ended_and_kinds_can_be_left_out(deployment: Deployment) -> None:
    for number in range(5):
        for event in (AuditEvent.APP_OPENED, AuditEvent.API_USED):
            deployment.audit.record(event, now=NOW, identity=an_identity(), tenant="acme", app=f"app-{number}")
    seen: list[str | None] = []
    before: int | None = None
    while page := deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=2, before=before, without={"api-used"}):
        seen += [entry.app for entry in page]
        before = page[-1].id
    assert seen == [f"app-{number}" for number in (4, 3, 2, 1, 0)]
