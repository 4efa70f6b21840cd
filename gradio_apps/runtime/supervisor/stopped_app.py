"""Answers for an app that an operator stopped.

Its socket stays open, so that no other process can take the address and no browser hangs. Every request gets
503 and only its head is read: the health check gets the state, everything else one fixed page.
"""

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from portal.contract.guard_paths import HEALTH_PATH

_LARGEST_HEAD: Final = 64 * 1024
_PATIENCE: Final = 5.0
# By its path: importing the guard would load a web framework and an HTTP client into the supervisor.
_STYLE: Final = (Path(__file__).parents[1] / "guard" / "static" / "guard.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Notice:
    """The answers in the place of one stopped app."""

    title: str
    """The app's."""
    portal_url: str
    slug: str

    def page(self) -> bytes:
        """Return the answer to everything but the health check: a page without scripts, its style within."""
        text = f"{self.title} is stopped"
        home = f"{self.portal_url}/apps/{self.slug}/"
        body = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(text)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
            f'<body class="guard"><main><h1>{escape(text)}</h1><p>Your administrator stopped it. Try again later.</p>'
            f'<p><a class="action" href="{escape(home)}" target="_top">Try again</a></p></main></body></html>\n'
        )
        ancestors = "/".join(self.portal_url.split("/")[:3])
        policy = (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {ancestors} 'self'"
        )
        return _answer_with(
            body.encode(), {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
        )

    def health(self) -> bytes:
        """Return the answer to the health check, in the guard's form."""
        return _answer_with(json.dumps({"state": "stopped"}).encode(), {"Content-Type": "application/json"})


@asynccontextmanager
async def answering(
    listening: socket.socket, waiting: Iterable[socket.socket] = (), *, notice: Notice
) -> AsyncIterator[None]:
    """Answer on *listening* and the connections *waiting* until the block ends; later ones wait in the backlog."""
    page, health = notice.page(), notice.health()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                    answer = health if _asks_for_health(head) else page
                    writer.write(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if _is_head(head) else answer)
                    await writer.drain()
        finally:
            writer.close()

    async def answer(connection: socket.socket) -> None:
        with suppress(OSError):  # the client has left
            await serve(*await asyncio.open_connection(sock=connection, limit=_LARGEST_HEAD))

    server = await asyncio.start_server(serve, sock=listening.dup(), limit=_LARGEST_HEAD)
    tasks = [asyncio.create_task(answer(one)) for one in waiting]
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Both descriptors are one open socket, and the app's process expects it to block.
        listening.setblocking(True)


def _is_head(head: bytes) -> bool:
    return head.startswith(b"HEAD ")


def _asks_for_health(head: bytes) -> bool:
    target = head.partition(b"\r\n")[0].split(b" ")[1:2]
    return bool(target) and target[0].partition(b"?")[0].endswith(HEALTH_PATH.encode())


def _answer_with(body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = {
        **headers,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Retry-After": "60",
        "Connection": "close",
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head.encode("ascii") + b"\r\n" + body
