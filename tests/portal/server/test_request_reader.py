"""When a request is complete, and which requests are refused."""

from http import HTTPStatus

import pytest

from portal.server.request_reader import LARGEST_BODY, LARGEST_HEAD, LARGEST_LINE, IncomingRequest

BAD, NO_LENGTH, TOO_LARGE = HTTPStatus.BAD_REQUEST, HTTPStatus.LENGTH_REQUIRED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
TOO_LONG, TOO_MUCH = HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
POST = b"POST /sign-in HTTP/1.1\r\nHost: a\r\n"


def after(*pieces: bytes) -> IncomingRequest:
    incoming = IncomingRequest()
    for piece in pieces:
        incoming.feed(piece)
    return incoming


def test_a_request_is_complete_with_its_last_byte_however_it_comes() -> None:
    request = POST + b"Content-Length: 5\r\n\r\nhello"
    for cut in range(1, len(request)):
        incoming = IncomingRequest()
        incoming.feed(request[:cut])
        assert not incoming.is_complete, cut
        incoming.feed(request[cut:])
        assert incoming.is_complete
        assert incoming.content() == request
        assert incoming.refusal is None
        assert not incoming.has_more
    bytewise = after(*(bytes([one]) for one in request))
    assert bytewise.content() == request


def test_bytes_after_a_request_are_not_part_of_it() -> None:
    incoming = after(POST + b"Content-Length: 5\r\n\r\nhelloGET /admin HTTP/1.1\r\n\r\n")
    assert incoming.is_complete
    assert incoming.has_more
    assert incoming.content().endswith(b"hello")


def test_empty_lines_before_a_request_mean_nothing() -> None:
    assert (
        after(b"\r\n", b"\r", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").content() == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    )


def test_expect_100_continue_is_answered_once() -> None:
    head = POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    incoming = IncomingRequest()
    assert incoming.feed(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert incoming.feed(b"hello") == b""
    assert IncomingRequest().feed(head + b"hello") == b""  # it did not wait
    assert IncomingRequest().feed(POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n") == b""


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n", NO_LENGTH, id="chunked"),
        pytest.param(
            POST + b"Content-Length: 3\r\ntransfer-encoding : chunked\r\n\r\n",
            NO_LENGTH,
            id="two ways",
        ),
        pytest.param(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", BAD, id="two lengths"),
        pytest.param(POST + b"Content-Length: 3, 3\r\n\r\n", BAD, id="a list of lengths"),
        pytest.param(POST + b"Content-Length: -3\r\n\r\n", BAD, id="negative"),
        pytest.param(POST + b"Content-Length: +3\r\n\r\n", BAD, id="signed"),
        pytest.param(POST + b"Content-Length: 0x3\r\n\r\n", BAD, id="no number"),
        pytest.param(POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", BAD, id="a huge number"),
        pytest.param(
            POST + f"Content-Length: {LARGEST_BODY + 1}\r\n\r\n".encode(),
            TOO_LARGE,
            id="large",
        ),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", BAD, id="bare line feeds"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\n\r\n", BAD, id="one bare line feed"),
        pytest.param(b"GET /" + b"a" * LARGEST_LINE, TOO_LONG, id="a line without an end"),
        pytest.param(b"GET /" + b"a" * LARGEST_LINE + b" HTTP/1.1\r\n\r\n", TOO_LONG, id="a long line"),
        pytest.param(
            POST + b"Cookie: " + b"a" * LARGEST_LINE + b"\r\n\r\n",
            TOO_MUCH,
            id="a long header",
        ),
        pytest.param(
            POST + b"a: b\r\n" * (LARGEST_HEAD // 6),
            TOO_MUCH,
            id="headers without end",
        ),
    ],
)
def test_refused_requests(sent: bytes, refusal: HTTPStatus) -> None:
    assert after(sent).refusal is refusal
    assert after(sent).is_complete  # nothing more is waited for
    assert after(*(sent[at : at + 1000] for at in range(0, len(sent), 1000))).refusal is refusal


def test_request_line_and_headers_of_sixteen_kilobytes_are_accepted() -> None:
    line = b"GET /?code=" + b"x" * (LARGEST_LINE - 20) + b" HTTP/1.1\r\n"
    cookie = b"Cookie: a=" + b"y" * (LARGEST_LINE - 100) + b"\r\n"
    assert after(line + b"Host: a\r\n" + cookie + b"\r\n").refusal is None
    assert len(line) + len(cookie) < LARGEST_HEAD
