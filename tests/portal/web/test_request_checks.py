"""The checks of every request."""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from portal.rules.provider_paths import takes_logout_tokens
from tests.builders import PORTAL
from tests.portal.web.deployment import OWN, TESS, Deployment, field_of

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
MACHINE = ("/oauth/", "/api/", "/auth/oauth/<provider>/backchannel-logout")
"""Beginnings of the routes that read no cookie, and so need neither."""


@pytest.mark.parametrize("path", ["/", "/sign-in", "/apps/forecast/", "/oauth/introspect", "/api/audit", "/nothing"])
@pytest.mark.parametrize("base", ["https://evil.example", "https://127.0.0.1", "https://portal.example.com:8443"])
def test_other_names_are_refused_everywhere(deployment: Deployment, path: str, base: str) -> None:
    answer = deployment.signed_in().get(path, base_url=base)
    assert answer.status_code == 400
    assert "evil.example" not in answer.text


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/", "/"),
        ("/account", "/account"),
        ("/apps/forecast/a?tags=x|y", "/apps/forecast/a?tags=x%7Cy"),
        ("/sign-out", "/"),
        ("/apps/forecast/.portal/launch?next=/x", "/"),
        ("/%5Cevil.example", "/"),
        ("/..%2F/evil.example", "/"),
        ("/@evil.example", "/@evil.example"),
        ("/?x=%22%3E%3Cscript%3E", "/?x=%22%3E%3Cscript%3E"),
        ("/?" + "x" * 5000, "/"),
    ],
)
def test_the_page_that_refuses_another_name_leads_to_the_right_one(
    deployment: Deployment, asked: str, led_to: str
) -> None:
    answer = deployment.browser().get(asked, base_url="https://localhost")
    links = [unescape(link) for link in re.findall(r'<a [^>]*href="([^"]*)"', answer.text)]
    assert answer.status_code == 400
    assert links == [f"{PORTAL}{led_to}"]
    assert urlsplit(links[0]).netloc == urlsplit(PORTAL).netloc
    assert f'The portal\'s address is <span class="path">{PORTAL}</span>' in answer.text
    assert "<script>" not in answer.text
    form = deployment.browser().post("/sign-in", base_url="https://localhost")
    assert f'href="{PORTAL}/"' in form.text


@pytest.mark.parametrize("base", ["https://localhost", "https://evil.example"])
def test_and_has_its_style_sheet(deployment: Deployment, base: str) -> None:
    """
    What is the same for everybody is given at every name; nothing else is.
    """
    browser = deployment.signed_in()
    page = browser.get("/", base_url=base)
    [sheet] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    assert sheet.startswith("/static/portal.css")
    with browser.get(sheet, base_url=base) as styled:
        assert (styled.status_code, styled.mimetype) == (200, "text/css")
        assert "Set-Cookie" not in styled.headers
    assert browser.post(sheet, base_url=base).status_code in {400, 405}


@pytest.mark.parametrize("mount", ["/x", "//evil.example", "/\\evil.example"])
@pytest.mark.parametrize("path", ["/", "/sign-out", "/oauth/introspect", "/healthz"])
def test_no_proxys_client_moves_the_portal_elsewhere(deployment: Deployment, mount: str, path: str) -> None:
    """
    Gunicorn reads a header SCRIPT_NAME from any proxy on the same machine.
    """
    answer = deployment.browser().get(path, environ_overrides={"SCRIPT_NAME": mount})
    assert answer.status_code == 400
    assert "evil.example" not in answer.text + str(answer.headers)


def test_every_form_needs_origin_and_token(deployment: Deployment) -> None:
    """Walks the routes, so that a new one cannot be forgotten."""
    browser = deployment.signed_in(TESS)
    token = field_of(browser.get("/account"), "csrf")
    for rule in deployment.app.url_map.iter_rules():
        unsafe = UNSAFE & (rule.methods or set())
        if not unsafe or rule.rule.startswith(MACHINE) or takes_logout_tokens(rule.rule):
            continue
        path = rule.rule.replace("<sign_in_id>", "x")
        for method in unsafe:
            attacks: list[tuple[dict[str, str], dict[str, str]]] = [
                ({}, {"csrf": token}),
                ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, {"csrf": token}),
                ({"Sec-Fetch-Site": "same-site", "Origin": "https://forecast.apps.example.com"}, {"csrf": token}),
                ({"Origin": "null"}, {"csrf": token}),
            ]
            # Strangers have no session for a token to stand in, and their one form changes nothing.
            without_token = (
                []
                if path == "/sign-in"
                else [
                    (OWN, {}),
                    (OWN, {"csrf": ""}),
                    (OWN, {"csrf": "x" * 43}),
                    (OWN, {"csrf": token + "\udcff".encode("utf-8", "replace").decode()}),
                ]
            )
            for headers, form in attacks + without_token:
                answer = browser.open(path, method=method, headers=headers, data=form)
                assert answer.status_code == 403, (path, headers, form)
    assert browser.get("/account").status_code == 200  # still signed in


def test_a_token_in_the_address_does_not_count(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    token = field_of(browser.get("/account"), "csrf")
    assert browser.post(f"/tenant?csrf={token}", data={"tenant": "acme"}, headers=OWN).status_code == 403


def test_another_sessions_token_does_not_count(deployment: Deployment) -> None:
    token = field_of(deployment.signed_in(TESS).get("/account"), "csrf")
    browser = deployment.signed_in(TESS)
    assert browser.post("/tenant", data={"tenant": "acme", "csrf": token}, headers=OWN).status_code == 403


def test_a_form_from_before_the_sign_in_does_not_count_after_it(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    token = field_of(browser.get("/account"), "csrf")
    deployment.sign_in(browser, TESS)
    answer = browser.post("/tenant", data={"tenant": "acme", "csrf": token}, headers=OWN)
    assert answer.status_code == 403
    assert "out of date" in answer.text
