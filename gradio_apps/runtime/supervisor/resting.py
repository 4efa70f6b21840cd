"""What answers for an app that an operator stopped.

Its socket stays open, so that nobody else can take the address meanwhile, and nobody hangs:
everything is answered 503 with one fixed sentence, whoever asks, without reading what was sent
beyond its head.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

_LARGEST_HEAD: Final = 64 * 1024
_PATIENCE: Final = 5.0
_BODY: Final = (
    b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Stopped</title></head>'
    b"<body><h1>This app is stopped</h1><p>Its operator has stopped it for now.</p></body></html>\n"
)
_ANSWER: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Security-Policy: default-src 'none'\r\nX-Content-Type-Options: nosniff\r\n"
    b"Cache-Control: no-store\r\nRetry-After: 60\r\nConnection: close\r\n"
    b"Content-Length: " + str(len(_BODY)).encode() + b"\r\n\r\n"
)


@asynccontextmanager
async def resting(listening: socket.socket, waiting: Iterable[socket.socket] = ()) -> AsyncIterator[None]:
    """Answer on *listening*, and those *waiting*, until the block is left; what has not been accepted then waits on."""
    server = await asyncio.start_server(_say_so, sock=listening.dup(), limit=_LARGEST_HEAD)
    answering = [asyncio.create_task(_answer(one)) for one in waiting]
    try:
        yield
    finally:
        server.close()
        for one in answering:
            one.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        # Both descriptors are one open socket: the app's process expects it to block, as it was made.
        listening.setblocking(True)


async def _answer(connection: socket.socket) -> None:
    with suppress(OSError):  # it has gone
        await _say_so(*await asyncio.open_connection(sock=connection, limit=_LARGEST_HEAD))


async def _say_so(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_ANSWER + (b"" if head.startswith(b"HEAD ") else _BODY))
                await writer.drain()
    finally:
        writer.close()
