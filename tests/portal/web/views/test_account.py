"""The account page."""

import pytest

from portal.rules.identity import Affiliation
from portal.web.views.account import in_words
from tests.builders import an_identity
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
    assert '<time datetime="2027-02-14T08:00:00Z"' in text
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
