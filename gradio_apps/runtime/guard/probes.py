"""The probes of ``portal doctor``: how requests arrive here, and whether answers leave unchanged.

Everything under ``/.portal/probe/`` is limited in number, size and time, touches neither the app nor a session,
and answers 404 without a probe token of the portal for this app.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import parse_qsl

from gradio_apps.runtime.guard.asgi import (
    NO_STORE,
    Gone,
    Receive,
    Scope,
    Send,
    TooLarge,
    raw_target,
    read_body,
    send_bytes,
)
from gradio_apps.runtime.guard.connections import serving
from gradio_apps.runtime.guard.cookies import CookieSeal
from gradio_apps.runtime.guard.headers import AnswerHeaders, forwarded_for
from gradio_apps.runtime.guard.keys import PortalKeys
from gradio_apps.runtime.guard.portal_client import PortalAway, PortalClient
from gradio_apps.runtime.guard.request import Request
from gradio_apps.runtime.guard.responses import Responses
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import ProbeToken, Rejected, verify_probe_token
from portal.contract.probe_tokens import PROBE_HEADER, WRONG_TIME

log = logging.getLogger("gradio_portal.guard")

AT_ONCE: Final = 8
"""Most probes of one app that run at the same time."""
MAX_BODY: Final = 64 * 1024 * 1024
"""Longest upload counted and longest download sent, in bytes."""
LONGEST_STREAM: Final = 180
"""Longest time a stream may take altogether, in seconds."""
_MOST_EVENTS: Final = 64
_PIECE: Final = 64 * 1024
_HEADER: Final = PROBE_HEADER.lower().encode("ascii")
_SHOWN: Final = frozenset({b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"})
"""Request headers whose values are reported; of cookies, only the names are."""
_SCHEME: Final = b"Probe "
"""``Authorization`` is reported if it begins like this, which no credential does."""

Handler = Callable[[Request, ProbeToken], Awaitable[None]]


class Probes:
    """Answers the probes of one app."""

    def __init__(
        self,
        settings: GuardSettings,
        *,
        answering: Responses,
        answers: AnswerHeaders,
        client: PortalClient,
        keys: PortalKeys,
        seal: CookieSeal,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._answer = answering
        self._headers = answers.of(())
        self._client = client
        self._keys = keys
        self._seal = seal
        self._clock = clock
        self._under_way = 0
        self._table: dict[tuple[str, str], Handler] = {
            ("GET", "download"): self._download,
            ("GET", "echo"): self._echo,
            ("GET", "portal"): self._portal,
            ("GET", "socket"): self._no_socket,
            ("GET", "stream"): self._stream,
            ("POST", "upload"): self._upload,
        }

    async def __call__(self, name: str, request: Request) -> None:
        """Answer the probe *name*; after a further slash anything may follow, to test how it arrives."""
        handler = self._table.get((request.presented.method, name.partition("/")[0]))
        try:
            token = await self._token(request.scope)
        except PortalAway:
            await self._answer.json(request.send, 503, {"detail": "The portal is not available at the moment."})
            return
        except Rejected as error:
            if error.reason in WRONG_TIME:  # genuine, but expired or early by our clock: report the time
                await self._answer.json(
                    request.send, 401, {"detail": "The clocks do not agree.", "now": int(self._clock())}
                )
                return
            token = None
        if token is None or handler is None:
            await self._answer.json(request.send, 404, {"detail": "There is nothing here."})
            return
        if self._under_way >= AT_ONCE:
            await self._answer.json(request.send, 429, {"detail": "Too many probes at once."})
            return
        log.info("probed what=%s", name.partition("/")[0])
        with self._counted(), serving(request.scope):
            try:
                await handler(request, token)
            except ValueError:
                await self._answer.json(
                    request.send, 400, {"detail": "A parameter of the probe is missing or too large."}
                )

    async def socket(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Accept a WebSocket with a valid token, send one message and close it; say whether that was done.

        Otherwise the caller answers the handshake.
        """
        try:
            token = await self._token(scope)
        except (PortalAway, Rejected):
            token = None
        if token is None or self._under_way >= AT_ONCE:
            return False
        log.info("probed what=socket")
        with self._counted(), serving(scope):
            await receive()
            await send({"type": "websocket.accept", "headers": list(self._headers)})
            await send({"type": "websocket.send", "text": "probe"})
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        return True

    async def _token(self, scope: Scope) -> ProbeToken | None:
        """Return the token of a request, or ``None`` if it does not have exactly one.

        Raises:
            Rejected: it is not a token of the portal for this app.
            PortalAway: there are no keys yet to verify it.
        """
        presented = [value for name, value in scope["headers"] if name == _HEADER]
        if len(presented) != 1:
            return None
        return await self._keys.verify_token(verify_probe_token, presented[0].decode("latin-1"))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _echo(self, request: Request, token: ProbeToken) -> None:
        """Report how the request arrived, and the headers of this answer."""
        scope = request.scope
        peer = scope["client"][0] if scope.get("client") else None
        forwarded = forwarded_for(scope["headers"])
        client = self._settings.trusted_proxies.client_of(peer, forwarded)
        cookie = (b"set-cookie", self._seal.probe_cookie(token.id).encode("ascii"))
        answered = [NO_STORE, *self._headers, cookie]
        body = {
            "now": int(self._clock()),
            "peer": peer or None,
            "client": None if client is None else str(client),
            "forwarded_for": forwarded,
            "path": raw_target(scope).decode("latin-1"),
            "headers": _shown(scope["headers"]),
            "cookies": _cookie_names(scope["headers"]),
            "answered": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in answered],
        }
        text = json.dumps(body).encode("ascii")
        await send_bytes(request.send, 200, text, content_type="application/json", headers=answered)

    async def _portal(self, request: Request, token: ProbeToken) -> None:
        """Report whether the portal answers this guard and accepts its secret."""
        outcome = "answers"
        try:
            await self._client.keys()
        except PortalAway:
            outcome = "away"
        else:
            try:
                await self._client.renew(f"probe-{token.id}", in_use=False)
            except PortalAway:
                outcome = "refuses"
        await self._answer.json(request.send, 200, {"portal": outcome})

    async def _stream(self, request: Request, _: ProbeToken) -> None:
        """Send ``count`` events with ``pause`` seconds between them."""
        query = _query(request.scope)
        count = _number(query, "count", most=_MOST_EVENTS)
        pause = _number(query, "pause_ms", most=LONGEST_STREAM * 1000) / 1000
        if count * pause > LONGEST_STREAM:
            raise ValueError("too long")
        await self._body_of_none(request.receive)
        headers = [(b"content-type", b"text/event-stream"), NO_STORE, *self._headers]
        await request.send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(count):
            if number and await _has_left(request.receive, within=pause):
                return
            event = f"data: {number}\n\n".encode("ascii")
            await request.send({"type": "http.response.body", "body": event, "more_body": True})
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _upload(self, request: Request, _: ProbeToken) -> None:
        """Count what arrives, and keep nothing of it."""
        received, more = 0, True
        while more and received <= MAX_BODY:
            message = await request.receive()
            if message["type"] != "http.request":
                return
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
        await self._answer.json(request.send, 413 if more else 200, {"received": received})

    async def _download(self, request: Request, _: ProbeToken) -> None:
        """Send ``size`` random bytes, which cannot be compressed."""
        left = size = _number(_query(request.scope), "size", most=MAX_BODY)
        await self._body_of_none(request.receive)
        headers = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", str(size).encode("ascii")),
            NO_STORE,
            *self._headers,
        ]
        await request.send({"type": "http.response.start", "status": 200, "headers": headers})
        piece = os.urandom(_PIECE)
        while left:
            now = min(left, _PIECE)
            left -= now
            await request.send({"type": "http.response.body", "body": piece[:now], "more_body": left > 0})

    async def _no_socket(self, request: Request, _: ProbeToken) -> None:
        """Report that a handshake arrived as a plain request; with its header, this server lacks WebSocket support."""
        upgrade = [value for name, value in request.scope["headers"] if name == b"upgrade"]
        arrived = any(value.lower() == b"websocket" for value in upgrade)
        await self._answer.json(request.send, 426, {"upgrade": arrived}, headers=[(b"upgrade", b"websocket")])

    async def _body_of_none(self, receive: Receive) -> None:
        try:
            await read_body(receive, limit=0)
        except (TooLarge, Gone) as error:
            raise ValueError("a body") from error


async def _has_left(receive: Receive, *, within: float) -> bool:
    """Wait for *within* seconds; return early, with ``True``, if the client leaves."""
    try:
        async with asyncio.timeout(within):
            message = await receive()
    except TimeoutError:
        return False
    return bool(message["type"] == "http.disconnect")


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name in _SHOWN or (name == b"authorization" and value.startswith(_SCHEME)):
            values.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    return values


def _cookie_names(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    pairs = b";".join(value for name, value in headers if name == b"cookie").split(b";")
    return [pair.partition(b"=")[0].strip().decode("latin-1") for pair in pairs if pair.strip()]


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=8))


def _number(query: dict[str, str], name: str, *, most: int) -> int:
    """Return the whole number *name*, from 1 to *most*.

    Raises:
        ValueError: it is not such a number.
    """
    text = query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 0 < int(text) <= most):
        raise ValueError(name)
    return int(text)
