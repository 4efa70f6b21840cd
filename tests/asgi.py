"""Drives an ASGI application with bare scopes, as a server would, and says what came back."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from gradio_apps.runtime.guard.asgi import ASGIApp, Message, Scope

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(slots=True)
class Outcome:
    """What a server would have sent to the client."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False
    """Whether the answer was ended; an answer broken off is not."""
    messages: list[Message] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The one value of *name*; several are joined as HTTP joins them."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


def http_scope(path: str, *, method: str = "GET", headers: Headers = (), scheme: str = "http") -> Scope:
    """A scope as uvicorn makes it; *path* may carry a query."""
    raw, _, query = path.partition("?")
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(raw),
        "raw_path": quote(raw, safe="/%=:@+,;!$&'()*~-._").encode("ascii"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 7871),
        "state": {},
    }


def websocket_scope(path: str, *, headers: Headers = ()) -> Scope:
    return {**http_scope(path, headers=headers), "type": "websocket", "scheme": "ws", "subprotocols": []}


class Connection:
    """One connection under way: give it messages, look at what it sent."""

    def __init__(self, app: ASGIApp, scope: Scope, *, body: bytes | list[bytes] = b"") -> None:
        self.outcome = Outcome()
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self.reading = asyncio.Event()
        """Cleared while the client is slow to read; what was sent meanwhile waits, as in a full buffer of a server."""
        self.reading.set()
        if scope["type"] == "websocket":
            self._incoming.put_nowait({"type": "websocket.connect"})
        else:
            pieces = body if isinstance(body, list) else [body]
            for index, piece in enumerate(pieces):
                more = index + 1 < len(pieces)
                self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        self.task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._incoming.get, self._send)

    async def _send(self, message: Message) -> None:
        outcome = self.outcome
        assert not outcome.complete, "nothing may follow the end of an answer"
        outcome.messages.append(message)
        if message["type"] == "http.response.start":
            outcome.status = message["status"]
            outcome.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            outcome.body += message.get("body", b"")
            outcome.complete = not message.get("more_body", False)
        elif message["type"] == "websocket.close":
            outcome.complete = True
        self._arrived.set()
        await self.reading.wait()

    def give(self, message: Message) -> None:
        self._incoming.put_nowait(message)

    def disconnect(self) -> None:
        self.give({"type": "http.disconnect"})

    async def until(self, condition: Any, *, seconds: float = 20) -> None:
        """Wait until *condition* holds of the outcome."""
        async with asyncio.timeout(seconds):
            while not condition(self.outcome):
                self._arrived.clear()
                await self._arrived.wait()

    async def finish(self, *, seconds: float = 20) -> Outcome:
        """Wait until the application returns."""
        async with asyncio.timeout(seconds):
            await self.task
        return self.outcome


@asynccontextmanager
async def connected(app: ASGIApp, scope: Scope, *, body: bytes | list[bytes] = b"") -> AsyncIterator[Connection]:
    """A connection that is gone at the end of the block, whatever the application does."""
    connection = Connection(app, scope, body=body)
    try:
        yield connection
    finally:
        if not connection.task.done():
            connection.task.cancel()
            await asyncio.gather(connection.task, return_exceptions=True)


async def drive(app: ASGIApp, scope: Scope, *, body: bytes | list[bytes] = b"", seconds: float = 20) -> Outcome:
    """Send one request and return what came back once the application returned."""
    async with connected(app, scope, body=body) as connection:
        return await connection.finish(seconds=seconds)
