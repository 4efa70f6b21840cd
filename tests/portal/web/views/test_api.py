"""The portal's API for apps."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from portal.access.audit import MOST_OF_ONE
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import Selection
from portal.clock import rfc3339
from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET
from portal.rules.identity import Affiliation, Identity
from portal.web.views import api
from portal.web.views.oauth import TOKEN_EXCHANGE
from tests.builders import ISSUER, an_identity
from tests.portal.web.deployment import OWN, TESS, Deployment, field_of

ALL = "audit:read sign-ins:read sign-ins:end"


class Dashboard:
    """The admin dashboard, opened by Tess, calling the portal."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.browser = deployment.signed_in(TESS)
        form = {"token": deployment.launched(self.browser, "admin-dashboard"), "token_type_hint": HINT_TICKET}
        self.sid = deployment.ask("admin-dashboard", "/oauth/introspect", form).get_json()["sid"]

    def token(self, scope: str = ALL) -> str:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token_type": HINT_APP_SESSION,
            "subject_token": self.sid,
            "scope": scope,
        }
        return str(self.deployment.ask("admin-dashboard", "/oauth/token", form).get_json()["access_token"])

    def bearer(self, scope: str = ALL) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(scope)}"}


BOB = replace(TESS, subject="bob", name="Bob", email="bob@example.com")
CAROL = replace(TESS, subject="carol", name="Carol", email="carol@example.com")


@pytest.fixture
def dashboard(deployment: Deployment) -> Dashboard:
    return Dashboard(deployment)


CALLS = [
    ("GET", "/api/sign-ins"),
    ("GET", "/api/audit"),
    ("POST", "/api/sign-ins/x/end"),
    ("POST", "/api/sign-ins/end"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    ("header", "error"),
    [
        (None, None),
        ("Bearer", None),
        ("Basic eDp5", None),
        ("Bearer forged", "invalid_token"),
        ("Bearer ü", "invalid_token"),
        ("Bearer " + "x" * 5000, "invalid_token"),
    ],
)
def test_strangers_learn_nothing(
    deployment: Deployment, method: str, path: str, header: str | None, error: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = deployment.browser().open(path, method=method, headers=headers)
    assert answer.status_code == 401
    assert answer.get_json() == ({} if error is None else {"error": error})
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="portal"')


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("purpose", ["sign-in attempt", "signing keys"])
def test_values_sealed_for_another_purpose_are_not_tokens(
    deployment: Deployment, method: str, path: str, purpose: str
) -> None:
    from portal.storage.sealing import Sealer

    sealed = Sealer(deployment.settings.secret_keys, purpose=purpose).seal(b'{"app":"admin-dashboard"}')
    answer = deployment.browser().open(path, method=method, headers={"Authorization": f"Bearer {sealed}"})
    assert answer.get_json() == {"error": "invalid_token"}


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/sign-ins", "audit:read sign-ins:end"),
        ("GET", "/api/audit", "sign-ins:read sign-ins:end"),
        ("POST", "/api/sign-ins/x/end", "audit:read sign-ins:read"),
        ("POST", "/api/sign-ins/end", "audit:read sign-ins:read"),
    ],
)
def test_a_token_is_good_for_its_scopes_only(dashboard: Dashboard, method: str, path: str, scope: str) -> None:
    answer = dashboard.deployment.browser().open(path, method=method, headers=dashboard.bearer(scope))
    assert answer.status_code == 403
    assert answer.get_json() == {"error": "insufficient_scope"}
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_the_sign_ins_of_the_tenant_are_listed_and_no_others(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    deployment.signed_in()  # Ana, in acme
    colleague = replace(TESS, subject="bob", name="Bob", email="ceo@example.com", email_verified=False)
    deployment.signed_in(colleague)
    listed = deployment.browser().get("/api/sign-ins", headers=dashboard.bearer()).get_json()["sign_ins"]
    assert {entry["name"]: entry["current"] for entry in listed} == {"Tess Two-Tenants": True, "Bob": False}
    assert {entry["name"]: entry["email_verified"] for entry in listed} == {"Tess Two-Tenants": True, "Bob": False}
    tess = next(entry for entry in listed if entry["current"])
    assert tess == {
        "id": tess["id"],
        "person": TESS.id,
        "name": "Tess Two-Tenants",
        "email": "tess@example.com",
        "email_verified": True,
        "tenant": "beta",
        "roles": ["admin"],
        "provider": "Example Company",
        "since": rfc3339(deployment.now),
        "last_seen": rfc3339(deployment.now),
        "until": rfc3339(deployment.now + deployment.settings.lifetime_without_refresh),
        "current": True,
    }


def test_recent_events_of_the_tenant_are_listed_and_no_others(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    deployment.signed_in()
    bearer = dashboard.bearer("audit:read")
    events = deployment.browser().get("/api/audit", headers=bearer).get_json()["events"]
    assert [event["event"] for event in events] == ["api-used", "app-opened", "signed-in"]
    assert {event["email"] for event in events} == {"tess@example.com"}
    assert set(events[0]) == {"at", "event", "name", "email", "app", "detail", "fields"}
    assert events[0]["fields"] == {"rights": ["audit:read"]}
    assert events[0]["at"] == rfc3339(deployment.now)
    assert len(deployment.browser().get("/api/audit?limit=1", headers=bearer).get_json()["events"]) == 1


@pytest.mark.parametrize("limit", ["0", "-1", "201", "99999999999999999999"])
def test_a_limit_out_of_bounds_is_refused(dashboard: Dashboard, limit: str) -> None:
    answer = dashboard.deployment.browser().get(f"/api/audit?limit={limit}", headers=dashboard.bearer())
    assert (answer.status_code, answer.get_json()) == (400, {"error": "invalid_request"})


def pages(dashboard: Dashboard, path: str, name: str) -> list[list[dict[str, object]]]:
    """Return every page of a list."""
    found: list[list[dict[str, object]]] = []
    after = ""
    while True:
        answer = dashboard.deployment.browser().get(f"{path}{after}", headers=dashboard.bearer()).get_json()
        found.append(answer[name])
        if answer["next"] is None:
            return found
        after = f"&cursor={answer['next']}"


def test_lists_go_on_page_by_page_to_their_end(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    for number in range(6):
        deployment.signed_in(replace(TESS, subject=f"bob-{number}", name=f"Bob {number}"))
    events = pages(dashboard, "/api/audit?limit=3&without=api-used", "events")
    assert [len(page) for page in events] == [3, 3, 2]
    assert [event["event"] for page in events for event in page] == ["signed-in"] * 6 + ["app-opened", "signed-in"]
    people = pages(dashboard, "/api/sign-ins?limit=3", "sign_ins")
    assert [len(page) for page in people] == [3, 3, 1]
    assert len({one["id"] for page in people for one in page}) == 7


def test_events_are_listed_by_kind_so_that_refusals_do_not_hide_what_was_changed(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    ended = deployment.signed_in(replace(TESS, subject="bob", name="Bob"))
    listed = deployment.browser().get("/api/sign-ins", headers=dashboard.bearer()).get_json()["sign_ins"]
    (bob,) = [one["id"] for one in listed if one["name"] == "Bob"]
    for _ in range(30):
        assert ended.get("/apps/nothing/").status_code == 404
    deployment.browser().post(f"/api/sign-ins/{bob}/end", headers=dashboard.bearer())
    others = deployment.signed_in(replace(TESS, subject="eve", name="Eve"))
    for _ in range(600):
        others.get("/apps/nothing/")

    seen = {
        kind: [
            event["event"] for page in pages(dashboard, f"/api/audit?limit=20&kind={kind}", "events") for event in page
        ]
        for kind in ("access", "changes", "refusals")
    }
    assert seen["changes"] == ["sign-in-ended"]
    assert set(seen["refusals"]) == {"app-denied"}
    assert len(seen["refusals"]) <= 2 * MOST_OF_ONE
    assert set(seen["access"]) == {"api-used", "app-opened", "signed-in"}


@pytest.mark.parametrize("kind", ["", "Changes", "nothing", "sign-in-ended"])
def test_an_unknown_kind_is_refused_and_not_everything(dashboard: Dashboard, kind: str) -> None:
    answer = dashboard.deployment.browser().get(f"/api/audit?kind={kind}", headers=dashboard.bearer())
    assert (answer.status_code, answer.get_json()) == (400, {"error": "invalid_request"})


def test_a_cursor_is_opaque_and_valid_for_its_list_only(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    for number in range(3):
        deployment.signed_in(replace(TESS, subject=f"bob-{number}", name=f"Bob {number}"))
    browser = deployment.browser()
    cursor = browser.get("/api/audit?limit=1", headers=dashboard.bearer()).get_json()["next"]
    assert len(cursor) > 60  # the number of an entry would count what happens in other tenants
    for path in (
        f"/api/sign-ins?cursor={cursor}",
        "/api/audit?cursor=7",
        "/api/audit?cursor=",
        "/api/sign-ins?limit=501",
    ):
        answer = browser.get(path, headers=dashboard.bearer())
        assert (answer.status_code, answer.get_json()) == (400, {"error": "invalid_request"})


def test_an_admin_ends_a_sign_in_of_their_tenant(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    colleague = replace(TESS, subject="bob", name="Bob", email=None, email_verified=False)
    bob = deployment.signed_in(colleague)
    listed = deployment.browser().get("/api/sign-ins", headers=dashboard.bearer()).get_json()["sign_ins"]
    target = next(entry["id"] for entry in listed if entry["name"] == "Bob")
    answer = deployment.browser().post(f"/api/sign-ins/{target}/end", headers=dashboard.bearer())
    assert answer.status_code == 204
    assert bob.get("/").status_code == 303
    latest = deployment.services.audit.recent(issuer=ISSUER, tenant="beta", limit=5)
    (event,) = [event for event in latest if event.event == "sign-in-ended"]
    assert "tess@example.com in admin-dashboard" in event.detail
    assert deployment.browser().post(f"/api/sign-ins/{target}/end", headers=dashboard.bearer()).status_code == 404


def test_another_tenants_sign_in_does_not_exist(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    ana = deployment.signed_in()
    target = deployment.services.sign_ins.of_identity(an_identity().id, now=deployment.now)[0].id
    answers = [
        deployment.browser().post(f"/api/sign-ins/{one}/end", headers=dashboard.bearer()) for one in (target, "unknown")
    ]
    assert [(answer.status_code, answer.get_json()) for answer in answers] == [(404, {"error": "not_found"})] * 2
    assert ana.get("/").status_code == 200


class TestSeveral:
    """
    Tess administers Beta.  What is not in Beta of her issuer now does not exist for her.
    """

    def end(self, dashboard: Dashboard, **form: Any) -> tuple[int, object]:
        answer = dashboard.deployment.browser().post("/api/sign-ins/end", data=form, headers=dashboard.bearer())
        return answer.status_code, answer.get_json()

    def living(self, dashboard: Dashboard) -> set[str]:
        sign_ins, now = dashboard.deployment.services.sign_ins, dashboard.deployment.now
        return {one.id for one in sign_ins.selected(Selection(everyone=True), now=now)}

    def begin(self, dashboard: Dashboard, person: Identity, *, tenant: str = "beta") -> str:
        sign_ins, now = dashboard.deployment.services.sign_ins, dashboard.deployment.now
        return sign_ins.begin(person, tenant=tenant, browser="", now=now).id

    def test_all_of_a_persons_end(self, dashboard: Dashboard) -> None:
        bob = [self.begin(dashboard, BOB) for _ in range(3)]
        carol = self.begin(dashboard, CAROL)

        assert self.end(dashboard, person=BOB.id) == (200, {"ended": 3, "more": False})
        assert self.living(dashboard).isdisjoint(bob)
        assert carol in self.living(dashboard)
        assert self.end(dashboard, person=BOB.id) == (200, {"ended": 0, "more": False})
        latest = dashboard.deployment.services.audit.recent(issuer=ISSUER, tenant="beta", limit=20)
        ended = [(event.name, event.detail) for event in latest if event.event == "sign-in-ended"]
        assert ended == [("Bob", "sign-in-ended by tess@example.com in admin-dashboard")] * 3

    def test_all_of_the_tenants_end_but_the_one_that_asks(self, dashboard: Dashboard) -> None:
        own = self.living(dashboard)
        for person in (BOB, CAROL, TESS):
            self.begin(dashboard, person)

        assert self.end(dashboard, all="1") == (200, {"ended": 3, "more": False})
        assert self.living(dashboard) == own
        assert self.end(dashboard, person=TESS.id) == (200, {"ended": 0, "more": False})
        assert dashboard.browser.get("/account").status_code == 200

    def test_many_end_in_several_calls(self, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api, "MOST_ENDED", 2)
        for _ in range(4):
            self.begin(dashboard, BOB)

        assert [self.end(dashboard, all="1") for _ in range(3)] == [
            (200, {"ended": 2, "more": True}),
            (200, {"ended": 2, "more": False}),
            (200, {"ended": 0, "more": False}),
        ]

    @pytest.mark.parametrize(
        "form",
        [
            {},
            {"person": ""},
            {"all": ""},
            {"all": "0"},
            {"all": "true"},
            {"person": "", "all": "1"},
            {"person": BOB.id, "all": "1"},
            {"tenant": "beta"},
            {"provider": "company"},
            {"id": "x"},
            {"sign_in_id": "x"},
            {"everyone": "1"},
            {"all": ["1", "1"]},
            {"person": [BOB.id, BOB.id]},
            # It may have another meaning one day, and must not be passed over until then.
            {"person": BOB.id, "tenant": "acme"},
            {"all": "1", "tenant": "acme"},
            {"all": "1", "issuer": "https://partner.example.com"},
            {"person": "ana@example.com"},
            {"person": "tess@example.com"},
        ],
    )
    def test_what_does_not_name_one_person_or_all_ends_nothing(
        self, dashboard: Dashboard, form: dict[str, Any]
    ) -> None:
        for person in (BOB, TESS):
            self.begin(dashboard, person)
        before = self.living(dashboard)

        assert self.end(dashboard, **form) == (400, {"error": "invalid_request"})
        assert self.living(dashboard) == before

    @pytest.mark.parametrize("query", ["all=1", f"person={BOB.id}"])
    def test_an_address_names_nobody(self, dashboard: Dashboard, query: str) -> None:
        self.begin(dashboard, BOB)
        before = self.living(dashboard)
        answer = dashboard.deployment.browser().post(f"/api/sign-ins/end?{query}", headers=dashboard.bearer())

        assert (answer.status_code, answer.get_json()) == (400, {"error": "invalid_request"})
        assert self.living(dashboard) == before

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_a_link_ends_nothing(self, dashboard: Dashboard, method: str) -> None:
        answer = dashboard.deployment.browser().open(
            "/api/sign-ins/end?all=1", method=method, headers=dashboard.bearer()
        )
        assert answer.status_code == 405

    @pytest.mark.parametrize("names_all", [True, False])
    def test_the_same_persons_sign_ins_in_another_tenant_stay(self, dashboard: Dashboard, *, names_all: bool) -> None:
        """
        Bob belongs to both tenants: that of his sign-in now counts, not where he could go.
        """
        here = self.begin(dashboard, BOB)
        there, ana = self.begin(dashboard, BOB, tenant="acme"), self.begin(dashboard, an_identity(), tenant="acme")
        form = {"all": "1"} if names_all else {"person": BOB.id}

        assert self.end(dashboard, **form) == (200, {"ended": 1, "more": False})
        assert {there, ana} <= self.living(dashboard)
        assert here not in self.living(dashboard)

    @pytest.mark.parametrize("names_all", [True, False])
    def test_people_of_another_issuer_stay(self, dashboard: Dashboard, *, names_all: bool) -> None:
        """
        Their tenant has the same name; one of them claims Tess' address, one her subject.
        """
        strangers = [
            replace(TESS, provider="partner", issuer="https://partner.example.com"),
            replace(TESS, provider="company", issuer="https://partner.example.com", subject="eve"),
        ]
        for stranger in strangers:
            hers = self.begin(dashboard, stranger)
            form = {"all": "1"} if names_all else {"person": stranger.id}

            assert self.end(dashboard, **form) == (200, {"ended": 0, "more": False})
            assert hers in self.living(dashboard)
            answer = dashboard.deployment.browser().post(f"/api/sign-ins/{hers}/end", headers=dashboard.bearer())
            assert answer.status_code == 404
            assert hers in self.living(dashboard)

    def test_who_switched_to_the_tenant_and_away_again_stays(self, dashboard: Dashboard) -> None:
        sign_ins, now = dashboard.deployment.services.sign_ins, dashboard.deployment.now
        bob = self.begin(dashboard, BOB, tenant="acme")
        sign_ins.switch_tenant(bob, tenant="beta", now=now)
        sign_ins.switch_tenant(bob, tenant="acme", now=now)

        assert self.end(dashboard, person=BOB.id) == (200, {"ended": 0, "more": False})
        assert (
            dashboard.deployment.browser().post(f"/api/sign-ins/{bob}/end", headers=dashboard.bearer()).status_code
            == 404
        )
        assert bob in self.living(dashboard)

    def test_who_is_in_no_tenant_is_in_none_of_theirs(self, dashboard: Dashboard) -> None:
        without = replace(BOB, subject="without", affiliations=(Affiliation(),))
        theirs = self.begin(dashboard, without, tenant="")

        assert self.end(dashboard, person=without.id) == (200, {"ended": 0, "more": False})
        assert self.end(dashboard, all="1") == (200, {"ended": 0, "more": False})
        assert theirs in self.living(dashboard)

    def test_an_admin_of_nothing_here_ends_nothing(self, dashboard: Dashboard) -> None:
        """
        In Acme, Tess is no admin: her dashboard has ended with the switch, and its token with it.
        """
        headers, ana = dashboard.bearer(), self.begin(dashboard, an_identity(), tenant="acme")
        csrf = field_of(dashboard.browser.get("/account"), "csrf")
        dashboard.browser.post("/tenant", data={"csrf": csrf, "tenant": "acme"}, headers=OWN)
        answer = dashboard.deployment.browser().post("/api/sign-ins/end", data={"all": "1"}, headers=headers)

        assert answer.status_code == 401
        assert ana in self.living(dashboard)


def test_a_look_up_does_not_count_as_use(dashboard: Dashboard) -> None:
    deployment = dashboard.deployment
    deployment.signed_in()
    target = deployment.services.sign_ins.of_identity(an_identity().id, now=deployment.now)[0]
    deployment.now += 120
    deployment.browser().post(f"/api/sign-ins/{target.id}/end", headers=dashboard.bearer())

    assert (
        deployment.services.sign_ins.of_identity(an_identity().id, now=deployment.now)[0].last_seen_at
        == target.last_seen_at
    )


# A token outlives nothing it stands on.


def refused(dashboard: Dashboard, headers: dict[str, str]) -> bool:
    answer = dashboard.deployment.browser().get("/api/sign-ins", headers=headers)
    return (answer.status_code, answer.get_json()) == (401, {"error": "invalid_token"})


def test_a_token_lives_for_a_minute(dashboard: Dashboard) -> None:
    headers = dashboard.bearer()
    dashboard.deployment.now += 59
    assert not refused(dashboard, headers)
    dashboard.deployment.now += 1
    assert refused(dashboard, headers)


def test_a_token_ends_with_the_sign_in(dashboard: Dashboard) -> None:
    headers, deployment = dashboard.bearer(), dashboard.deployment
    sign_in = deployment.services.sign_ins.of_identity(TESS.id, now=deployment.now)[0]
    deployment.services.sign_ins.revoke(sign_in.id, reason=RevocationReason.SIGN_IN_ENDED, now=deployment.now)
    assert refused(dashboard, headers)


def test_a_token_ends_with_the_tenant(dashboard: Dashboard) -> None:
    headers = dashboard.bearer()
    csrf = field_of(dashboard.browser.get("/account"), "csrf")
    browser: FlaskClient = dashboard.browser
    browser.post("/tenant", data={"csrf": csrf, "tenant": "acme"}, headers=OWN)
    assert refused(dashboard, headers)


def test_a_tenant_of_another_provider_with_the_same_name_is_another(dashboard: Dashboard) -> None:
    """
    Whoever administers one provider can call a tenant of theirs as they like: it gives them nobody else's people.
    """
    deployment = dashboard.deployment
    stranger = replace(TESS, provider="partner", issuer="https://partner.example.com", subject="eve", name="Eve")
    eve = deployment.signed_in(stranger)
    listed = deployment.browser().get("/api/sign-ins", headers=dashboard.bearer()).get_json()["sign_ins"]
    assert "Eve" not in {entry["name"] for entry in listed}
    events = deployment.browser().get("/api/audit", headers=dashboard.bearer()).get_json()["events"]
    assert "Eve" not in {event["name"] for event in events}
    (hers,) = deployment.services.sign_ins.of_tenant("beta", issuer=stranger.issuer, now=deployment.now)
    answer = deployment.browser().post(f"/api/sign-ins/{hers.id}/end", headers=dashboard.bearer())
    assert answer.status_code == 404
    assert eve.get("/account").status_code == 200
