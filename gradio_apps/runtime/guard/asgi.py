"""ASGI types, reading whole bodies, and sending small answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

NO_STORE = (b"cache-control", b"no-store")
SIGN_OF_LIFE: Final = 20.0
"""Seconds between two comments in an event stream without events: shorter than the patience of reverse proxies."""


class TooLarge(Exception):
    """The body is longer than the limit."""


class Gone(Exception):
    """The client left before its request was complete."""


async def read_body(receive: Receive, *, limit: int, take: Callable[[int], None] = lambda _: None) -> bytes:
    """Return the whole request body; *take* is called with the size of each piece before it is stored.

    Raises:
        TooLarge: it exceeds *limit* bytes; the rest is not read.
        Gone: the client disconnected.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge
        take(len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def raw_target(scope: Scope) -> bytes:
    """Return path and query of a request, as they were sent."""
    path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    query: bytes = scope.get("query_string", b"")
    return path + b"?" + query if query else path


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that returns *body* once, and then what *receive* returns."""
    is_sent = False

    async def again() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def send_bytes(
    send: Send, status: int, body: bytes, *, content_type: str, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    """Send one whole answer; for ``HEAD``, the server leaves the body out."""
    described = [(b"content-type", content_type.encode("ascii")), *headers]
    if status != 304:  # noqa: PLR2004 - Not Modified speaks of a body it does not carry
        described.insert(1, (b"content-length", str(len(body)).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def stay_open(receive: Receive, send: Send) -> None:
    """Answer with an event stream that has no events, until the client goes or the task is cancelled."""
    headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while True:
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        try:
            async with asyncio.timeout(SIGN_OF_LIFE):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            continue
        return


async def send_json(
    send: Send, status: int, value: Mapping[str, object], *, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    """Send *value* as JSON, not to be cached; errors are ``{"detail": …}``, which Gradio shows as a toast."""
    body = json.dumps(value).encode("ascii")
    await send_bytes(send, status, body, content_type="application/json", headers=[NO_STORE, *headers])


async def send_redirect(send: Send, target: str, *, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Send the browser to *target* with GET (303)."""
    location = (b"location", target.encode("ascii"))
    await send_bytes(send, 303, b"", content_type="text/plain; charset=utf-8", headers=[location, NO_STORE, *headers])
