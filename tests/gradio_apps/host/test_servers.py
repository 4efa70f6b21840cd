"""The public server: its parts, and the moment when another process takes over."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from gradio_apps.runtime.host.servers import PublicServer, own_config, websocket_implementation

MANY = 5
PATIENCE = 60


async def answering(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def first_line(client: socket.socket) -> bytes:
    return client.recv(65536).partition(b"\r\n")[0]


@pytest.mark.parametrize("steps", range(6))
def test_whoever_was_taken_is_answered_and_whoever_was_not_still_waits(steps: int) -> None:
    """
    A step of the loop takes connections, the next ones make something of them; it may have to stop between any two.
    """

    async def run() -> tuple[int, int]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            copy = listening.dup()  # as the process that follows has it
            listens = asyncio.Event()

            async def control(server: PublicServer) -> None:
                await server.listen()
                listens.set()

            server = PublicServer(
                own_config(answering, lifespan="off"), sock=listening, before_stop=lambda: None, control=control
            )
            serving = asyncio.create_task(server.serve())
            await listens.wait()
            clients = [socket.create_connection(copy.getsockname(), timeout=PATIENCE) for _ in range(MANY)]
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: forecast\r\n\r\n")
            for _ in range(steps):
                await asyncio.sleep(0)
            server.stop_listening()
            assert not server.accepting
            await server.settle()
            waiting = []
            copy.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    waiting.append(copy.accept())
            theirs = {peer for _, peer in waiting}
            taken = [client for client in clients if client.getsockname() not in theirs]
            lines = [await asyncio.to_thread(first_line, client) for client in taken]
            server.stop_requested = True
            await serving
            for one in (copy, *clients, *(connection for connection, _ in waiting)):
                one.close()
        assert lines == [b"HTTP/1.1 200 OK"] * len(taken)
        return len(taken), len(waiting)

    taken, waiting = asyncio.run(run())

    assert taken + waiting == MANY
    assert (taken == 0) == (steps < 2)


async def describing(scope: Any, receive: Any, send: Any) -> None:
    """Say which loop and which parsers have brought the request here."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4000, "reason": ""})
        return
    answer = {"loop": type(asyncio.get_running_loop()).__module__, "parser": type(receive.__self__).__module__}
    body = json.dumps(answer).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(app: Any) -> Iterator[PublicServer]:
    """A server in a thread, run as ``serve`` runs it: with the loop that its configuration says."""
    listening = socket.create_server(("127.0.0.1", 0))
    loops: list[asyncio.AbstractEventLoop] = []
    listens = threading.Event()

    async def control(server: PublicServer) -> None:
        await server.listen()
        loops.append(asyncio.get_running_loop())
        listens.set()

    server = PublicServer(own_config(app, lifespan="off"), sock=listening, before_stop=lambda: None, control=control)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    assert listens.wait(PATIENCE)
    server.steps_of_its_loop = loops[0].call_soon_threadsafe  # type: ignore[attr-defined]
    try:
        yield server
    finally:
        server.stop_requested = True
        thread.join(PATIENCE)
        listening.close()


def asked(address: Any, head: bytes) -> bytes:
    with socket.create_connection(address, timeout=PATIENCE) as client:
        client.sendall(head)
        answer = b""
        with suppress(ConnectionError):  # what is refused is not read to its end
            while piece := client.recv(65536):
                answer += piece
        return answer


def test_what_an_app_installs_changes_neither_loop_nor_parsers() -> None:
    left_alone = uvicorn.Config(describing)
    left_alone.load()
    factory = left_alone.get_loop_factory()
    assert factory is not None
    assert "uvloop" in factory.__module__, "uvicorn[standard] must be installed for this test to mean anything"
    assert "httptools" in left_alone.http_protocol_class.__module__
    with serving(describing) as server:
        address = server._socket.getsockname()
        body = asked(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"loop": "asyncio.unix_events", "parser": "uvicorn.protocols.http.h11_impl"}
    assert getattr(server.config.ws_protocol_class, "__name__", "none") == "WebSocketsSansIOProtocol"


@pytest.mark.parametrize("size", [400_000, 2_000_000])
def test_a_head_that_is_too_long_is_refused_before_anything_reads_it(size: int) -> None:
    with serving(describing) as server:
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * size + b"\r\n\r\n"
        with socket.create_connection(server._socket.getsockname(), timeout=PATIENCE) as client:
            with suppress(ConnectionError):
                client.sendall(head)
            assert first_line(client) == b"HTTP/1.1 400 Bad Request"


def test_a_server_that_stopped_listening_takes_no_connection_any_more() -> None:
    with serving(describing) as server:
        address = server._socket.getsockname()
        copy = server._socket.dup()
        stopped = threading.Event()

        def stop() -> None:
            server.stop_listening()
            stopped.set()

        server.steps_of_its_loop(stop)  # type: ignore[attr-defined]
        assert stopped.wait(PATIENCE)
        clients = [socket.create_connection(address, timeout=PATIENCE) for _ in range(MANY)]
        looked = threading.Event()
        server.steps_of_its_loop(lambda: server.steps_of_its_loop(looked.set))  # type: ignore[attr-defined]
        assert looked.wait(PATIENCE)
        copy.settimeout(PATIENCE)
        taken = dict(copy.accept()[::-1] for _ in clients)  # as the process that follows does; no other took one
        assert set(taken) == {client.getsockname() for client in clients}
        for one in (copy, *clients, *taken.values()):
            one.close()


@pytest.mark.parametrize(
    ("known", "installed", "chosen"),
    [
        (["auto", "none", "websockets", "websockets-sansio", "wsproto"], True, "websockets-sansio"),
        (["auto", "none", "websockets", "wsproto"], True, "websockets"),
        (["auto", "none", "websockets", "websockets-sansio", "wsproto"], False, "none"),
    ],
)
def test_the_websocket_implementation_hangs_on_uvicorn_and_one_package(
    known: list[str], *, installed: bool, chosen: str
) -> None:
    assert websocket_implementation(known, installed=installed) == chosen
