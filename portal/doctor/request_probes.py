"""Probes that are requests, sent to portal and guards through the reverse proxy."""

import asyncio
import json
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import urlencode

import httpx

from portal.clock import Clock
from portal.contract.probe_tokens import PROBE_HEADER, PROBE_PATH
from portal.doctor.connection_probes import PATIENCE, PublicAddress, close_writer
from portal.doctor.observations import Answer, Events, Handshake, Transfer, Unreached
from portal.doctor.request_checks import SentRequest

MAX_ANSWER: Final = 256 * 1024
"""Longest answer that is read completely, in bytes."""
ANSWER_PATIENCE: Final = 30.0
"""Longest time for one small answer, in seconds."""
TRANSFER_PATIENCE: Final = 300.0
"""Longest time for an upload or a download, in seconds."""
EVENTS: Final = 5
PAUSE: Final = 0.4
"""Seconds between two events of the stream."""
_PIECE: Final = 64 * 1024
_SLACK: Final = 20.0
_SWITCHING: Final = 101
FORGED: Final = "192.0.2.66"
"""The forged client address: from a documentation range, never in use (RFC 5737)."""


class Prober:
    """Sends probes to *target*, at one IP *address* of its name."""

    def __init__(
        self,
        target: PublicAddress,
        address: str,
        *,
        trust: ssl.SSLContext,
        clock: Clock,
        leave: Callable[[], str] | None,
    ) -> None:
        bracketed = f"[{address}]" if ":" in address else address
        self._target = target
        self._address = address
        self._trust = trust
        self._clock = clock
        self._leave = leave
        self._base = f"{target.scheme}://{bracketed}:{target.port}{target.path}"
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(PATIENCE, read=30.0),
            verify=trust,
            trust_env=False,  # browsers in the company's network connect directly
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, **headers: str) -> Answer | Unreached:
        """Request *path* without a probe token."""
        return await self._get(path, headers)

    async def probe(self, what: str) -> Answer | Unreached:
        """Request the probe *what*."""
        return await self._get(PROBE_PATH + what, self._token_header())

    async def echo(self, *, is_app: bool) -> tuple[Answer | Unreached, SentRequest]:
        """Send a request like a browser's, with a forged client address; return the answer and the request."""
        name = f"{PROBE_PATH}echo" + ("/a%2Fb%20c//d" if is_app else "") + "?x=%2F%20y"
        origin = f"{self._target.scheme}://{self._target.authority}"
        sent = SentRequest(
            path=self._target.path + name,
            headers={
                "authorization": "Probe seen",
                "origin": origin,
                "sec-fetch-dest": "empty",
                "sec-fetch-mode": "cors",
                "sec-fetch-site": "same-origin",
            },
            cookie="portal-probe",
            forged=FORGED,
        )
        forged = {"x-forwarded-for": FORGED, "x-real-ip": FORGED, "forwarded": f"for={FORGED}"}
        headers = {**sent.headers, **forged, "cookie": f"{sent.cookie}=1", **self._token_header()}
        return await self._get(name, headers), sent

    async def events(self, *, count: int, pause: float) -> Events:
        """Read a stream of *count* events that are *pause* seconds apart."""
        query = urlencode({"count": count, "pause_ms": int(pause * 1000)})
        began, received = time.monotonic(), b""
        arrivals: list[float] = []
        status, encoding = 0, None
        headers = {**self._token_header(), "accept": "text/event-stream", "accept-encoding": "gzip"}
        timeout = httpx.Timeout(PATIENCE, read=count * pause + _SLACK)
        try:
            async with (
                asyncio.timeout(PATIENCE + count * pause + _SLACK),
                self._stream("GET", f"{PROBE_PATH}stream?{query}", headers, timeout=timeout) as answer,
            ):
                status, encoding = answer.status_code, answer.headers.get("content-encoding")
                async for piece in answer.aiter_bytes():
                    received = (received + piece)[:MAX_ANSWER]
                    while len(arrivals) < min(received.count(b"\n\n"), count):
                        arrivals.append(time.monotonic() - began)
        except (httpx.HTTPError, OSError, TimeoutError):
            pass  # the result shows how far it came
        return Events(
            status=status,
            asked_for=count,
            pause=pause,
            arrivals=tuple(arrivals),
            encoding=encoding,
            seconds=time.monotonic() - began,
        )

    async def upload(self, size: int) -> Transfer:
        """Send *size* bytes."""

        async def body() -> AsyncIterator[bytes]:
            piece = bytes(_PIECE)
            for sent in range(0, size, _PIECE):
                yield piece[: min(_PIECE, size - sent)]

        began = time.monotonic()
        headers = {
            **self._token_header(),
            "content-length": str(size),
            "content-type": "application/octet-stream",
        }
        try:
            async with (
                asyncio.timeout(TRANSFER_PATIENCE),
                self._stream("POST", f"{PROBE_PATH}upload", headers, content=body()) as answer,
            ):
                status = answer.status_code
                received = _object(await _start_of(answer)).get("received")
        except (httpx.HTTPError, OSError, TimeoutError):
            return Transfer(size=size, arrived=0, status=None, seconds=time.monotonic() - began)
        return Transfer(
            size=size,
            arrived=received if type(received) is int else 0,
            status=status,
            seconds=time.monotonic() - began,
        )

    async def download(self, size: int) -> Transfer:
        """Read *size* bytes."""
        began, arrived, status = time.monotonic(), 0, None
        try:
            async with (
                asyncio.timeout(TRANSFER_PATIENCE),
                self._stream("GET", f"{PROBE_PATH}download?size={size}", self._token_header()) as answer,
            ):
                status = answer.status_code
                async for piece in answer.aiter_raw():
                    arrived += len(piece)
                    if arrived > size:
                        break
        except (httpx.HTTPError, OSError, TimeoutError):
            pass  # the result shows how far it came
        return Transfer(size=size, arrived=arrived, status=status, seconds=time.monotonic() - began)

    async def socket(self) -> Handshake:
        """Open a WebSocket (RFC 6455, section 4.1) and read the one message that the guard sends."""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(
                    self._address,
                    self._target.port,
                    ssl=self._trust if self._target.scheme == "https" else None,
                    server_hostname=self._target.host if self._target.scheme == "https" else None,
                )
                try:
                    writer.write(self._handshake())
                    return await _handshake(reader)
                finally:
                    await close_writer(writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return Handshake(status=None)

    def _handshake(self) -> bytes:
        lines = [
            f"GET {self._target.path}{PROBE_PATH}socket HTTP/1.1",
            f"Host: {self._target.authority}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {b64encode(b'portal-doctor-16').decode('ascii')}",
            f"Origin: {self._target.scheme}://{self._target.authority}",
            *(f"{name}: {value}" for name, value in self._token_header().items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def _token_header(self) -> dict[str, str]:
        return {} if self._leave is None else {PROBE_HEADER: self._leave()}

    def _server_name(self) -> dict[str, str]:
        return {"sni_hostname": self._target.host} if self._target.scheme == "https" else {}

    def _stream(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        timeout: httpx.Timeout | None = None,
        content: AsyncIterator[bytes] | None = None,
    ) -> AbstractAsyncContextManager[httpx.Response]:
        return self._client.stream(
            method,
            self._base + path,
            headers={"host": self._target.authority, **headers},
            extensions=self._server_name(),
            timeout=timeout or self._client.timeout,
            content=content,
        )

    async def _get(self, path: str, headers: Mapping[str, str]) -> Answer | Unreached:
        at = self._clock()
        try:
            async with (
                asyncio.timeout(ANSWER_PATIENCE),
                self._stream("GET", path, {"accept-encoding": "identity", **headers}) as answer,
            ):
                body = await _start_of(answer)
                shown = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
                return Answer(status=answer.status_code, headers=shown, body=_object(body), at=at)
        except httpx.ConnectError:
            return Unreached("refused")
        except (httpx.TimeoutException, TimeoutError):
            return Unreached("timeout")
        except (httpx.HTTPError, OSError):
            return Unreached("cut")


async def _start_of(answer: httpx.Response) -> bytes:
    """Return the body of *answer*, up to :data:`MAX_ANSWER`: an app's process can answer without end."""
    body = b""
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER:
            break
    return body


async def _handshake(reader: asyncio.StreamReader) -> Handshake:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    if status == _SWITCHING:
        return Handshake(status=status, message=await reader.readexactly(7) == b"\x81\x05probe")
    [length] = [line.partition(":")[2] for line in head if line.lower().startswith("content-length:")][:1] or ["0"]
    body = _object(await reader.readexactly(min(int(length), MAX_ANSWER)))
    arrived = body.get("upgrade")
    return Handshake(status=status, upgrade_arrived=arrived if isinstance(arrived, bool) else None)


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
