"""One tag in every page, wherever the page is cut into pieces."""

import pytest

from gradio_apps.runtime.guard.injection import SEARCHED, Injector, script_tag
from portal.contract.known_addresses import KNOWN_ADDRESSES
from tests.gradio_apps.guard.deployment import guard_settings

TAG = b"<script></script>"
HTML = [(b"content-type", b"text/html; charset=utf-8")]
PAGE = b"<!doctype html><html><head lang='en'><title>x</title></head><body>y</body></html>"
DONE = PAGE.replace(b"lang='en'>", b"lang='en'>" + TAG)


def pieces(body: bytes, size: int) -> bytes:
    injector = Injector(TAG)
    injector.start(200, HTML)
    cut = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    out = b""
    for index, piece in enumerate(cut):
        more = index + 1 < len(cut)
        out += injector.feed(piece, more=more) if injector.active else piece
    return out


@pytest.mark.parametrize("size", [1, 2, 7, 20, 1000])
def test_the_tag_follows_the_head_however_the_page_arrives(size: int) -> None:
    assert pieces(PAGE, size) == DONE


def test_a_header_element_is_no_head() -> None:
    assert pieces(b"<header>x</header>", 5) == b"<header>x</header>" + TAG


def test_a_page_without_a_head_gets_the_tag_at_the_end() -> None:
    assert pieces(b"hello", 2) == b"hello" + TAG
    assert pieces(b"", 2) == TAG


def test_a_long_way_to_the_head_holds_nothing_back_for_ever() -> None:
    body = b"x" * SEARCHED + b"<head>" + b"y"

    assert body + TAG == pieces(body, 4096)


def test_the_length_is_corrected() -> None:
    injector = Injector(TAG)

    headers = injector.start(200, [*HTML, (b"content-length", str(len(PAGE)).encode())])

    assert (b"content-length", str(len(DONE)).encode()) in headers
    assert injector.feed(PAGE, more=False) == DONE


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (304, HTML),
        (206, HTML),
        (302, HTML),
        (200, []),
        (200, [(b"content-type", b"application/json")]),
        (200, [(b"content-type", b"text/html-sandboxed")]),
        (200, [(b"content-type", b"text/html; charset=utf-16")]),
        (200, [*HTML, (b"content-encoding", b"gzip")]),
        (200, [*HTML, (b"content-disposition", b'attachment; filename="x.html"')]),
    ],
)
def test_what_is_no_page_stays_as_it_is(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    injector = Injector(TAG)

    assert headers == injector.start(status, headers)
    assert not injector.active


@pytest.mark.parametrize(
    "kind", ["text/html", "TEXT/HTML;charset=UTF-8", 'text/html; charset="utf-8"', "text/html; x=1"]
)
def test_what_is_a_page_is_known_in_any_spelling(kind: str) -> None:
    injector = Injector(TAG)
    injector.start(404, [(b"content-type", kind.encode())])

    assert injector.active


def test_the_tag_says_whose_page_it_is() -> None:
    tag = script_tag(guard_settings(cookies="partitioned", app_url="https://a.example.com/x"), event="session-ended")

    assert tag == (
        b'<script src="/x/.portal/frame.js" data-portal="https://portal.example.com" data-app="forecast" '
        b'data-base="/x" data-cookies="partitioned" data-event="session-ended" data-known="'
        + " ".join(KNOWN_ADDRESSES).encode("ascii")
        + b'"></script>'
    )
    assert b"data-known" not in script_tag(guard_settings()), "nothing to correct where the app has its host to itself"
