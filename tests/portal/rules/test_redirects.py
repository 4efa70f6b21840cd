from urllib.parse import urljoin, urlsplit

import pytest

from portal.rules.redirects import HOME, safe_next

LEAVES_THE_PORTAL = [
    "//evil.test",
    "///evil.test",
    "////evil.test/",
    "//evil.test/%2f..",
    "/\\evil.test",
    "\\/evil.test",
    "\\\\evil.test",
    "/\\/evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r/evil.test",
    "\t//evil.test",
    " //evil.test",
    "\x00//evil.test",
    "/\x0b/evil.test",
    "/\x7f/evil.test",
    "/%2fevil.test",
    "/%2Fevil.test",
    "/%2f%2fevil.test",
    "/%5cevil.test",
    "/%5Cevil.test",
    "/%252fevil.test",
    "/%255cevil.test",
    "/%252f%252fevil.test",
    "/%09/evil.test",
    "/%0a/evil.test",
    "/%0d%0aLocation:%20https://evil.test",
    "/apps\r\nSet-Cookie: a=b",
    "/./evil.test",
    "/../evil.test",
    "/..//evil.test",
    "/.//evil.test",
    "/%2e%2e//evil.test",
    "/%2e/evil.test",
    "/apps/%2e%2e/%2e%2e/x",
    "/apps//evil.test",
    "https://evil.test",
    "HTTPS://evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "http://portal.example.com@evil.test/",
    "https://portal.example.com/",
    "ftp://evil.test",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "blob:https://portal.example.com/x",
    "mailto:a@evil.test",
    "evil.test",
    "evil.test/path",
    "@evil.test",
    ":80",
    "?next=//evil.test",
    "#//evil.test",
    "apps",
    "./apps",
    "../apps",
    "",
    " ",
    "\u2215\u2215evil.test",
    "/apps/\u202e",
    "/\ud800",
    "/[\\]",
    "/" + "a" * 4096,
    "/account//evil.test",
    "/apps//evil.test/",
    "/%61pps//evil.test",
    "/apps/%2f/evil.test",
    "/apps/forecast/../../evil.test",
    "/apps/forecast/%2e%2e//evil.test",
    "/apps/forecast/\\evil.test",
    "/apps/forecast/?x=\r\nLocation: //evil.test",
    "/apps/forecast/?x=\x00",
    "/apps/forecast/?" + "|" * 2000,
    "|//evil.test",
    "`https://evil.test",
]

HARMLESS_ONCE_ENCODED = {
    "/ /evil.test": "/%20/evil.test",
    "/\u2044evil.test": "/%E2%81%84evil.test",
    "/\uff0fevil.test": "/%EF%BC%8Fevil.test",
    "/\u3002evil.test": "/%E3%80%82evil.test",
    "/ev\u0131l": "/ev%C4%B1l",
    "/<script>": "/%3Cscript%3E",
    '/"onclick': "/%22onclick",
    "/'quote": "/%27quote",
    "/`tick": "/%60tick",
    "/{curly}": "/%7Bcurly%7D",
    "/a|b": "/a%7Cb",
    "/a^b": "/a%5Eb",
    "/apps/forecast/?tags=a|b": "/apps/forecast/?tags=a%7Cb",
    "/apps/forecast/?q=`x`&r={y}^z": "/apps/forecast/?q=%60x%60&r=%7By%7D%5Ez",
    "/apps/forecast/?folder=C:\\data": "/apps/forecast/?folder=C:%5Cdata",
    "/apps/forecast/a//b": "/apps/forecast/a//b",
    "/apps/forecast//b": "/apps/forecast//b",
    "/apps/forecast/?" + "x" * 4000: "/apps/forecast/?" + "x" * 4000,
}
"""As they are they need care; encoded they lead where the person was going, on this portal."""

COMES_BACK_TO_SIGN_IN = [
    "/sign-in",
    "/sign-in/",
    "/sign-in?next=/apps/forecast",
    "/sign-out",
    "/signed-out",
    "/%73ign-out",
    "/sign%2dout",
    "/auth/oauth/company",
    "/auth/oauth/company/callback?code=c&state=s",
    "/%61uth/oauth/company",
    "/auth/callback",
    "/login/callback",
    "/login",
    "/logout",
    "/logout/",
    "/auth",
    "/auth/logout",
]

NO_PAGE = [
    "/apps/forecast/.portal/launch",
    "/apps/forecast/.portal/launch?next=/x",
    "/apps/forecast/%2eportal/%6caunch",
    "/apps/forecast/.portal/launch#x",
    "/apps/forecast/.portal/",
    "/api/audit",
    "/oauth/token",
    "/tenant",
    "/healthz",
    "/readyz",
    "/static/portal.css",
    "/.well-known/jwks.json",
]

WORTH_RETURNING_TO = [
    "/",
    "/account",
    "/apps/forecast/",
    "/apps/forecast",
    "/apps/forecast/deep/path",
    "/apps/forecast/deep/path?x=1&y=a%20b",
    "/apps/forecast/?next=https://elsewhere.test/",
    "/apps/forecast/?q=//x",
    "/apps/forecast/#section",
    "/apps/forecast/page/launch",
    "/apps/forecast/launch",
    "/apps/forecast/launch/pad",
    "/apps/forecast/x/.portal/launch",
    "/apps/forecast/a.b~c-d_e",
    "/apps/forecast/%C3%BC",
    "/?",
    "/sign-instructions",
    "/authors",
]


def test_there_are_enough_attacks() -> None:
    assert len(set(LEAVES_THE_PORTAL)) >= 60
    assert not set(LEAVES_THE_PORTAL) & set(HARMLESS_ONCE_ENCODED)


@pytest.mark.parametrize("target", [*LEAVES_THE_PORTAL, *COMES_BACK_TO_SIGN_IN, *NO_PAGE])
def test_a_target_that_is_not_a_page_of_the_portal_becomes_home(target: str) -> None:
    assert safe_next(target) == HOME


@pytest.mark.parametrize(("target", "encoded"), HARMLESS_ONCE_ENCODED.items(), ids=repr)
def test_bare_characters_are_encoded(target: str, encoded: str) -> None:
    assert safe_next(target) == encoded
    assert safe_next(encoded) == encoded


@pytest.mark.parametrize("target", [*LEAVES_THE_PORTAL, *COMES_BACK_TO_SIGN_IN, *NO_PAGE, *HARMLESS_ONCE_ENCODED])
def test_wherever_it_leads_it_is_this_portal(target: str) -> None:
    there = urlsplit(urljoin("https://portal.example.com/sign-in", safe_next(target)))
    assert (there.scheme, there.netloc) == ("https", "portal.example.com")
    assert ".." not in there.path.split("/")


@pytest.mark.parametrize("target", [None, 0, 1, True, [], ["/account"], {}, b"/account", object()])
def test_what_is_no_text_becomes_home(target: object) -> None:
    assert safe_next(target) == HOME


def test_text_with_behaviour_of_its_own_becomes_home() -> None:
    class Chameleon(str):
        __slots__ = ()

        def startswith(self, *_: object) -> bool:
            return True

    assert safe_next(Chameleon("/account")) == HOME


@pytest.mark.parametrize("target", WORTH_RETURNING_TO)
def test_pages_of_the_portal_are_returned_to(target: str) -> None:
    assert safe_next(target) == target


def test_the_default_is_the_callers() -> None:
    assert safe_next("//evil.test", default="/account") == "/account"
