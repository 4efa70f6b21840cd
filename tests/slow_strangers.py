"""Many connections that are slow on purpose, and are opened anew when they are closed."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from tests.processes import PATIENCE

APP = """
import asyncio, uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

async def hello(request):
    return PlainTextResponse("hello")

async def stream(request):
    async def lines():
        while True:
            yield "data: more\\n\\n"
            await asyncio.sleep(0.02)
    return StreamingResponse(lines(), media_type="text/event-stream")

async def use_up(request):
    held = []
    try:
        while True:
            held.append(open("/dev/null"))
    except OSError:
        request.app.state.held = held
    return PlainTextResponse(str(len(held)))

async def talk(socket):
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())

routes = [Route("/", hello), Route("/stream", stream), Route("/use-up", use_up), WebSocketRoute("/socket", talk)]
uvicorn.run(Starlette(routes=routes))
"""
"""An app with a stream that ends with its session only, and with a way to use up what descriptors there are."""


class SlowStrangers:
    """*count* connections to *address* that send *head* at once and then a byte now and then."""

    def __init__(
        self,
        address: tuple[str, int],
        count: int,
        *,
        head: bytes,
        every: float = 1.0,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
    ) -> None:
        self._address = address
        self._tls = tls
        self._name = name
        self._head = head
        self._every = every
        self._open: list[socket.socket | None] = [None] * count
        self._waiting: list[bytes] = [b""] * count
        self._over = threading.Event()
        self._round = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="slow-strangers")
        self.opened = 0
        """Connections that were opened, and sent their head."""
        self.refused = 0
        """Those of them that were closed by the other end."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for sock in self._open:
            if sock is not None:
                sock.close()

    def wait_until_all_have_come(self) -> None:
        """Wait until as many were opened as there are to be."""
        until = time.monotonic() + PATIENCE
        while self.opened < len(self._open):
            assert time.monotonic() < until, f"only {self.opened} of {len(self._open)} got through"
            time.sleep(0.05)

    def _go_on(self) -> None:
        last = float("-inf")
        while not self._over.is_set():
            byte = time.monotonic() - last >= self._every
            if byte:
                last = time.monotonic()
            for number, sock in enumerate(self._open):
                self._step(number, sock, byte=byte)
            self._over.wait(0.05)

    def _step(self, number: int, sock: socket.socket | None, *, byte: bool) -> None:
        if sock is None:
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(self._address)
            self._open[number], self._waiting[number] = sock, self._head
            return
        try:
            if waiting := self._waiting[number]:
                if not _is_writable(sock):
                    return
                if self._tls is not None and not isinstance(sock, ssl.SSLSocket):
                    sock = self._tls.wrap_socket(sock, server_hostname=self._name, do_handshake_on_connect=False)
                    self._open[number] = sock
                if isinstance(sock, ssl.SSLSocket):
                    sock.do_handshake()  # which does nothing once it is done
                self._waiting[number] = waiting[sock.send(waiting) :]
                self.opened += not self._waiting[number]
            elif byte and self._head:
                sock.send(b"x")
            with suppress(BlockingIOError, ssl.SSLWantReadError):
                if not sock.recv(4096):
                    raise ConnectionResetError
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            sock.close()
            self._open[number] = None
            self.refused += 1


def _is_writable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(0))


@contextmanager
def slow_strangers(address: tuple[str, int], count: int, *, head: bytes, every: float = 1.0) -> Iterator[SlowStrangers]:
    """Have them there as long as the block lasts, once all have come."""
    with SlowStrangers(address, count, head=head, every=every) as strangers:
        strangers.wait_until_all_have_come()
        yield strangers
