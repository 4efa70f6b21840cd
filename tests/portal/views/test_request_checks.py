"""What is asked of every request."""

import pytest

from tests.portal.views.house import OWN, TESS, House, field_of

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
MACHINE = ("/oauth/", "/api/")


@pytest.mark.parametrize("path", ["/", "/sign-in", "/apps/forecast/", "/oauth/introspect", "/api/audit", "/nothing"])
@pytest.mark.parametrize("base", ["https://evil.example", "https://127.0.0.1", "https://portal.example.com:8443"])
def test_other_names_are_refused_everywhere(house: House, path: str, base: str) -> None:
    answer = house.signed_in().get(path, base_url=base)
    assert answer.status_code == 400
    assert "evil.example" not in answer.text


@pytest.mark.parametrize("mount", ["/x", "//evil.example", "/\\evil.example"])
@pytest.mark.parametrize("path", ["/", "/sign-out", "/oauth/introspect", "/healthz"])
def test_no_proxys_client_moves_the_portal_elsewhere(house: House, mount: str, path: str) -> None:
    """
    Gunicorn reads a header SCRIPT_NAME from any proxy on the same machine.
    """
    answer = house.browser().get(path, environ_overrides={"SCRIPT_NAME": mount})
    assert answer.status_code == 400
    assert "evil.example" not in answer.text + str(answer.headers)


def test_every_form_needs_origin_and_token(house: House) -> None:
    """Walks the routes, so that a new one cannot be forgotten."""
    browser = house.signed_in(TESS)
    token = field_of(browser.get("/account"), "csrf")
    for rule in house.app.url_map.iter_rules():
        unsafe = UNSAFE & (rule.methods or set())
        if not unsafe or rule.rule.startswith(MACHINE):
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


def test_a_token_in_the_address_does_not_count(house: House) -> None:
    browser = house.signed_in(TESS)
    token = field_of(browser.get("/account"), "csrf")
    assert browser.post(f"/tenant?csrf={token}", data={"tenant": "acme"}, headers=OWN).status_code == 403


def test_another_sessions_token_does_not_count(house: House) -> None:
    token = field_of(house.signed_in(TESS).get("/account"), "csrf")
    browser = house.signed_in(TESS)
    assert browser.post("/tenant", data={"tenant": "acme", "csrf": token}, headers=OWN).status_code == 403


def test_a_form_from_before_the_sign_in_does_not_count_after_it(house: House) -> None:
    browser = house.signed_in(TESS)
    token = field_of(browser.get("/account"), "csrf")
    house.sign_in(browser, TESS)
    answer = browser.post("/tenant", data={"tenant": "acme", "csrf": token}, headers=OWN)
    assert answer.status_code == 403
    assert "grown old" in answer.text
