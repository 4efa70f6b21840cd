"""Which sign-ins a selection means, and revoking them all."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from portal.access import sign_ins
from portal.access.audit_events import AuditEvent
from portal.access.revocation import PendingNotification, RevocationReason
from portal.access.sign_ins import Selection, SignIn, provider_session_key
from portal.rules.identity import Affiliation, Identity
from portal.settings import HOUR
from portal.storage import tables
from tests.builders import ISSUER, NOW, an_app, an_identity
from tests.portal.store_deployment import Deployment
from tests.processes import PATIENCE

PARTNER = "https://partner.example.com"
ACME, BETA = (
    Affiliation(tenant=name, tenant_name=name.title(), groups=frozenset({"AI-Analysts"})) for name in ("acme", "beta")
)
ANA = an_identity(affiliations=(ACME, BETA))
BOB = an_identity(subject="bob", name="Bob", email="Bob@Example.com", affiliations=(BETA,))
NAMELESS = an_identity(subject="nameless", name=None, email=None, affiliations=(Affiliation(),))
PRETENDER = an_identity(
    provider="partner", issuer=PARTNER, subject="eve", name="Eve", email="ANA@example.com", email_verified=False
)
"""Someone at another provider, who says that Ana's address is theirs."""
PEOPLE: dict[str, tuple[Identity, str]] = {
    "ana": (ANA, "acme"),
    "ana-too": (ANA, "beta"),
    "bob": (BOB, "beta"),
    "nameless": (NAMELESS, ""),
    "pretender": (PRETENDER, "acme"),
}
"""Who is signed in, and in which tenant."""
EVERYONE = set(PEOPLE)


SELECTED: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"everyone": True}, EVERYONE),
    ({"everyone": True, "tenant": "acme"}, {"ana", "pretender"}),
    ({"person": ANA.id}, {"ana", "ana-too"}),
    ({"person": PRETENDER.id}, {"pretender"}),
    # An address means everyone who is listed with it: better that too many sign in again than that one keeps access.
    ({"person": "ana@example.com"}, {"ana", "ana-too", "pretender"}),
    ({"person": "ANA@EXAMPLE.COM"}, {"ana", "ana-too", "pretender"}),
    ({"person": "bob@example.com"}, {"bob"}),
    ({"person": "ana@example.com", "issuer": ISSUER}, {"ana", "ana-too"}),
    ({"person": "ana@example.com", "provider": "partner"}, {"pretender"}),
    ({"person": "ana@example.com", "tenant": "beta"}, {"ana-too"}),
    ({"person": "na@example.com"}, set()),
    ({"person": "@example.com"}, set()),
    ({"person": "@"}, set()),
    ({"person": "%@example.com"}, set()),
    ({"person": ANA.id[:-1]}, set()),
    ({"person": ""}, set()),
    ({"person": "Bob"}, set()),
    ({"provider": "partner"}, {"pretender"}),
    ({"provider": "company"}, EVERYONE - {"pretender"}),
    ({"provider": ""}, set()),
    ({"tenant": "beta"}, {"ana-too", "bob"}),
    ({"tenant": "BETA"}, set()),
    ({"tenant": ""}, {"nameless"}),
    ({"tenant": "acme", "issuer": ISSUER}, {"ana"}),
    ({"tenant": "acme", "issuer": PARTNER}, {"pretender"}),
    ({"tenant": "acme", "issuer": ""}, set()),
    ({"tenant": "acme", "provider": "company", "person": BOB.id}, set()),
    ({"id": "unknown"}, set()),
    ({"id": ""}, set()),
    ({"provider_session": ""}, set()),
]
"""Conditions, and who meets them."""


@pytest.fixture
def ids(deployment: Deployment) -> dict[str, str]:
    """The ids of the sign-ins by their names in PEOPLE."""
    return {name: deployment.sign_in(identity, tenant=tenant).id for name, (identity, tenant) in PEOPLE.items()}


def found(deployment: Deployment, ids: dict[str, str], selection: Selection, *, now: int = NOW) -> set[str]:
    """Return the names of the sign-ins of *selection*."""
    names = {sign_in_id: name for name, sign_in_id in ids.items()}
    return {names[one.id] for one in deployment.sign_ins.selected(selection, now=now)}


class TestSelected:
    def test_every_condition_must_be_met(self, deployment: Deployment, ids: dict[str, str]) -> None:
        assert [(one, found(deployment, ids, Selection(**one))) for one, _ in SELECTED] == SELECTED

    def test_one_is_selected_by_its_id(self, deployment: Deployment, ids: dict[str, str]) -> None:
        assert found(deployment, ids, Selection(id=ids["bob"])) == {"bob"}
        assert found(deployment, ids, Selection(id=ids["bob"], tenant="acme")) == set()

    def test_what_no_database_holds_selects_nothing(self, deployment: Deployment, ids: dict[str, str]) -> None:
        for name in ("id", "person", "issuer", "provider", "tenant"):
            for text in ("\0", "acme\0", "\udce9", "\udce9@example.com"):
                conditions: dict[str, Any] = {"everyone": True, name: text}
                assert found(deployment, ids, Selection(**conditions)) == set(), conditions

    def test_one_can_be_left_out(self, deployment: Deployment, ids: dict[str, str]) -> None:
        everyone = Selection(everyone=True, other_than=ids["ana"])

        assert found(deployment, ids, everyone) == EVERYONE - {"ana"}
        assert found(deployment, ids, Selection(person=ANA.id, other_than=ids["ana"])) == {"ana-too"}
        assert found(deployment, ids, Selection(other_than=ids["ana"])) == set()

    def test_what_has_ended_or_expired_is_not_listed(self, deployment: Deployment, ids: dict[str, str]) -> None:
        deployment.sign_ins.revoke(ids["bob"], reason=RevocationReason.SIGNED_OUT, now=NOW)
        ids["late"] = deployment.sign_in(ANA, now=NOW + HOUR).id

        assert found(deployment, ids, Selection(everyone=True)) == (EVERYONE - {"bob"}) | {"late"}
        unused = NOW + deployment.settings.idle_lifetime
        assert found(deployment, ids, Selection(everyone=True), now=unused) == {"late"}

    def test_they_come_newest_first_over_any_number_of_pages(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sign_ins, "MOST_LISTED", 3)
        begun = [
            deployment.sign_in(replace(BOB, subject=f"bob-{at}"), tenant="beta", now=NOW + at // 2) for at in range(8)
        ]
        for at in range(4):  # those in between are no end of the list
            deployment.sign_in(replace(ANA, subject=f"ana-{at}"), now=NOW + at)
        listed = list(deployment.sign_ins.selected(Selection(person="bob@example.com"), now=NOW + 4))

        assert {one.id for one in listed} == {one.id for one in begun}
        assert len(listed) == 8
        assert [one.created_at for one in listed] == sorted((one.created_at for one in begun), reverse=True)
        deployment.sign_ins.revoke_selected(
            Selection(person="bob@example.com"), reason=RevocationReason.SIGN_IN_ENDED, now=NOW + 4
        )
        assert len(list(deployment.sign_ins.selected(Selection(everyone=True), now=NOW + 4))) == 4

    def test_a_session_at_the_provider_is_that_of_its_sign_ins(self, deployment: Deployment) -> None:
        def begin(person: Identity, session: str | None) -> str:
            return deployment.sign_ins.begin(person, tenant="beta", browser="", now=NOW, provider_session=session).id

        mine, other, unknown = begin(ANA, "one"), begin(ANA, "two"), begin(ANA, None)
        of_bob = begin(BOB, "one-of-bob")
        names = {"mine": mine, "other": other, "unknown": unknown, "bob": of_bob}
        key = provider_session_key("company", "one")

        assert found(deployment, names, Selection(provider_session=key)) == {"mine"}
        # Named together with the person, it may be any whose session the provider did not name.
        assert found(deployment, names, Selection(provider_session=key, person=ANA.id)) == {"mine", "unknown"}
        assert found(deployment, names, Selection(provider_session=key, person=BOB.id)) == set()


class TestRevokeSelected:
    def end(self, deployment: Deployment, selection: Selection, **options: Any) -> int:
        return deployment.sign_ins.revoke_selected(
            selection, reason=RevocationReason.SIGN_IN_ENDED, now=NOW, by="an operator", **options
        )

    def test_all_of_the_selection_end_with_their_app_sessions_and_no_others(
        self, deployment: Deployment, ids: dict[str, str]
    ) -> None:
        living = {one.id: one for one in deployment.sign_ins.selected(Selection(everyone=True), now=NOW)}
        opened = {name: deployment.open(living[ids[name]]) for name in ("ana", "ana-too", "bob")}

        assert self.end(deployment, Selection(person=ANA.id)) == 2
        assert deployment.notified() == {opened["ana"], opened["ana-too"]}
        assert found(deployment, ids, Selection(everyone=True)) == EVERYONE - {"ana", "ana-too"}
        ended = {
            row["id"]: (row["end_reason"], row["ended_by"])
            for row in deployment.rows(tables.sign_ins)
            if row["ended_at"]
        }
        assert ended == {ids[name]: ("sign-in-ended", "an operator") for name in ("ana", "ana-too")}
        events = [detail for event, detail in deployment.events() if event == AuditEvent.SIGN_IN_ENDED]
        assert events == ["sign-in-ended by an operator"] * 2
        recorded = deployment.audit.recent(issuer=ISSUER, tenant="acme", limit=9, only=[AuditEvent.SIGN_IN_ENDED])
        fields = {"cause": "sign-in-ended", "by": "an operator", "provider": "company"}
        assert [entry.fields for entry in recorded] == [fields] * len(recorded)
        assert recorded

    def test_a_second_time_there_is_nothing_to_end(self, deployment: Deployment, ids: dict[str, str]) -> None:
        assert self.end(deployment, Selection(everyone=True)) == len(ids)
        assert self.end(deployment, Selection(everyone=True)) == 0
        assert len([event for event, _ in deployment.events() if event == AuditEvent.SIGN_IN_ENDED]) == len(ids)

    @pytest.mark.usefixtures("ids")
    def test_nothing_selected_ends_nothing(self, deployment: Deployment) -> None:
        assert self.end(deployment, Selection()) == 0
        assert len(list(deployment.sign_ins.selected(Selection(everyone=True), now=NOW))) == len(PEOPLE)

    def test_a_limit_leaves_the_oldest_for_another_call(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sign_ins, "_REVOKED_TOGETHER", 2)
        for at in range(7):
            deployment.sign_in(replace(BOB, subject=f"bob-{at}"), tenant="beta")

        assert self.end(deployment, Selection(tenant="beta"), limit=5) == 5
        assert self.end(deployment, Selection(tenant="beta"), limit=5) == 2

    def test_someone_who_left_the_tenant_since_they_were_listed_keeps_their_sign_in(
        self, deployment: Deployment, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listed = list(deployment.sign_ins.selected(Selection(tenant="beta"), now=NOW))
        assert {one.id for one in listed} == {ids["ana-too"], ids["bob"]}
        # Exactly between listing and ending, which no test can time, Ana switches.
        monkeypatch.setattr(deployment.sign_ins, "selected", lambda *_, **__: iter(listed))
        deployment.sign_ins.switch_tenant(ids["ana-too"], tenant="acme", now=NOW)

        assert self.end(deployment, Selection(tenant="beta")) == 1
        assert deployment.sign_ins.peek(ids["ana-too"], now=NOW) is not None
        assert deployment.sign_ins.peek(ids["bob"], now=NOW) is None

    def test_someone_who_is_leaving_the_tenant_at_that_moment_keeps_their_sign_in(
        self, deployment: Deployment, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listed, table = threading.Event(), tables.sign_ins
        selected = deployment.sign_ins.selected

        def list_then_go_on(*arguments: Any, **options: Any) -> Iterator[SignIn]:
            found = list(selected(*arguments, **options))
            listed.set()
            return iter(found)

        monkeypatch.setattr(deployment.sign_ins, "selected", list_then_go_on)
        with ThreadPoolExecutor(1) as threads:
            with deployment.database.write() as connection:
                connection.execute(sa.update(table).where(table.c.id == ids["bob"]).values(tenant="acme"))
                ending = threads.submit(self.end, deployment, Selection(tenant="beta", person=BOB.id))
                assert listed.wait(PATIENCE)
            assert ending.result(PATIENCE) == 0
        assert deployment.sign_ins.peek(ids["bob"], now=NOW) is not None

    def test_apps_are_notified_in_one_attempt_however_many_sign_ins_end(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Each attempt may take two seconds, in which apps hang.
        """
        monkeypatch.setattr(sign_ins, "_REVOKED_TOGETHER", 2)
        attempts: list[int] = []

        def deliver(notifications: list[PendingNotification], now: int) -> None:
            assert now == NOW
            attempts.append(len(notifications))

        monkeypatch.setattr(deployment.outbox, "deliver", deliver)
        for at in range(9):
            deployment.open(deployment.sign_in(replace(BOB, subject=f"bob-{at}"), tenant="beta"), app=an_app())
        attempts.clear()

        assert self.end(deployment, Selection(tenant="beta")) == 9
        assert attempts == [9]

    def test_a_process_that_delivers_in_the_background_waits_for_no_app(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        callers: list[str] = []
        monkeypatch.setattr(
            deployment.outbox, "deliver", lambda *_, **__: callers.append(threading.current_thread().name)
        )
        deployment.open(deployment.sign_in(BOB, tenant="beta"), app=an_app())
        callers.clear()
        deployment.outbox.start()
        try:
            assert self.end(deployment, Selection(tenant="beta")) == 1
        finally:
            deployment.outbox.stop()  # which waits for what is under way

        assert all(name.startswith("portal-outbox") for name in callers)
