"""A process does what its supervisor says: a real server around a real guard, and the other end of its channel."""

# ruff: noqa: ASYNC110 - what is waited for sets no event

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from gradio_apps.runtime.channel import Accept, Command, Draining, EndSession, Leave, SessionEnded, Status, read_status
from gradio_apps.runtime.channel_handler import DESCRIPTOR, ChannelHandler, channel_from
from gradio_apps.runtime.host.servers import PublicServer, own_config
from tests.gradio_apps.guard.deployment import APP, Deployment, a_deployment
from tests.gradio_apps.guard.test_draining import DATA, JOIN, gradio
from tests.processes import PATIENCE

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class RunningServer:
    """A server, and the supervisor's end of its channel."""

    deployment: Deployment
    server: PublicServer
    port: int
    writer: asyncio.StreamWriter
    messages: list[Status | SessionEnded] = field(default_factory=list)

    def tell(self, command: Command) -> None:
        self.writer.write(command.to_line())

    async def wait_for(self, holds: Callable[[Status], bool]) -> Status:
        async with asyncio.timeout(PATIENCE):
            while True:
                for one in self.messages:
                    if isinstance(one, Status) and holds(one):
                        return one
                await asyncio.sleep(0.02)

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={**self.deployment.signed_in(), **headers},
            timeout=PATIENCE,
            trust_env=False,
        )


@asynccontextmanager
async def running_server() -> AsyncIterator[RunningServer]:
    """A server that accepts connections only on command."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    port = sock.getsockname()[1]
    async with a_deployment(gradio) as deployment:
        handling = ChannelHandler(theirs, guard=deployment.guard, state=lambda: "running", problem=lambda: "")
        config = own_config(deployment.guard, lifespan="off", timeout_graceful_shutdown=1)
        server = PublicServer(config, sock=sock, before_stop=lambda: None, control=handling.start)
        reader, writer = await asyncio.open_connection(sock=ours)
        running = asyncio.create_task(server.serve())
        world = RunningServer(deployment, server, port, writer)

        async def hear() -> None:
            while line := await reader.readline():
                message = read_status(line)
                assert message is not None
                world.messages.append(message)

        hearing = asyncio.create_task(hear())
        try:
            yield world
        finally:
            server.stop_requested = True
            await running
            for task in (hearing, *handling._tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            writer.close()
            assert handling._writer is not None
            handling._writer.close()


async def test_it_ends_when_its_supervisor_is_gone() -> None:
    async with running_server() as world:
        world.tell(Accept())
        await world.wait_for(lambda status: status.accepting)
        world.writer.close()
        async with asyncio.timeout(PATIENCE):
            while not world.server.stop_requested:
                await asyncio.sleep(0.02)


async def test_nothing_is_taken_before_it_is_asked_for() -> None:
    async with running_server() as world, world.client() as client:
        waiting = asyncio.create_task(client.get("/"))
        assert not (await world.wait_for(lambda status: status.state == "running")).accepting
        assert not waiting.done()
        world.tell(Accept())
        assert (await waiting).status_code == 200
        await world.wait_for(lambda status: status.accepting)
        world.tell(Accept())  # once more changes nothing
        assert (await client.get("/")).status_code == 200


async def test_what_is_under_way_is_reported() -> None:
    async with running_server() as world, world.client() as client:
        world.tell(Accept())
        async with client.stream("GET", DATA, params={"session_hash": "hash"}):
            status = await world.wait_for(lambda status: status.open == {"stream": 1})
            assert status.listening == ("hash",)


async def test_who_leaves_finishes_what_runs_and_begins_nothing_new() -> None:
    async with running_server() as world, world.client() as idle, world.client() as streaming:
        world.tell(Accept())
        assert (await idle.get("/")).status_code == 200
        async with streaming.stream("GET", DATA, params={"session_hash": "hash"}) as stream:
            await world.wait_for(lambda status: status.listening == ("hash",))
            world.tell(Leave(600))
            left = await world.wait_for(lambda status: not status.accepting and status.listening == ("hash",))
            assert left.open == {"stream": 1}
            # A connection that is open is answered, for the last time; an event goes to the process that follows,
            # unless this page takes its answers from here.
            body = json.dumps({"session_hash": "another"})
            answer = await idle.post(JOIN, content=body, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.headers["location"]) == (307, APP + JOIN)
            assert answer.headers["connection"] == "close"
            assert not world.server.stop_requested
            async for line in stream.aiter_lines():
                assert line == "data: {}"
                break
        async with asyncio.timeout(PATIENCE):
            while not world.server.stop_requested:
                await asyncio.sleep(0.05)


async def test_who_leaves_waits_for_whoever_is_about_to_listen() -> None:
    async with running_server() as world, world.client(connection="close") as client:
        world.tell(Accept())
        joined = await client.post(
            JOIN, content='{"session_hash": "hash"}', headers={"content-type": "application/json"}
        )
        assert joined.status_code == 200
        world.tell(Leave(600))
        # The stream comes by a connection of its own, and here: not yet let go.
        async with client.stream("GET", DATA, params={"session_hash": "hash"}) as stream:
            assert stream.status_code == 200
            await world.wait_for(lambda status: not status.accepting and status.listening == ("hash",))


async def test_time_to_leave_is_bounded() -> None:
    async with running_server() as world, world.client() as client:
        world.tell(Accept())
        async with client.stream("GET", DATA, params={"session_hash": "hash"}):
            await world.wait_for(lambda status: bool(status.open))
            world.tell(Leave(0.1))
            async with asyncio.timeout(PATIENCE):
                while not world.server.stop_requested:
                    await asyncio.sleep(0.05)


async def test_sessions_that_wait_elsewhere_and_that_ended_elsewhere() -> None:
    async with running_server() as world, world.client() as client:
        world.tell(Accept())
        world.tell(Draining(("hash",)))
        assert (await client.get("/")).status_code == 200
        refused = await client.post(
            JOIN, content='{"session_hash": "hash"}', headers={"content-type": "application/json"}
        )
        assert refused.status_code == 503
        world.tell(EndSession("app-session-1"))
        world.writer.write(b"nonsense\n")
        async with asyncio.timeout(PATIENCE):
            while (await client.get("/config")).status_code != 401:
                await asyncio.sleep(0.02)
        # An end that the supervisor reported is not reported back; one that happens here is.
        world.deployment.guard.end_session("another")
        async with asyncio.timeout(PATIENCE):
            while SessionEnded("another") not in world.messages:
                await asyncio.sleep(0.02)
        assert SessionEnded("app-session-1") not in world.messages


def test_without_a_channel_nobody_controls() -> None:
    for value in ("", "x", "-1", "²"):
        environ = {DESCRIPTOR: value}
        assert channel_from(environ) is None
        assert environ == {}


def test_the_channel_is_not_handed_on_to_what_the_author_starts() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        os.set_inheritable(theirs.fileno(), True)
        environ = {DESCRIPTOR: str(theirs.detach()), "A": "b"}
        channel = channel_from(environ)
        assert channel is not None
        with channel:
            assert not os.get_inheritable(channel.fileno())
            assert environ == {"A": "b"}
