"""What the guard reads in a body is what Gradio reads there, or the request is refused; and reading costs little."""

import asyncio
import json
import threading
from collections.abc import Callable

import pytest

from gradio_apps.runtime.guard.asgi import Message, Receive, Scope, Send
from gradio_apps.runtime.guard.bindings import Owner
from gradio_apps.runtime.guard.bodies import (
    MAX_AT_ONCE,
    MAX_BODY,
    MAX_DEPTH,
    MAX_PER_OWNER,
    MAX_VALUES,
    SMALL,
    Bodies,
    Members,
    NotReadable,
    TooComplex,
    TooMuchAtOnce,
    check_shape,
    members_of,
)
from tests.asgi import drive
from tests.gradio_apps.guard.deployment import Deployment, a_deployment, a_person

JOIN = "/gradio_api/queue/join"
LISTS = b'{"data":[' + b"[]," * 9_999_999 + b'[]],"session_hash":"h"}'
"""28 MiB: a parser that builds them took 38.7 s, and 1.6 GB."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", Members()),
        (b"{}", Members()),
        (b'{"session_hash": "h"}', Members("h")),
        (b' {"data": [1, {"session_hash": "x"}], "event_id": "e", "session_hash": "h"} ', Members("h", "e")),
        (b'{"data": ["\\"session_hash\\": \\"x\\""], "session_hash": "h"}', Members("h")),
        (b'{"data": ["\\\\", "session_hash"], "session_hash": "h\\\\"}', Members("h\\")),
        (b'{"session\\u005fhash": "h"}', Members("h")),
        (b'{"session_hash": "\\ud83d\\ude00"}', Members("😀")),
        ('{"session_hash": "é", "ä": 1}'.encode(), Members("é")),
        (b'{"session_hash": null, "event_id": 1.5}', Members(None, 1.5)),
        (b'{"session_hash": {"session_hash": "x", "a": ["b", {}]}}', Members({"session_hash": "x", "a": ["b", {}]})),
        (b'{"data": 123456789012345678901234567890, "more": -0.5e-300, "session_hash": "h"}', Members("h")),
        (b'{"data": {"event_id": 1, "more": [{"event_id": 2}, {"event_id": 3}]}, "event_id": "e"}', Members(None, "e")),
    ],
)
def test_what_is_read_is_what_gradios_own_parser_reads(body: bytes, found: Members) -> None:
    assert members_of(body)[0] == found
    read = json.loads(body or b"{}")
    assert (read.get("session_hash"), read.get("event_id")) == (found.session_hash, found.event_id)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"session_hash": "a", "session_hash": "b"}', id="twice"),
        pytest.param(b'{"session_hash": "a", "session\\u005fhash": "b"}', id="twice, once in escapes"),
        pytest.param(b'{"session_hash": "a", "data": [{}], "s\\u0065ssion_hash": null}', id="twice, with nothing"),
        pytest.param(b'{"data": 1, "data": 2}', id="another name twice"),
        pytest.param('{"session_hash": "a"}'.encode("utf-16"), id="UTF-16"),
        pytest.param('{"session_hash": "a"}'.encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param('{"session_hash": "a"}'.encode("utf-32"), id="UTF-32"),
        pytest.param(b'\xef\xbb\xbf{"session_hash": "a"}', id="byte-order mark"),
        pytest.param(b'{"data": NaN, "session_hash": "a"}', id="NaN"),
        pytest.param(b'{"data": -Infinity, "session_hash": "a"}', id="Infinity"),
        pytest.param(b'{"session_hash": "\\ud800"}', id="half a pair"),
        pytest.param(b'{"data": "\\ud800", "session_hash": "a"}', id="half a pair elsewhere"),
        pytest.param(b'{"session_hash": "\xed\xa0\x80"}', id="half a pair in bytes"),
        pytest.param(b'{"data": "\xff", "session_hash": "a"}', id="not UTF-8"),
        pytest.param(b'{"data": "\xc0\xaf", "session_hash": "a"}', id="overlong UTF-8"),
        pytest.param(b'{"data": 1} {"session_hash": "a"}', id="two documents"),
        pytest.param(b'{"session_hash": "a"}\x00', id="something behind"),
        pytest.param(b'{"session_hash": "a",}', id="a comma too many"),
        pytest.param(b'{"session_hash": "a" /* b */}', id="comment"),
        pytest.param(b"{'session_hash': 'a'}", id="other quotes"),
        pytest.param(b'{session_hash: "a"}', id="no quotes"),
        pytest.param(b'{"data": 01, "session_hash": "a"}', id="octal"),
        pytest.param(b'{"data": "\n", "session_hash": "a"}', id="line break in a string"),
        pytest.param(b'{"data": "\\q", "session_hash": "a"}', id="unknown escape"),
        pytest.param(b'{"session_hash": "a"', id="not to its end"),
        pytest.param(b'{"a":"a":"a":"a"}', id="colons"),
        pytest.param(b"{:::}", id="only colons"),
        pytest.param(b'[{"session_hash": "a"}]', id="list"),
        pytest.param(b'"session_hash"', id="string"),
        pytest.param(b"null", id="null"),
        pytest.param(b" ", id="blank"),
    ],
)
def test_what_could_be_read_in_another_way_is_refused(body: bytes) -> None:
    with pytest.raises(NotReadable):
        members_of(body)


def nested(depth: int) -> bytes:
    return b'{"data":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b',"session_hash":"h"}'


def filled(values: int) -> bytes:
    return b'{"data":[' + b"1," * (values - 3) + b'1],"session_hash":"h"}'


@pytest.mark.parametrize("look", [members_of, check_shape])
class TestBounds:
    @pytest.mark.parametrize("body", [nested(MAX_DEPTH), filled(MAX_VALUES)], ids=["depth", "values"])
    def test_up_to_them_everything_passes(self, look: Callable[[bytes], object], body: bytes) -> None:
        assert json.loads(body)["session_hash"] == "h"
        look(body)

    @pytest.mark.parametrize(
        "body",
        [
            nested(MAX_DEPTH + 1),
            filled(MAX_VALUES + 1),
            b'{"session_hash":[' + b"[]," * MAX_VALUES + b"[]]}",
            LISTS,
            b"{" + b'"a":{},' * MAX_VALUES + b'"a":1}',
            b'{"data":[' + b'"",' * 9_000_000 + b"1]}",
        ],
        ids=["depth", "values", "in an id", "lists", "members", "strings"],
    )
    def test_beyond_them_it_is_refused(self, look: Callable[[bytes], object], body: bytes) -> None:
        with pytest.raises(TooComplex):
            look(body)

    @pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["lists", "objects"])
    def test_a_depth_that_no_parser_bears_is_no_crash(self, look: Callable[[bytes], object], opening: bytes) -> None:
        for closed in (b"", b"1" + {b"[": b"]"}.get(opening, b"}") * 1_000_000):
            with pytest.raises((NotReadable, TooComplex)):
                look(opening * 1_000_000 + closed)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"data":"' + b"x" * 30_000_000 + b'"}',
            b'{"data":"' + b"\\n" * 15_000_000 + b'"}',
            b'{"data":"' + b"\\u0041" * 5_000_000 + b'"}',
            b'{"' + b"\\u0041" * 5_000_000 + b'":1}',
            b" " * 30_000_000 + b"{}",
        ],
        ids=["long string", "escapes", "more escapes", "long name", "blanks"],
    )
    def test_what_is_merely_long_is_read(self, look: Callable[[bytes], object], body: bytes) -> None:
        look(body)  # in less than a second each; another parser took 37 for the escapes


def test_bytes_are_counted_for_each_person_and_for_all() -> None:
    bodies = Bodies()
    with bodies.reading("ana") as take:
        take(MAX_BODY)
        with bodies.reading("ana") as again:
            again(MAX_PER_OWNER - MAX_BODY)
            with pytest.raises(TooMuchAtOnce) as refused:
                again(1)
        assert refused.value.own
        with bodies.reading("ben") as other:
            other(1)  # another's count of their own
    with bodies.reading("ana") as take:
        take(MAX_PER_OWNER)  # given back
    for one in range(MAX_AT_ONCE // MAX_PER_OWNER):
        bodies.reading(one).__enter__()(MAX_PER_OWNER)
    with bodies.reading("late") as take, pytest.raises(TooMuchAtOnce) as refused:
        take(1)
    assert not refused.value.own


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that says how much it was given."""
    size = len((await receive())["body"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path",
    [JOIN, "/gradio_api/run/predict", "/gradio_api/call/predict", "/gradio_api/call/v2/predict", "/gradio_api/mcp/"],
)
async def test_whatever_gradio_would_build_is_bounded(path: str) -> None:
    async with a_deployment(reading) as deployment:
        outcome = await deployment.post(path, LISTS, content_type="application/json")
        assert (outcome.status, deployment.app.scopes) == (413, [])
        plain = b'{"data": [], "session_hash": "h"}'
        assert (await deployment.post(path, plain, content_type="application/json")).text == str(len(plain))


@pytest.mark.anyio
async def test_a_long_body_is_looked_into_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While one is looked into, which here takes until it is let go, others are answered.
    """
    looked, let_go = threading.Event(), threading.Event()

    def slowly(body: bytes, **more: bool) -> tuple[Members, tuple[str, ...]]:
        looked.set()
        assert let_go.wait(60)
        return members_of(body, **more)

    monkeypatch.setattr("gradio_apps.runtime.guard.gradio_calls.members_of", slowly)
    long = b'{"session_hash": "h", "data": ["' + b"x" * SMALL + b'"]}'
    async with a_deployment(reading) as deployment:
        posted = asyncio.create_task(deployment.post(JOIN, long, content_type="application/json"))
        while not looked.is_set():  # noqa: ASYNC110 - a thread's event
            await asyncio.sleep(0.01)
        assert (await deployment.get("/.portal/health")).status == 200
        assert not posted.done()
        let_go.set()
        assert (await posted).text == str(len(long))


@pytest.mark.anyio
async def test_what_one_person_sends_at_once_is_bounded_and_others_are_served() -> None:
    async with a_deployment(reading) as deployment:
        deployment.portal.person("ben", a_person(subject="ben"))
        half, more = b'{"data": "' + b"x" * (MAX_BODY - 100), asyncio.Event()
        slow = [asyncio.create_task(unfinished(deployment, half, more)) for _ in range(MAX_PER_OWNER // MAX_BODY)]
        while deployment.guard._ownership._bodies._held[Owner(a_person().subject, "acme")] < len(slow) * len(half):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        refused = await deployment.post(JOIN, b'{"data": "' + b"x" * 1000 + b'"}', content_type="application/json")
        assert refused.status == 429
        others = await deployment.post(JOIN, b"{}", deployment.signed_in("ben"), content_type="application/json")
        assert others.status == 200
        more.set()
        assert [await one for one in slow] == [200] * len(slow)
        assert (await deployment.post(JOIN, b"{}", content_type="application/json")).status == 200


async def unfinished(deployment: Deployment, half: bytes, more: asyncio.Event) -> int:
    """Send *half* of a body, and the rest after *more*; return the status of the answer."""
    sent: list[Message] = []
    pieces: list[Message] = [
        {"type": "http.request", "body": half, "more_body": True},
        {"type": "http.request", "body": b'"}', "more_body": False},
    ]

    async def receive() -> Message:
        if len(pieces) == 1:
            await more.wait()
        return pieces.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = deployment.scope(JOIN, method="POST", content_type="application/json")
    await deployment.guard(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.anyio
async def test_without_a_thread_a_long_body_is_to_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with a_deployment(reading) as deployment:
        monkeypatch.setattr(threading.Thread, "start", none_left)
        outcome = await drive(
            deployment.guard,
            deployment.scope(JOIN, method="POST", content_type="application/json"),
            body=b'{"data": "' + b"x" * SMALL + b'"}',
        )
        assert outcome.status == 503
