from pathlib import Path
from typing import Literal

import pytest

from portal.configuration import cookie_mode, same_site
from portal.configuration.addresses import (
    is_site,
    normalised,
    origin_of,
    problem_of,
)
from tests.builders import an_app, settings_for

HOSTS_THAT_ARE_NONE = [
    "",
    "https://",
    "https:///x",
    "portal.example.com",
    "//portal.example.com",
    "ftp://portal.example.com",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https:portal.example.com",
    "https://portal.example.com:",
    "https://portal.example.com:0",
    "https://portal.example.com:65536",
    "https://portal.example.com:x",
    "https://portal..example.com",
    "https://.example.com",
    "https://portal.example.com.",
    "https://-portal.example.com",
    "https://portal-.example.com",
    "https://portal_one.example.com",
    "https://*.example.com",
    "https://{app}.example.com",
    "https://" + "a" * 64 + ".example.com",
    "https://" + ".".join(["a" * 60] * 5),
    "https://127.1",
    "https://2130706433",
    "https://0x7f.0.0.1",
    "https://0x7f000001",
    "https://1.2.3.4.5",
    "https://portal.example.com\\@evil.test",
    "https://portal.example.com evil.test",
    "https://portal.example.com\n",
    "https://portal\x00.example.com",
    "https://pörtal.example.com",
    "https://portal\u3002example.com",
    "https://[::1",
    "https://[::g]",
    'https://portal.example.com/"x',
    "https://portal.example.com/<x>",
]


@pytest.mark.parametrize("url", HOSTS_THAT_ARE_NONE)
def test_an_ambiguous_text_is_not_an_address(url: str) -> None:
    problem = problem_of(url, path="any", query=True)

    assert problem is not None
    assert "not an http(s) address" in problem.what


@pytest.mark.parametrize(
    ("url", "path", "word"),
    [
        ("https://user@portal.example.com", "any", "password"),
        ("https://user:pw@portal.example.com", "any", "password"),
        ("https://:@portal.example.com", "any", "password"),
        ("https://portal.example.com?", "any", "query"),
        ("https://portal.example.com/#", "any", "fragment"),
        ("https://portal.example.com/x?y=1", "any", "query"),
        ("https://portal.example.com/x", "none", "path"),
        ("https://portal.example.com//", "none", "path"),
        ("https://portal.example.com/a/../b", "plain", "plain"),
        ("https://portal.example.com/./b", "plain", "plain"),
        ("https://portal.example.com//b", "plain", "plain"),
        ("https://portal.example.com/%2e", "plain", "plain"),
        ("https://portal.example.com/a;b", "plain", "plain"),
        ("http://portal.example.com", "none", "http"),
        ("http://10.0.0.1", "none", "http"),
        ("http://0.0.0.0:7800", "none", "http"),
        ("http://localhost.example.com", "none", "http"),
        ("http://127.0.0.1.example.com", "none", "http"),
        ("http://notlocalhost", "none", "http"),
    ],
)
def test_the_problem_of_an_address(url: str, path: Literal["none", "plain", "any"], word: str) -> None:
    problem = problem_of(url, path=path)

    assert problem is not None
    assert word in problem.what


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://portal.example.com", "none"),
        ("https://portal.example.com/", "none"),
        ("https://portal.example.com:8443", "none"),
        ("https://xn--prtal-jua.example.com", "none"),
        ("https://10.0.0.1", "none"),
        ("https://[2001:db8::1]:8443", "none"),
        ("http://127.0.0.1:7800", "none"),
        ("http://127.9.9.9", "none"),
        ("http://[::1]:7800", "none"),
        ("http://localhost:7800", "none"),
        ("http://portal.demo.localhost:7800", "none"),
        ("https://ai.example.com/run/forecast/", "plain"),
        ("https://sso.example.com/realms/acme", "any"),
        ("https://sso.example.com/realms/a%20b/", "any"),
        ("https://portal", "none"),
    ],
)
def test_good_addresses_pass(url: str, path: Literal["none", "plain", "any"]) -> None:
    assert problem_of(url, path=path) is None


def test_an_endpoint_may_have_a_query() -> None:
    assert problem_of("https://login.example.com/authorize?p=policy", path="any", query=True) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://Portal.Example.COM:443/", "https://portal.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("https://portal.example.com:80", "https://portal.example.com:80"),
        ("https://[2001:DB8::1]:8443/a/", "https://[2001:db8::1]:8443/a"),
        ("https://x.test/Run/App/", "https://x.test/Run/App"),
    ],
)
def test_one_address_is_written_in_one_way(url: str, expected: str) -> None:
    assert normalised(url) == expected
    assert normalised(expected) == expected


def test_the_origin_has_no_path() -> None:
    assert origin_of("https://X.test:443/run/app") == "https://x.test"


SAME = [
    ("https://portal.example.com", "https://portal.example.com:8443", None),
    ("https://ai.example.com", "https://ai.example.com/run/app", None),
    ("http://127.0.0.1:7800", "http://127.0.0.1:7871", None),
    ("http://portal.demo.localhost:7800", "http://app.demo.localhost:7871", None),
    ("http://demo.localhost:7800", "http://app.demo.localhost:7871", None),
    ("https://ai.example.com", "https://app.ai.example.com", None),
    ("https://portal.ai.example.com", "https://ai.example.com/run/app", None),
    ("https://portal.example.com", "https://app.apps.example.com", "example.com"),
    ("https://example.com", "https://app.example.com", "example.com"),
]
CROSS_OR_UNSURE = [
    ("https://portal.example.com", "https://app.apps.example.com", None),
    ("https://portal.example.com", "https://app.other.test", "example.com"),
    ("https://portal.example.com", "https://evilexample.com", "example.com"),
    ("https://me.github.io", "https://you.github.io", None),
    ("https://portal.co.uk", "https://app.co.uk", None),
    ("http://portal.localhost", "http://app.localhost", None),
    ("http://localhost:7800", "http://app.localhost:7871", None),
    ("http://portal.one.localhost", "http://app.two.localhost", None),
    ("http://127.0.0.1:7800", "http://localhost:7871", None),
    ("http://127.0.0.1:7800", "http://127.0.0.2:7871", None),
    ("https://10.0.0.1", "https://app.10.0.0.1.example.com", None),
    ("https://portal", "https://app.portal", None),
    ("http://portal.demo.localhost", "https://app.demo.localhost", None),
    ("https://ai.example.com", "http://ai.example.com", None),
    ("https://ai.example.com", "https://notai.example.com", None),
]


@pytest.mark.parametrize(("portal", "app", "site"), SAME)
def test_what_is_surely_one_site(portal: str, app: str, site: str | None) -> None:
    assert same_site(portal, app, site=site) is True
    assert same_site(app, portal, site=site) is True


@pytest.mark.parametrize(("portal", "app", "site"), CROSS_OR_UNSURE)
def test_what_is_not_surely_one_site(portal: str, app: str, site: str | None) -> None:
    """A wrong "lax" leaves a frame without its cookie for good; partitioned cookies work in both cases."""
    assert same_site(portal, app, site=site) is False
    assert same_site(app, portal, site=site) is False


def test_cookies_follow_the_sites(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)

    assert cookie_mode(settings, an_app()) == "partitioned"
    assert cookie_mode(settings_for(tmp_path, site="example.com"), an_app()) == "lax"
    assert cookie_mode(settings, an_app(url="https://portal.example.com/run/forecast")) == "lax"


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.com", True),
        ("example.co.uk", True),
        ("demo.localhost", True),
        ("co.uk", False),
        ("com.br", False),
        ("com", False),
        ("localhost", False),
        ("10.0.0.1", False),
        ("Example.com", False),
        ("example.com.", False),
        ("", False),
    ],
)
def test_what_may_be_a_site(domain: str, *, expected: bool) -> None:
    assert is_site(domain) is expected
