"""Who caused a request, without a framework."""

from collections.abc import Iterable

import pytest

from portal.web.request_origin import (
    LaunchRefusal,
    host_allowed,
    is_prefetch,
    launch_refusal,
    origin_of,
    unsafe_request_allowed,
)

OWN = "https://portal.example.com"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_reading_is_allowed_from_everywhere(method: str) -> None:
    assert unsafe_request_allowed(method, "cross-site", "https://evil.example", OWN)


@pytest.mark.parametrize(
    ("site", "origin"),
    [("same-origin", OWN), ("same-origin", None), (None, OWN), ("none", None), ("none", OWN)],
)
def test_our_own_pages_may_change_things(site: str | None, origin: str | None) -> None:
    assert unsafe_request_allowed("POST", site, origin, OWN)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "BREW"])
@pytest.mark.parametrize(
    ("site", "origin"),
    [
        pytest.param(None, None, id="a browser that says nothing"),
        pytest.param("cross-site", None, id="another site"),
        pytest.param("same-site", None, id="a sibling app"),
        pytest.param("same-site", OWN, id="a sibling app that lies about its origin"),
        pytest.param("cross-site", OWN, id="headers that contradict each other"),
        pytest.param("same-origin", "https://evil.example", id="headers that contradict each other the other way"),
        pytest.param(None, "null", id="a sandboxed frame"),
        pytest.param("same-origin", "null", id="a sandboxed frame of ours"),
        pytest.param(None, "", id="an empty origin"),
        pytest.param("", None, id="an empty site"),
        pytest.param("Same-Origin", None, id="another spelling"),
        pytest.param(None, "http://portal.example.com", id="without encryption"),
        pytest.param(None, "https://portal.example.com:8443", id="another port"),
        pytest.param(None, "https://portal.example.com.evil.example", id="our name as a prefix"),
        pytest.param(None, "https://portal.example.com/", id="not an origin"),
        pytest.param(None, f"{OWN} https://evil.example", id="two origins"),
    ],
)
def test_no_one_else_may(method: str, site: str | None, origin: str | None) -> None:
    assert not unsafe_request_allowed(method, site, origin, OWN)


@pytest.mark.parametrize("host", ["portal.example.com", "PORTAL.example.com", "portal.example.com:443"])
def test_the_portal_answers_to_its_name(host: str) -> None:
    assert host_allowed(host, own_url=OWN)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "portal.example.com.evil.example",
        "portal.example.com:8443",
        "portal.example.com:80",
        "x.portal.example.com",
        "portal.example.com@evil.example",
        "portal.example.com, evil.example",
        "127.0.0.1",
        ":443",
    ],
)
def test_and_to_no_other(host: str | None) -> None:
    assert not host_allowed(host, own_url=OWN)


def test_a_port_of_the_address_belongs_to_the_name() -> None:
    assert host_allowed("portal.demo.localhost:7800", own_url="http://portal.demo.localhost:7800")
    assert not host_allowed("portal.demo.localhost", own_url="http://portal.demo.localhost:7800")
    assert host_allowed("127.0.0.1:80", own_url="http://127.0.0.1")


def refusal(purposes: Iterable[str | None] = (), /, **headers: str | None) -> LaunchRefusal | None:
    given: dict[str, str | None] = dict.fromkeys(("site", "mode", "dest", "origin", "referer"))
    return launch_refusal(**{**given, **headers}, purposes=purposes, own_origin=OWN)


@pytest.mark.parametrize(
    "headers",
    [
        {"site": "same-origin", "mode": "navigate", "dest": "iframe"},
        {"site": "same-origin", "mode": "navigate", "dest": "document"},
        {"site": "none", "mode": "navigate", "dest": "document"},
        {"referer": f"{OWN}/apps/forecast/"},
        {"origin": OWN},
        {"origin": OWN, "referer": f"{OWN}/"},
    ],
)
def test_the_app_page_and_the_person_may_launch(headers: dict[str, str]) -> None:
    assert refusal(**headers) is None


NAVIGATE = {"site": "same-origin", "mode": "navigate", "dest": "iframe"}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param({**NAVIGATE, "site": "same-site"}, LaunchRefusal.FOREIGN, id="a sibling app navigates its frame"),
        pytest.param({**NAVIGATE, "site": "cross-site"}, LaunchRefusal.FOREIGN, id="another site frames the launch"),
        pytest.param(
            {**NAVIGATE, "site": "cross-site", "dest": "document"}, LaunchRefusal.FOREIGN, id="a link elsewhere"
        ),
        pytest.param({**NAVIGATE, "site": ""}, LaunchRefusal.FOREIGN, id="an empty site"),
        pytest.param({**NAVIGATE, "site": None}, LaunchRefusal.FOREIGN, id="a site left out"),
        pytest.param({**NAVIGATE, "mode": "cors"}, LaunchRefusal.NO_NAVIGATION, id="fetch from a script"),
        pytest.param({**NAVIGATE, "mode": "no-cors", "dest": "image"}, LaunchRefusal.NO_NAVIGATION, id="an image"),
        pytest.param({**NAVIGATE, "mode": None}, LaunchRefusal.NO_NAVIGATION, id="a mode left out"),
        pytest.param({**NAVIGATE, "dest": "object"}, LaunchRefusal.NO_NAVIGATION, id="an object"),
        pytest.param({**NAVIGATE, "dest": "embed"}, LaunchRefusal.NO_NAVIGATION, id="an embed"),
        pytest.param({**NAVIGATE, "dest": "empty"}, LaunchRefusal.NO_NAVIGATION, id="a fetch that claims to navigate"),
        pytest.param({**NAVIGATE, "dest": None}, LaunchRefusal.NO_NAVIGATION, id="a destination left out"),
        pytest.param({}, LaunchRefusal.UNPROVEN, id="a browser that says nothing"),
        pytest.param({"referer": "https://forecast.apps.example.com/"}, LaunchRefusal.FOREIGN, id="an app's page"),
        pytest.param({"referer": f"{OWN}.evil.example/"}, LaunchRefusal.FOREIGN, id="our name as a prefix"),
        pytest.param({"referer": f"https://evil.example/{OWN}/"}, LaunchRefusal.FOREIGN, id="our name in a path"),
        pytest.param({"referer": "about:blank"}, LaunchRefusal.FOREIGN, id="a page without origin"),
        pytest.param({"referer": "https://[oops"}, LaunchRefusal.FOREIGN, id="a broken referer"),
        pytest.param({"origin": "null"}, LaunchRefusal.FOREIGN, id="a sandboxed frame"),
        pytest.param(
            {"origin": "null", "referer": f"{OWN}/"}, LaunchRefusal.FOREIGN, id="one header against the other"
        ),
        pytest.param(
            {"origin": OWN, "referer": "https://evil.example/"}, LaunchRefusal.FOREIGN, id="and the other way"
        ),
    ],
)
def test_nothing_else_may_launch(headers: dict[str, str | None], reason: LaunchRefusal) -> None:
    assert refusal(**headers) is reason


@pytest.mark.parametrize(
    ("purposes", "prefetch"),
    [
        ([], False),
        ([None, None], False),
        (["", "preview"], False),
        (["prefetch"], True),
        (["prefetch;prerender"], True),
        (["Prefetch"], True),
        ([None, "", "prefetch"], True),
        (["preview", "prefetch"], True),
    ],
)
def test_a_prefetch_is_marked_by_any_of_the_headers(purposes: list[str | None], *, prefetch: bool) -> None:
    assert is_prefetch(purposes) is prefetch
    assert refusal(purposes, **NAVIGATE) is (LaunchRefusal.PREFETCH if prefetch else None)


def test_an_origin_is_what_comes_before_the_path() -> None:
    assert origin_of("https://a.example:8443/b?c#d") == "https://a.example:8443"
    assert origin_of("/only/a/path") == ""
