"""The account page."""

import pytest

from portal.access.sign_ins import SignIns
from portal.errors import StoreUnavailable
from portal.rules.identity import Affiliation
from portal.sign_in.providers.base import Renewal
from portal.web.views.account import in_words
from tests.builders import ISSUER, an_identity
from tests.portal.web.deployment import OWN, TESS, Deployment, field_of

TICKET = "urn:gradio-portal:token-type:ticket"
SESSION = "urn:gradio-portal:token-type:app-session"


def test_strangers_are_sent_to_sign_in(deployment: Deployment) -> None:
    assert deployment.browser().get("/account").headers["Location"] == "/sign-in?next=%2Faccount"


def test_it_shows_identity_tenant_roles_and_end(deployment: Deployment) -> None:
    text = deployment.signed_in().get("/account").text
    for shown in ("Ana Analyst", "ana@example.com", "Example Company", "Acme", "analyst", "AI-Analysts", "8 hours"):
        assert shown in text
    assert '<time datetime="2027-01-15T08:00:00Z"' in text
    assert '<time datetime="2027-01-15T16:00:00Z"' in text  # nothing refreshes this sign-in
    assert "as of this sign-in" in text
    assert "Tenants" not in text
    assert "You are not signed in anywhere else" in text


def test_an_address_nobody_vouches_for_is_marked(deployment: Deployment) -> None:
    assert "not verified" in deployment.signed_in(an_identity(email_verified=False)).get("/account").text
    assert "No e-mail address" in deployment.signed_in(an_identity(email=None)).get("/account").text


def test_people_of_several_tenants_may_switch(deployment: Deployment) -> None:
    text = deployment.signed_in(TESS).get("/account").text
    assert "Current</span>" in text
    assert 'name="tenant" value="acme"' in text
    assert 'name="tenant" value="beta"' not in text


def test_a_tenant_without_name_is_called_by_its_id(deployment: Deployment) -> None:
    person = an_identity(affiliations=(Affiliation(), Affiliation(tenant="t-42", roles=frozenset({"Tenant Admin"}))))
    text = deployment.signed_in(person).get("/account").text
    assert "t-42" in text
    assert "No tenant" in text


def test_other_sign_ins_of_the_same_person_are_listed_and_can_be_ended(deployment: Deployment) -> None:
    here, there = deployment.signed_in(), deployment.signed_in()
    deployment.signed_in(TESS)
    page = here.get("/account")
    assert page.text.count("/end") == 1
    assert "Firefox on Linux" in page.text
    path = page.text.partition('action="/account/sign-ins/')[2].partition('"')[0]
    answer = here.post(f"/account/sign-ins/{path}", data={"csrf": field_of(page, "csrf")}, headers=OWN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    assert there.get("/").status_code == 303
    assert here.get("/").status_code == 200


def test_every_other_sign_in_is_listed_with_browser_provider_tenant_and_times(deployment: Deployment) -> None:
    there = deployment.browser()
    there.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Version/17.0 Safari/604.1"
    deployment.sign_in(there, TESS)
    deployment.now += 3600
    there.get("/account")
    deployment.now += 3600
    text = deployment.signed_in(TESS).get("/account").text
    listed = text.partition("Signed in elsewhere")[2]
    for shown in ("Safari on iPhone", "Example Company, Beta", "2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z"):
        assert shown in listed
    assert "Firefox on Linux" in text.partition("Signed in elsewhere")[0]


def test_a_sign_in_that_is_refreshed_says_how_often_and_lasts_longer(deployment: Deployment) -> None:
    deployment.provider.renewal = Renewal("refresh", "the-refresh-token")
    text = deployment.signed_in().get("/account").text
    assert "checked every 15 minutes" in text
    assert "as of this sign-in" not in text
    assert '<time datetime="2027-02-14T08:00:00Z"' in text


class TestEverywhere:
    def test_every_sign_in_of_the_person_ends_this_one_too_and_no_other_persons(self, deployment: Deployment) -> None:
        here, there, others = deployment.signed_in(), deployment.signed_in(), deployment.signed_in(TESS)
        page = here.get("/account")
        sids = []
        for browser in (here, there):
            form = {"token": deployment.launched(browser), "token_type_hint": TICKET}
            sids.append(deployment.ask("forecast", "/oauth/introspect", form).get_json()["sid"])
        assert '<button class="button button-plain" type="submit" name="everywhere" value="1">' in page.text
        answer = here.post("/sign-out", data={"csrf": field_of(page, "csrf"), "everywhere": "1"}, headers=OWN)

        assert (answer.status_code, answer.headers["Location"]) == (303, "/signed-out?provider=company")
        assert [browser.get("/account").status_code for browser in (here, there, others)] == [303, 303, 200]
        for sid in sids:
            asked = deployment.ask("forecast", "/oauth/introspect", {"token": sid, "token_type_hint": SESSION})
            assert asked.get_json() == {"active": False, "code": "signed-out"}
        recorded = deployment.services.audit.recent(issuer=ISSUER, tenant="acme", limit=20)
        assert [entry.event for entry in recorded if entry.event.startswith("signed-out")] == ["signed-out"] * 2

    @pytest.mark.parametrize(
        ("form", "headers"),
        [
            ({}, OWN),
            ({"csrf": ""}, OWN),
            ({"csrf": "guessed"}, OWN),
            ({"csrf": None}, {**OWN, "Origin": "https://forecast.apps.example.com"}),
            ({"csrf": None}, {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}),
            ({"csrf": None}, {"Origin": "null"}),
            ({"csrf": None}, {}),
        ],
    )
    def test_a_form_of_another_page_or_without_its_token_ends_nothing(
        self, deployment: Deployment, form: dict[str, str | None], headers: dict[str, str]
    ) -> None:
        here, there = deployment.signed_in(), deployment.signed_in()
        token = field_of(here.get("/account"), "csrf")
        sent = {name: token if value is None else value for name, value in form.items()}

        assert here.post("/sign-out", data={**sent, "everywhere": "1"}, headers=headers).status_code == 403
        assert [browser.get("/account").status_code for browser in (here, there)] == [200, 200]

    def test_signing_out_here_leaves_the_others(self, deployment: Deployment) -> None:
        here, there = deployment.signed_in(), deployment.signed_in()
        here.post("/sign-out", data={"csrf": field_of(here.get("/sign-out"), "csrf")}, headers=OWN)
        assert [browser.get("/account").status_code for browser in (here, there)] == [303, 200]

    def test_a_person_signed_in_once_is_not_offered_it(self, deployment: Deployment) -> None:
        assert "everywhere" not in deployment.signed_in().get("/account").text

    def test_if_the_others_cannot_be_ended_the_person_can_try_again(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here, there = deployment.signed_in(), deployment.signed_in()
        form = {"csrf": field_of(here.get("/account"), "csrf"), "everywhere": "1"}

        def fail(*_: object, **__: object) -> int:
            raise StoreUnavailable("locked")

        with monkeypatch.context() as patch:
            patch.setattr(SignIns, "revoke_selected", fail)
            assert here.post("/sign-out", data=form, headers=OWN).status_code == 503
        assert here.post("/sign-out", data=form, headers=OWN).status_code == 303
        assert [browser.get("/account").status_code for browser in (here, there)] == [303, 303]


def test_nobody_ends_somebody_elses_sign_in(deployment: Deployment) -> None:
    here, victim = deployment.signed_in(TESS), deployment.signed_in()
    other = deployment.services.sign_ins.of_identity(an_identity().id, now=deployment.now)[0]
    csrf = field_of(here.get("/account"), "csrf")
    answers = [
        here.post(f"/account/sign-ins/{target}/end", data={"csrf": csrf}, headers=OWN)
        for target in (other.id, "no-such")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert victim.get("/").status_code == 200


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(28800, "8 hours"), (7200, "2 hours"), (3600, "60 minutes"), (60, "1 minute"), (5, "1 minute")],
)
def test_durations_are_shown_as_text(seconds: int, words: str) -> None:
    assert in_words(seconds) == words


def test_strangers_cannot_switch_the_tenant(deployment: Deployment) -> None:
    assert deployment.browser().post("/tenant", data={"tenant": "acme"}, headers=OWN).status_code == 403


def test_switching_ends_what_was_open_in_the_old_tenant(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    form = {"token": deployment.launched(browser, "admin-dashboard"), "token_type_hint": TICKET}
    sid = deployment.ask("admin-dashboard", "/oauth/introspect", form).get_json()["sid"]
    csrf = field_of(browser.get("/account"), "csrf")
    answer = browser.post("/tenant", data={"csrf": csrf, "tenant": "acme", "next": "/account"}, headers=OWN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    renewed = deployment.ask("admin-dashboard", "/oauth/introspect", {"token": sid, "token_type_hint": SESSION})
    assert renewed.get_json() == {"active": False, "code": "tenant-switched"}
    assert "Roles in Acme" in browser.get("/account").text


def test_switching_to_the_current_tenant_changes_nothing(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    csrf = field_of(browser.get("/account"), "csrf")
    assert browser.post("/tenant", data={"csrf": csrf, "tenant": "beta"}, headers=OWN).headers["Location"] == "/"


@pytest.mark.parametrize("tenant", ["gamma", "", "ACME", "acme "])
def test_no_one_switches_to_a_tenant_of_others(deployment: Deployment, tenant: str) -> None:
    browser = deployment.signed_in(TESS)
    csrf = field_of(browser.get("/account"), "csrf")
    assert browser.post("/tenant", data={"csrf": csrf, "tenant": tenant}, headers=OWN).status_code == 400
    assert "Roles in Beta" in browser.get("/account").text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "/sign-out"])
def test_switching_never_leads_off_site(deployment: Deployment, target: str) -> None:
    browser = deployment.signed_in(TESS)
    csrf = field_of(browser.get("/account"), "csrf")
    answer = browser.post("/tenant", data={"csrf": csrf, "tenant": "acme", "next": target}, headers=OWN)
    assert answer.headers["Location"] == "/"
