"""Cookies: sealed under the app's own secret, and hidden from the app."""

import pytest

from gradio_apps.runtime.guard.cookies import CookieSeal, hkdf, is_portal_cookie
from tests.gradio_apps.guard.deployment import guard_settings

SEAL = CookieSeal(guard_settings())
NAME = "__Host-portal-app-forecast"


def header(*pairs: str) -> bytes:
    return "; ".join(pairs).encode("latin-1")


def test_the_key_is_derived_as_rfc_5869_says() -> None:
    """
    Test case 3: no salt, no info; our 32 bytes are the first of its 42.
    """
    key = hkdf(bytes([0x0B] * 22), info=b"")

    assert key.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


def test_a_sealed_session_is_read_back() -> None:
    assert SEAL.read(header(f"{NAME}={SEAL.seal('sid-1')}")) == ("sid-1", b"")


def test_the_cookie_names_itself_as_strongly_as_its_address_allows() -> None:
    assert SEAL.set_cookie("s").startswith(f"{NAME}=s.")
    plain = CookieSeal(guard_settings(app_url="http://127.0.0.1:7871"))
    assert "Secure" not in plain.set_cookie("s")
    assert plain.set_cookie("s").startswith("portal-app-forecast=s.")
    local = CookieSeal(guard_settings(app_url="http://forecast.demo.localhost:7871"))
    assert "; Secure" in local.set_cookie("s")


def _seal(**changes: str) -> CookieSeal:
    return CookieSeal(guard_settings(**changes))


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "sid-1",
        "sid-1.",
        ".mac",
        SEAL.seal("sid-1")[:-1],
        SEAL.seal("sid-1") + "=",
        SEAL.seal("sid-1").replace("sid-1", "sid-2"),
        SEAL.seal("sid-1").swapcase(),
        _seal(secret="another-secret-of-32-characters!").seal("sid-1"),
        SEAL.seal("s" * 513),
        "sid-1.\xff\xfe",
        '"' + SEAL.seal("sid-1") + '"',
    ],
)
def test_anything_else_names_no_session(value: str) -> None:
    assert SEAL.read(header(f"{NAME}={value}"))[0] is None


def test_two_cookies_of_our_name_name_nobody() -> None:
    """
    One of them was planted, and the header does not say which.
    """
    pair = f"{NAME}={SEAL.seal('sid-1')}"

    assert SEAL.read(header(pair, f"{NAME}=x"))[0] is None
    assert SEAL.read(header(pair, pair))[0] is None


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (header("a=1", f"{NAME}=x", "b=2"), b"a=1; b=2"),
        (header("__Host-portal=s"), b""),
        (header("portal=s", "portal-theme=dark", "portals=1"), b"portals=1"),
        (header("__Secure-portal-app-other=x", "__host-PORTAL-app-third=y"), b""),
        (header("__Host-portal-attempt-0a1b2c3d=z", "session=mine"), b"session=mine"),
        (b" a=1 ;; ;portal-x;b", b"a=1; b"),
        (header("my-portal-x=1", "portal_x=2"), b"my-portal-x=1; portal_x=2"),
    ],
)
def test_the_app_sees_its_own_cookies_only(given: bytes, seen: bytes) -> None:
    assert seen == SEAL.read(given)[1]


def test_names_are_compared_without_case_and_prefix() -> None:
    assert is_portal_cookie(b" __HOST-Portal ")
    assert not is_portal_cookie(b"__Host-session")
