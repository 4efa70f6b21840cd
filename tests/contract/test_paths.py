"""A path stays in its origin, whatever a browser or a proxy makes of it."""

import pytest

from portal.contract import is_local_path, local_path

LOCAL = ("/", "/a", "/a/b?x=1&y=//z", "/a#top", "/file=%20x", "/a?next=https://other.example.com/", "/%C3%A9")
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
    "/ x",
    "https://evil.test",
    "https:evil.test",
    "http:///evil.test",
    "javascript:alert(1)",
    "data:text/html,x",
    "/%2F/evil.test",
    "/%2Fevil.test",
    "/%5Cevil.test",
    "/%252Fevil.test",
    "/a//evil.test",
    "/../x",
    "/a/../../x",
    "/./x",
    "/%2e%2e/x",
    "/.%2e/x",
    "/%09/evil.test",
    "/%00",
    "/a\x00",
    "/é",
    "/\u2044evil.test",
    "/<script>",
    "/'x'",
    '/"x"',
    "/{x}",
    "/|",
    "/" + "a" * 2048,
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
