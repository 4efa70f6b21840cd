"""Addresses of Gradio and of the Descope tutorial, at the portal."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from portal.contract.known_addresses import KNOWN_ADDRESSES, PORTAL_PATHS, known_address
from tests.builders import an_identity
from tests.portal.web.deployment import NAVIGATION, TESS, Deployment

CALLBACK = "/auth/auth/callback"


@pytest.mark.parametrize(
    ("path", "stranger", "ana"),
    [
        ("/login", "/sign-in", "/"),
        ("/login?next=/account", "/sign-in?next=%2Faccount", "/account"),
        ("/login?next=//evil.test", "/sign-in", "/"),
        ("/login?next=/login", "/sign-in", "/"),
        ("/auth/", "/sign-in", "/"),
        ("/auth", "/sign-in", "/"),
        ("/auth/login", "/sign-in", "/"),
        ("/auth/error?error=access_denied", "/sign-in?ask=1", "/"),
        ("/logout", "/signed-out", "/sign-out"),
        ("/logout/", "/signed-out", "/sign-out"),
        ("/auth/logout", "/signed-out", "/sign-out"),
        ("/gradio", "/sign-in?next=%2Fgradio", "/"),
        ("/gradio/", "/sign-in?next=%2Fgradio%2F", "/"),
        ("/gradio/admin", "/sign-in?next=%2Fgradio%2Fadmin", "/"),
        ("/gradio/user/", "/sign-in?next=%2Fgradio%2Fuser%2F", "/"),
    ],
)
def test_each_leads_to_the_page_that_is_meant(deployment: Deployment, path: str, stranger: str, ana: str) -> None:
    assert _end_of_the_way(deployment.browser(), path) == stranger
    assert _end_of_the_way(deployment.signed_in(), path) == ana


def test_the_tutorials_dashboards_are_found_among_the_apps_of_that_name(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, landing=("admin-dashboard", "forecast"))
    ana, admin = deployment.signed_in(), deployment.signed_in(an_identity(affiliations=(TESS.affiliations[1],)))

    assert _end_of_the_way(admin, "/gradio/admin") == "/apps/admin-dashboard/"
    assert _end_of_the_way(admin, "/gradio") == "/apps/admin-dashboard/"
    assert _end_of_the_way(ana, "/gradio/admin") == "/", "an app that is not open to the person is not named"
    assert _end_of_the_way(ana, "/gradio") == "/apps/forecast/"


def test_none_of_them_signs_anybody_out_or_in(deployment: Deployment) -> None:
    ana = deployment.signed_in()
    for path in KNOWN_ADDRESSES:
        for headers in ({}, NAVIGATION, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Purpose": "prefetch"}):
            answer = ana.get(path, headers=headers)
            assert "Set-Cookie" not in answer.headers
            assert path == CALLBACK or ana.post(path, headers=headers).status_code in {403, 405}
    assert ana.get("/").status_code == 200


@pytest.mark.parametrize("path", sorted(set(KNOWN_ADDRESSES) - {CALLBACK}))
def test_in_a_frame_each_is_a_page_whose_link_leaves_it(deployment: Deployment, path: str) -> None:
    answer = deployment.signed_in().get(path, headers=NAVIGATION)

    assert answer.status_code == 200
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer.headers
    assert f'id="leave" href="{PORTAL_PATHS[KNOWN_ADDRESSES[path]]}" target="_top"' in answer.text


def test_the_app_pages_script_leads_to_the_same_places() -> None:
    """What the guard's page tells is the portal's page to act on; a sign-in needs no leaving of the frame."""
    script = (Path(__file__).parents[4] / "static" / "app.js").read_text()
    [places] = re.findall(r"^const PLACES = \{$(.*?)^\};$", script, re.MULTILINE | re.DOTALL)
    acted_upon = re.findall(r'case "([a-z-]+)":', script.partition("leaveFor(PLACES")[0])

    assert dict(re.findall(r'"?([a-z-]+)"?: "([^"]+)"', places)) == {
        meant: place for meant, place in PORTAL_PATHS.items() if meant != "sign-in"
    }
    assert set(PORTAL_PATHS) - {"sign-in"} <= set(acted_upon)


@pytest.mark.parametrize(
    "path", ["/", "", "/log-out", "/logout/all", "/loginx", "//logout", "/logout//", "/auth/x", "/gradio/admin/config"]
)
def test_no_other_address_is_taken_for_one(path: str) -> None:
    assert known_address(path) is None


def _end_of_the_way(browser: FlaskClient, path: str) -> str:
    """Return where redirects end: the last address that one of them named."""
    target = path
    while (answer := browser.get(target)).status_code == 303:
        target = answer.headers["Location"]
    return target
