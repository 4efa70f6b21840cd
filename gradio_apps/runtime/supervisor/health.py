"""Asking a guard how its app is."""

import asyncio
import json
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

_TIMEOUT: Final = 5.0
_LARGEST: Final = 4096


async def state_of(url: str, *, host: str, port: int) -> str | None:
    """Return what the app at *host* and *port* says: ``running``, ``starting``, ``failed``, or ``None`` for nothing.

    *url* is the app's public one: the guard answers no other ``Host``.
    """
    parts = urlsplit(url)
    request = (
        f"GET {parts.path.rstrip('/')}/.portal/health HTTP/1.1\r\n"
        f"Host: {parts.netloc}\r\nConnection: close\r\nAccept: application/json\r\n\r\n"
    )
    with suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request.encode("ascii"))
                answer = await reader.read(_LARGEST)
                while not reader.at_eof() and len(answer) < _LARGEST:
                    answer += await reader.read(_LARGEST)
            finally:
                writer.close()
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        state = body.get("state") if type(body) is dict else None
        return state if type(state) is str else None
    return None
