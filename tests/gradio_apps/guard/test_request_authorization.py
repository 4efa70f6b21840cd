"""The whole rule of admission, as a table."""

from typing import Any

import pytest

from gradio_apps.runtime.guard.request_authorization import (
    Authorization,
    Challenge,
    Enter,
    Presented,
    Refuse,
    RequestRefusal,
    authorize,
)

HOSTS = frozenset({b"app.example.com", b"app.example.com:443"})
ORIGIN = b"https://app.example.com"
ENTER, CHALLENGE, CROSS = Enter("s"), Challenge(), Refuse(RequestRefusal.CROSS_ORIGIN)
HOST, WORKER = Refuse(RequestRefusal.UNKNOWN_HOST), Refuse(RequestRefusal.SERVICE_WORKER)
NAVIGATE: dict[str, Any] = {"fetch_mode": b"navigate", "fetch_dest": b"iframe"}


def decide(**presented: Any) -> Authorization:
    given = {"host": b"app.example.com", "sid": "s", **presented}
    return authorize(Presented(**given), hosts=HOSTS, origin=ORIGIN)


@pytest.mark.parametrize(
    ("presented", "expected"),
    [
        # a script of the app's own page
        ({"fetch_site": b"same-origin"}, ENTER),
        ({"fetch_site": b"same-origin", "method": "POST", "origin": ORIGIN}, ENTER),
        ({"fetch_site": b"same-origin", "method": "DELETE"}, ENTER),
        ({"fetch_site": b"same-origin", "method": "OPTIONS"}, ENTER),
        ({"fetch_site": b"none"}, ENTER),
        # a sibling app: same site, not same origin
        ({"fetch_site": b"same-site"}, CROSS),
        ({"fetch_site": b"same-site", "method": "POST"}, CROSS),
        ({"fetch_site": b"same-site", "method": "POST", "origin": ORIGIN}, CROSS),
        ({"fetch_site": b"same-site", "fetch_mode": b"no-cors", "fetch_dest": b"image"}, CROSS),
        # a stranger
        ({"fetch_site": b"cross-site"}, CROSS),
        ({"fetch_site": b"cross-site", "method": "HEAD", **NAVIGATE}, CROSS),
        ({"fetch_site": b"cross-site", "method": "POST", **NAVIGATE}, CROSS),
        ({"fetch_site": b"something-new"}, CROSS),
        ({"fetch_site": b"same-origin, cross-site"}, CROSS),
        ({"fetch_site": b""}, CROSS),
        # navigations are welcome from anywhere, by GET and into a document
        ({"fetch_site": b"cross-site", **NAVIGATE}, ENTER),
        ({"fetch_site": b"same-site", "fetch_mode": b"navigate", "fetch_dest": b"document"}, ENTER),
        ({"fetch_site": b"cross-site", "fetch_mode": b"navigate", "fetch_dest": b"object"}, CROSS),
        ({"fetch_site": b"cross-site", "fetch_mode": b"navigate", "fetch_dest": b"embed"}, CROSS),
        ({"fetch_site": b"cross-site", "fetch_mode": b"navigate"}, CROSS),
        ({"fetch_site": b"cross-site", "fetch_mode": b"no-cors", "fetch_dest": b"iframe"}, CROSS),
        # Origin, where there is one, must be ours
        ({"fetch_site": b"same-origin", "method": "POST", "origin": b"null"}, CROSS),
        ({"fetch_site": b"none", "method": "POST", "origin": b"https://evil.test"}, CROSS),
        ({"origin": b"https://evil.test"}, CROSS),
        ({"origin": b"null"}, CROSS),
        ({"origin": ORIGIN}, ENTER),
        # browsers without Sec-Fetch-*
        ({}, ENTER),
        ({"method": "HEAD"}, ENTER),
        ({"method": "POST"}, CROSS),
        ({"method": "PUT", "origin": b"https://app.example.com:8443"}, CROSS),
        ({"method": "POST", "origin": b"https://app.example.com, https://app.example.com"}, CROSS),
        ({"method": "POST", "origin": ORIGIN}, ENTER),
        ({"method": "OPTIONS"}, CROSS),
        ({"method": "TRACE"}, CROSS),
        # sockets
        ({"method": "WEBSOCKET", "origin": ORIGIN}, ENTER),
        ({"method": "WEBSOCKET", "origin": ORIGIN, "fetch_site": b"same-origin"}, ENTER),
        ({"method": "WEBSOCKET", "origin": ORIGIN, "fetch_site": b"same-site"}, CROSS),
        ({"method": "WEBSOCKET"}, CROSS),
        ({"method": "WEBSOCKET", "origin": b"https://evil.test"}, CROSS),
        # nobody
        ({"sid": None}, CHALLENGE),
        ({"sid": None, "method": "OPTIONS", "origin": b"https://evil.test"}, CHALLENGE),
        ({"sid": None, "fetch_site": b"cross-site"}, CHALLENGE),
        # another name, whoever asks
        ({"host": None}, HOST),
        ({"host": b"evil.test"}, HOST),
        ({"host": b"app.example.com:8443"}, HOST),
        ({"host": b"app.example.com."}, HOST),
        ({"host": b"app.example.com, evil.test"}, HOST),
        ({"host": b"127.0.0.1"}, HOST),
        ({"host": b"evil.test", "sid": None}, HOST),
        ({"host": b"APP.example.com"}, ENTER),
        ({"host": b"app.example.com:443"}, ENTER),
        # service workers
        ({"service_worker": True, "fetch_site": b"same-origin"}, WORKER),
        ({"service_worker": True, "sid": None}, WORKER),
    ],
)
def test_what_follows_from_what_is_presented(presented: dict[str, Any], expected: Authorization) -> None:
    assert expected == decide(**presented)


def test_only_entering_is_true_in_an_if() -> None:
    assert [bool(one) for one in (ENTER, CHALLENGE, CROSS)] == [True, False, False]


@pytest.mark.parametrize(
    ("presented", "expected"),
    [
        ({"fetch_mode": b"navigate", "fetch_dest": b"document"}, "document"),
        ({"fetch_mode": b"navigate", "fetch_dest": b"iframe"}, "frame"),
        ({"fetch_mode": b"cors", "accepts_html": True}, None),
        ({"accepts_html": True}, "frame"),
        ({}, None),
        ({"method": "POST", "fetch_mode": b"navigate", "fetch_dest": b"document"}, None),
    ],
)
def test_who_looks_at_the_answer(presented: dict[str, Any], expected: str | None) -> None:
    assert expected == Presented(**presented).navigation


def test_each_refusal_has_its_status() -> None:
    assert {403, 421} == {refusal.status for refusal in RequestRefusal}
