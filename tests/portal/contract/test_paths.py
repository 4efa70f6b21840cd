"""A path stays in its origin, whatever a browser or a proxy makes of it."""

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from portal.contract import in_query, is_local_path, local_path
from portal.contract.paths import MAX_CARRIED

LOCAL = (
    "/",
    "/a",
    "/a/b?x=1&y=//z",
    "/a#top",
    "/file=%20x",
    "/a?next=https://other.example.com/",
    "/%C3%A9",
    "/a//b",
    "/a%2F%2Fb",
    "/" + "a" * 4095,
)
ELSEWHERE: tuple[object, ...] = (
    "",
    None,
    7,
    b"/",
    ["/"],
    "a",
    "?x=1",
    "#x",
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r\nLocation: //evil.test",
    " /",
    "https://evil.test",
    "https:evil.test",
    "http:///evil.test",
    "javascript:alert(1)",
    "data:text/html,x",
    "/%2F/evil.test",
    "/%2Fevil.test",
    "/%5Cevil.test",
    "/%252Fevil.test",
    "/../x",
    "/a/../../x",
    "/./x",
    "/%2e%2e/x",
    "/.%2e/x",
    "/%09/evil.test",
    "/%00",
    "/a\x00",
    "/" + "a" * 4096,
    "/?" + "|" * 4000,
    "/a%2f..%2f..%2fx",
    "/a//../x",
    "/.//evil.test",
    "/?x=\x00",
    "/?x=\r\nSet-Cookie: a=b",
    "/?x=\x85",
    "/?x=\ud800",
    "/?" + "x" * 100_000,
    "@evil.test",
    "/\u202ex",
)


@pytest.mark.parametrize("target", LOCAL)
def test_a_local_path_is_kept(target: str) -> None:
    assert is_local_path(target)
    assert target == local_path(target, default="/elsewhere")


@pytest.mark.parametrize("target", ELSEWHERE, ids=repr)
def test_anything_else_is_replaced(target: object) -> None:
    assert not is_local_path(target)
    assert local_path(target, default="/home") == "/home"


BARE = {
    "/?tags=a|b": "/?tags=a%7Cb",
    "/?q=a^b": "/?q=a%5Eb",
    "/?q=`x`": "/?q=%60x%60",
    '/?filter={"year":2030}': "/?filter=%7B%22year%22:2030%7D",
    "/?folder=C:\\data": "/?folder=C:%5Cdata",
    "/?q=a b": "/?q=a%20b",
    "/?q=ü\u200d": "/?q=%C3%BC%E2%80%8D",
    "/?x=100%&y=%7C": "/?x=100%&y=%7C",
    "/a|b/{c}": "/a%7Cb/%7Bc%7D",
    "/é": "/%C3%A9",
    "/ x": "/%20x",
    "/\u2044evil.test": "/%E2%81%84evil.test",
    "/<script>": "/%3Cscript%3E",
    "/'x'": "/%27x%27",
    "/a#b|c": "/a#b%7Cc",
    "/a//evil.test": "/a//evil.test",
}


@pytest.mark.parametrize(("bare", "encoded"), BARE.items(), ids=repr)
def test_what_is_harmless_once_encoded_is_encoded(bare: str, encoded: str) -> None:
    assert local_path(bare) == encoded
    assert is_local_path(encoded)
    assert local_path(encoded) == encoded  # and not once more


@pytest.mark.parametrize("target", [*ELSEWHERE, *BARE, *LOCAL], ids=repr)
@pytest.mark.parametrize("prefix", ["", "/run/forecast"])
def test_no_answer_leaves_its_origin(target: object, prefix: str) -> None:
    """
    As a browser resolves a Location.
    """
    base = "https://portal.example.com/sign-in"
    there = urlsplit(urljoin(base, prefix + local_path(target)))
    assert (there.scheme, there.netloc) == ("https", "portal.example.com")
    assert there.path.startswith(prefix)


@pytest.mark.parametrize("path", [*LOCAL, *BARE.values(), "/?" + "%7C" * 1364], ids=repr)
def test_a_path_survives_the_query_of_another_address(path: str) -> None:
    carried = in_query(path)
    assert parse_qs(f"next={carried}") == {"next": [path]}
    assert len(carried) <= MAX_CARRIED


def test_a_path_too_long_to_be_carried_is_replaced() -> None:
    target = "/?" + "&" * 4000
    assert is_local_path(target)
    assert local_path(target, default="/home") == "/home"
