"""Which connections stay, and which go when there are too many."""

import asyncio
import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from gradio_apps.runtime.guard import own_routes
from gradio_apps.runtime.guard.asgi import Message, Scope
from gradio_apps.runtime.guard.connections import (
    CONNECTION,
    HEAD_TIME,
    PER_PERSON,
    STRANGER_TIME,
    AtOnce,
    Connection,
    Connections,
    Room,
    limit_key,
)
from gradio_apps.runtime.guard.own_routes import FORMS_AT_ONCE
from portal.contract import TrustedProxies, read_address, read_network
from tests.asgi import drive
from tests.gradio_apps.guard.deployment import FORM, Deployment, a_deployment, a_person
from tests.gradio_apps.guard.test_running_requests import endless

PROXIES = TrustedProxies((read_network("203.0.113.0/24"),))


@dataclass(slots=True)
class Sock:
    number: int

    def fileno(self) -> int:
        return self.number


@dataclass(slots=True, eq=False)
class Pipe:
    """A transport that only knows whether it was closed."""

    peer: object
    number: int
    closed: bool = False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": self.peer, "socket": Sock(self.number)}[name]

    def abort(self) -> None:
        self.closed = True


@dataclass(slots=True)
class Server:
    """Connections of a process, with a clock that the test moves."""

    room: Room = field(default_factory=lambda: Room(1024))
    now: float = 1000.0
    pipes: list[Pipe] = field(default_factory=list)
    connections: Connections = field(init=False)

    def __post_init__(self) -> None:
        self.connections = Connections(self.room, trusted=PROXIES, clock=lambda: self.now)

    def open(self, peer: object = ("127.0.0.1", 1), *, number: int = 10) -> Connection:
        pipe = Pipe(peer, number)
        self.pipes.append(pipe)
        self.now += 0.001
        return self.connections.opened(pipe)

    @property
    def closed(self) -> list[int]:
        """Which were closed, by the order they came in."""
        return [number for number, pipe in enumerate(self.pipes) if pipe.closed]


@pytest.mark.parametrize("descriptors", [64, 128, 256, 1024, 4096, 65_536, 1_048_576])
def test_there_is_always_room_besides_those_who_serve(descriptors: int) -> None:
    room = Room(descriptors)
    assert 1 <= room.serving <= room.for_connections
    assert room.waiting <= room.for_connections
    assert room.for_connections == 1 or room.for_connections + room.reserve <= descriptors
    if descriptors >= 256:
        assert room.serving < room.for_connections
        assert room.reserve >= 64
        assert room.serving > PER_PERSON


def test_whoever_has_waited_longest_goes_when_descriptors_are_short() -> None:
    server = Server()
    short = server.room.for_connections
    first, second, third = server.open(), server.open(), server.open()
    first.begin()  # it sent a head: it waits again
    with second.serving() as stays:
        assert stays
        server.open(number=short - 1)
        assert server.closed == []
        server.open(number=short)
        assert server.closed == [2]
        server.open(number=short + 1)
        assert server.closed == [0, 2]
    assert third.peer is first.peer is None


def test_who_serves_stays_whatever_comes() -> None:
    server = Server()
    with ExitStack() as serving:
        for _ in range(3):
            connection = server.open()
            connection.begin()
            assert serving.enter_context(connection.serving())
        for _ in range(5):
            server.open(number=2000)
        server.connections.make_room(100)
        server.now += 1000
        server.connections.sweep()
        assert server.closed == [3, 4, 5, 6, 7]


def test_a_new_connection_may_take_of_the_reserve_where_none_can_go() -> None:
    server = Server()
    with server.open().serving():
        server.open(number=1023)
        assert server.closed == []


def test_many_serve_and_no_more_than_leave_room() -> None:
    server = Server()
    with ExitStack() as serving:
        found = [serving.enter_context(server.open().serving()) for _ in range(server.room.serving + 3)]
        assert found == [True] * server.room.serving + [False] * 3
    with server.open().serving() as stays:
        assert stays, "what served is given back"


@pytest.mark.parametrize(
    ("peer", "bounded"),
    [
        (("192.0.2.1", 1), True),
        (("2001:db8::1", 1, 0, 0), True),
        (("127.0.0.1", 1), False),
        (("::1", 1, 0, 0), False),
        (("::ffff:127.0.0.1", 1, 0, 0), False),
        (("203.0.113.7", 1), False),
        ("", False),
        (None, False),
    ],
    ids=str,
)
def test_one_address_has_a_bound_of_its_own_unless_it_speaks_for_many(peer: object, *, bounded: bool) -> None:
    server = Server()
    server.open(("198.51.100.1", 1))
    for _ in range(server.room.waiting_of_peer + 2):
        server.open(peer)
    assert server.closed == ([1, 2] if bounded else [])
    server.open(("198.51.100.1", 1))
    assert 0 not in server.closed


def test_altogether_there_is_a_bound_too() -> None:
    server = Server(Room(1_048_576))
    for _ in range(server.room.waiting + 2):
        server.open()
    assert server.closed == [0, 1]


def test_a_rate_limit_key_is_counted_as_one() -> None:
    def key(text: str) -> object:
        return limit_key(read_address(text), PROXIES)

    assert key("2001:db8::1") == key("2001:db8::ffff:1") != key("2001:db8:0:1::1")
    assert key("192.0.2.1") != key("192.0.2.2")
    assert key("192.0.2.1") is not None
    assert key("203.0.113.1") is key("127.0.0.1") is limit_key(None, PROXIES) is None


def test_heads_and_strangers_have_their_time(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    silent, strange, known = server.open(), server.open(), server.open()
    strange.begin()
    known.begin()
    with known.serving():
        with caplog.at_level(logging.WARNING, "gradio_portal.guard"):
            server.now += HEAD_TIME + 0.1
            server.connections.sweep()
            assert server.closed == [0]
            server.now += STRANGER_TIME - HEAD_TIME
            server.connections.sweep()
            assert server.closed == [0, 1]
        assert caplog.messages == ["connections-closed code=too-slow count=1"] * 2
    known.answered()
    server.now += HEAD_TIME + 1
    server.connections.sweep()
    assert server.closed == [0, 1, 2]
    silent.closed()


def test_what_ends_late_does_not_take_the_next_request_along() -> None:
    """
    A handler may go on after its answer, while the next request of the same connection runs already.
    """
    server = Server()
    connection = server.open()
    with ExitStack() as first, ExitStack() as second:
        connection.begin()
        first.enter_context(connection.serving())
        connection.answered()
        connection.begin()
        second.enter_context(connection.serving())
        first.close()
        server.open(number=1023)
        assert server.closed == []
    server.open(number=1023)
    assert server.closed == [1]


def test_a_closed_connection_is_forgotten() -> None:
    server = Server()
    connection = server.open(("192.0.2.1", 1))
    with connection.serving():
        connection.closed()
    assert not server.connections._waiting
    assert not server.connections._serving
    assert not server.connections._of_peer


def test_what_runs_at_once_is_counted_by_key_and_given_back() -> None:
    at_once = AtOnce(2)
    with at_once.one("a") as first, at_once.one("a") as second, at_once.one("a") as third, at_once.one("b") as other:
        assert (first, second, third, other) == (True, True, False, True)
    with at_once.one("a") as again:
        assert again
    assert not at_once._running
    with ExitStack() as many:
        assert all(many.enter_context(at_once.one(None)) for _ in range(10))


@pytest.mark.anyio
class TestGuard:
    async def test_requests_of_one_person_are_bounded_over_all_their_sessions(self) -> None:
        async with a_deployment(endless) as deployment:
            running = [
                asyncio.create_task(
                    drive(deployment.guard, deployment.scope("/stream", headers=deployment.signed_in(f"session-{one}")))
                )
                for one in range(PER_PERSON)
            ]
            while sum(deployment.guard.work.open().values()) < PER_PERSON:  # noqa: ASYNC110 - no event is set
                await asyncio.sleep(0.01)
            refused = await deployment.get("/", deployment.signed_in("one-more"))
            assert (refused.status, refused.header("retry-after")) == (429, "5")
            assert (await deployment.get("/.portal/health")).status == 200
            deployment.portal.person("another", a_person(subject="ben"))
            other = asyncio.create_task(deployment.get("/", deployment.signed_in("another")))
            await asyncio.sleep(0.05)
            assert not other.done(), "it runs"
            for one in (*running, other):
                one.cancel()

    async def test_an_app_does_not_see_the_connection(self) -> None:
        async with a_deployment() as deployment:
            scope = deployment.scope("/")
            scope[CONNECTION] = Server().open()
            assert (await drive(deployment.guard, scope)).status == 200
            [seen] = deployment.app.scopes
            assert CONNECTION not in seen

    async def test_with_too_many_connections_a_person_is_asked_to_come_again(self) -> None:
        server = Server(Room(64))
        async with a_deployment() as deployment:
            with server.open().serving():
                scope = deployment.scope("/")
                scope[CONNECTION] = server.open()
                refused = await drive(deployment.guard, scope)
            assert (refused.status, deployment.app.scopes) == (503, [])
            assert (await drive(deployment.guard, scope)).status == 200

    @pytest.mark.parametrize("path", ["session", "backchannel-logout"])
    async def test_a_body_that_does_not_come_is_not_waited_for(
        self, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(own_routes, "FORM_TIME", 0.05)
        async with a_deployment() as deployment:
            outcome = await slow_post(deployment, path)
            assert (outcome[0]["status"], (b"connection", b"close") in outcome[0]["headers"]) == (408, True)

    async def test_forms_of_one_client_are_bounded_and_each_by_itself(self) -> None:
        async with a_deployment() as deployment, asyncio.TaskGroup() as tasks:
            slow = [tasks.create_task(slow_post(deployment, "session")) for _ in range(FORMS_AT_ONCE)]
            await asyncio.sleep(0)
            [refused, *_] = await slow_post(deployment, "session")
            assert refused["status"] == 429
            assert (await deployment.push(deployment.logout_token())).status == 200
            other = tasks.create_task(slow_post(deployment, "session", client="192.0.2.2"))
            await asyncio.sleep(0.05)
            assert not other.done()
            for one in (*slow, other):
                one.cancel()


async def slow_post(deployment: Deployment, path: str, *, client: str = "192.0.2.1") -> list[Message]:
    """Post a form that does not come; return what was answered."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    headers = {"host": deployment.host, "origin": "https://portal.example.com", "content-type": FORM}
    scope: Scope = deployment.scope(f"/.portal/{path}", method="POST", headers=headers)
    scope["client"] = (client, 1)
    await deployment.guard(scope, receive, send)
    return sent
