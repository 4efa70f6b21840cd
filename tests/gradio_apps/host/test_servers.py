"""The server people reach, at the moment in which another process takes its place."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from gradio_apps.runtime.host.servers import FrontServer

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
    A step of the loop takes connections, the next ones make something of them; it may be told to stop between any two.
    """

    async def run() -> tuple[int, int]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            kept = listening.dup()  # as the process that follows has it
            listens = asyncio.Event()

            async def steer(server: FrontServer) -> None:
                await server.listen()
                listens.set()

            config = uvicorn.Config(answering, lifespan="off", log_config=None)
            server = FrontServer(config, sock=listening, before_stop=lambda: None, steer=steer)
            serving = asyncio.create_task(server.serve())
            await listens.wait()
            clients = [socket.create_connection(kept.getsockname(), timeout=PATIENCE) for _ in range(MANY)]
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: forecast\r\n\r\n")
            for _ in range(steps):
                await asyncio.sleep(0)
            server.stop_listening()
            assert not server.accepting
            await server.settle()
            waiting = []
            kept.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    waiting.append(kept.accept())
            theirs = {peer for _, peer in waiting}
            taken = [client for client in clients if client.getsockname() not in theirs]
            lines = [await asyncio.to_thread(first_line, client) for client in taken]
            server.stop_requested = True
            await serving
            for one in (kept, *clients, *(connection for connection, _ in waiting)):
                one.close()
        assert lines == [b"HTTP/1.1 200 OK"] * len(taken)
        return len(taken), len(waiting)

    taken, waiting = asyncio.run(run())

    assert taken + waiting == MANY
    assert (taken == 0) == (steps < 2)
