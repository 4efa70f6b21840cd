"""Switching the tenant."""

import pytest

from tests.portal.web.deployment import OWN, TESS, Deployment, field_of

TICKET = "urn:gradio-portal:token-type:ticket"
SESSION = "urn:gradio-portal:token-type:app-session"


def test_strangers_cannot(deployment: Deployment) -> None:
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


def test_switching_to_where_one_is_changes_nothing(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    csrf = field_of(browser.get("/account"), "csrf")
    assert browser.post("/tenant", data={"csrf": csrf, "tenant": "beta"}, headers=OWN).headers["Location"] == "/"


@pytest.mark.parametrize("tenant", ["gamma", "", "ACME", "acme "])
def test_nobody_gets_into_a_tenant_that_is_not_theirs(deployment: Deployment, tenant: str) -> None:
    browser = deployment.signed_in(TESS)
    csrf = field_of(browser.get("/account"), "csrf")
    assert browser.post("/tenant", data={"csrf": csrf, "tenant": tenant}, headers=OWN).status_code == 400
    assert "Roles in Beta" in browser.get("/account").text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "/sign-out"])
def test_it_never_leads_off_site(deployment: Deployment, target: str) -> None:
    browser = deployment.signed_in(TESS)
    csrf = field_of(browser.get("/account"), "csrf")
    answer = browser.post("/tenant", data={"csrf": csrf, "tenant": "acme", "next": target}, headers=OWN)
    assert answer.headers["Location"] == "/"
