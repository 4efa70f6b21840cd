"""The security headers of every answer."""

import pytest

from portal.rules.browser_features import GRANTABLE, NEVER, OFF, UNRESTRICTED
from portal.web.headers import PagePolicy
from portal.web.pictures import picture_origin, safe_picture
from tests.builders import an_identity
from tests.portal.web.deployment import Deployment

FRAMED_BY = {"apps.launch": "'self'", "provider_logout.front_channel": "*"}


def test_every_route_is_closed_by_default(deployment: Deployment) -> None:
    browser = deployment.signed_in()
    for rule in deployment.app.url_map.iter_rules():
        path = rule.rule.replace("<path:filename>", "portal.css").replace("<path_of_app:rest>", "x")
        path = path.replace("<slug>", "forecast").replace("<provider>", "company").replace("<sign_in_id>", "x")
        assert "<" not in path, f"teach this test the variable of {rule.rule}"
        for method in sorted(rule.methods or ()):
            answer = browser.open(path, method=method)
            policy = answer.headers["Content-Security-Policy"]
            expected = "'none'" if method == "OPTIONS" else FRAMED_BY.get(rule.endpoint, "'none'")
            assert f"frame-ancestors {expected}" in policy, path
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "), path
            assert "base-uri 'none'" in policy, path
            assert "unsafe" not in policy, path
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", path
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", path
            assert answer.headers["Strict-Transport-Security"], path
            assert answer.headers["Cache-Control"], path
            assert len(answer.headers["X-Request-Id"]) == 8, path
            assert "Server" not in answer.headers, path
            answer.close()


@pytest.mark.parametrize("path", ["/", "/account", "/apps/forecast/", "/sign-in", "/nothing", "/healthz"])
def test_pages_are_never_stored(deployment: Deployment, path: str) -> None:
    assert deployment.signed_in().get(path).headers["Cache-Control"] == "no-store"


def test_static_files_are_kept_for_ever_in_their_present_version_only(deployment: Deployment) -> None:
    browser = deployment.browser()
    page = browser.get("/sign-in").text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    with browser.get(address) as current, browser.get("/static/portal.css?v=0") as other:
        assert current.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert other.headers["Cache-Control"] == "no-cache"
        assert "Set-Cookie" not in current.headers
    assert browser.get("/static/nothing.css?v=0").headers["Cache-Control"] == "no-store"
    assert browser.get("/static/../portal.toml").status_code == 404


def test_hsts_is_for_https_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    deployment = Deployment(tmp_path_factory.mktemp("house"), url="http://127.0.0.1:7800")
    answer = deployment.browser().get("/sign-in", base_url="http://127.0.0.1:7800")
    assert answer.status_code == 200
    assert "Strict-Transport-Security" not in answer.headers


def test_only_the_persons_picture_comes_from_another_origin(deployment: Deployment) -> None:
    browser = deployment.signed_in(an_identity(picture="https://pictures.example/ana.png?s=64"))
    answer = browser.get("/")
    assert "img-src 'self' https://pictures.example;" in answer.headers["Content-Security-Policy"]
    assert 'src="https://pictures.example/ana.png?s=64"' in answer.text


@pytest.mark.parametrize(
    "picture",
    [
        "http://pictures.example/a.png",
        "data:image/svg+xml,<svg onload=alert(1)>",
        "javascript:alert(1)",
        "https://",
        "https:// evil",
        "https://a;script-src *;/x",
        "https://a b/x",
        "https://user@host/x",
        "https://*/x",
        "https://-a/x",
        "https://ä.example/x",
        "https://a\nb/x",
        "https://a.example\n",
        "//a.example/x",
        "",
    ],
)
def test_a_picture_a_policy_cannot_name_is_not_shown(picture: str) -> None:
    assert safe_picture(picture) is None


def test_pictures_are_named_by_their_origin() -> None:
    assert picture_origin(None) is None
    assert picture_origin("https://a.example") == "https://a.example"
    assert picture_origin("https://a.example:8443?x") == "https://a.example:8443"
    assert safe_picture("https://a.example/x.png") == "https://a.example/x.png"


def test_a_feature_without_a_frame_is_granted_to_nobody() -> None:
    assert "camera=()" in PagePolicy(features=("camera",)).permissions_policy()
    assert 'novel=(self "https://a")' in PagePolicy(features=("novel",), frame_src=("https://a",)).permissions_policy()


def test_every_feature_that_an_app_can_be_given_is_off_without() -> None:
    named = {one.partition("=")[0]: one.partition("=")[2] for one in PagePolicy().permissions_policy().split(", ")}

    assert set(named) == GRANTABLE | NEVER == OFF
    assert set(named.values()) == {"()"}
    assert {"gamepad", "storage-access", "web-share", "local-network"} <= set(named)
    assert not GRANTABLE & NEVER
    assert not OFF & UNRESTRICTED
