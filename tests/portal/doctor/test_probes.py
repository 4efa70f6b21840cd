"""The probes, against servers that answer wrongly."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from portal.contract.egress import Egress, NotABundle
from portal.doctor import request_probes
from portal.doctor.connection_probes import connection, plain_http, public_address, resolve_name, trusting
from portal.doctor.observations import Answer, Handshake, Unreached
from portal.doctor.request_probes import Prober
from tests.builders import NOW
from tests.certificates import issue

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


TRUST = ssl.create_default_context()


@asynccontextmanager
async def answering(answer: bytes, *, again: bytes = b"") -> AsyncIterator[int]:
    """Answer every connection with these bytes, then with *again* and again, and close it; yield the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(65536)
            writer.write(answer)
            while again:
                writer.write(again)
                await writer.drain()
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def a_prober(port: int) -> AsyncIterator[Prober]:
    target = public_address(f"http://forecast.demo.localhost:{port}/run")
    prober = Prober(target, "127.0.0.1", trust=TRUST, clock=lambda: NOW, leave=lambda: "token")
    try:
        yield prober
    finally:
        await prober.aclose()


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


async def test_names() -> None:
    assert await resolve_name("forecast.demo.localhost", 443) == ("127.0.0.1",)
    assert await resolve_name("127.0.0.1", 443) == ("127.0.0.1",)
    assert await resolve_name("x" * 64 + ".example.com", 443) == ()


async def test_an_address_of_several_may_be_silent_and_tls_may_be_missing() -> None:
    async def both(_host: str, _port: int) -> tuple[str, ...]:
        return ("127.0.0.1", "127.0.0.9")

    async with answering(head("400 Bad Request")) as port:
        seen = await connection(public_address(f"https://forecast.demo.localhost:{port}"), trust=TRUST, resolve=both)
        assert (seen.addresses, seen.silent) == (("127.0.0.1", "127.0.0.9"), ("127.0.0.9",))
        assert seen.tls_error is not None
        assert not seen.is_open
        plain = await connection(public_address(f"http://forecast.demo.localhost:{port}"), trust=TRUST, resolve=both)
        assert plain.is_open


@pytest.mark.parametrize(("complete", "problem"), [(True, None), (False, "incomplete")])
async def test_python_3_13_wants_all_that_rfc_5280_asks_for(
    tmp_path: Path, *, complete: bool, problem: str | None
) -> None:
    async def here(_host: str, _port: int) -> tuple[str, ...]:
        return ("127.0.0.1",)

    made = issue(tmp_path, ["portal.demo.localhost"], complete=complete)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(made.certificate, made.key)
    trust = trusting(Egress(), made.authority)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=shown)
    async with server:
        target = public_address(f"https://portal.demo.localhost:{server.sockets[0].getsockname()[1]}")
        seen = await connection(target, trust=trust, resolve=here)

    assert seen.certificate == problem
    assert seen.is_open == complete


async def test_plain_http_is_looked_at_without_being_followed() -> None:
    async with answering(head("308 Permanent Redirect", "Location: https://portal.example.com/")) as port:
        answer = await plain_http("portal.example.com", "127.0.0.1", port=port)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.values("location")) == (308, ["https://portal.example.com/"])
    assert await plain_http("portal.example.com", "127.0.0.1", port=port) == Unreached("refused")


def test_authorities_are_added(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("none")

    assert trusting(Egress(), None).verify_mode == ssl.CERT_REQUIRED
    for egress, authority in ((Egress(), tmp_path / "none.pem"), (Egress(authorities=tmp_path / "no"), None)):
        with pytest.raises(NotABundle):
            trusting(egress, authority)


NONSENSE = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "no JSON": head("200 OK", "Content-Length: 2") + b"no",
    "a list": head("200 OK", "Content-Length: 2") + b"[]",
    "deep": head("200 OK", "Content-Length: 100000") + b"[" * 100_000,
    "cut": head("200 OK", "Content-Length: 100") + b"{",
    "nothing": b"",
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_an_observation_and_no_traceback(name: str) -> None:
    async with answering(NONSENSE[name]) as port, a_prober(port) as prober:
        answer = await prober.get("/healthz")
        assert isinstance(answer, Unreached) or answer.body == {}
        echoed, sent = await prober.echo(is_app=True)
        assert isinstance(echoed, Unreached) or echoed.body == {}
        assert sent.path.startswith("/run/.portal/probe/echo/")
        assert (await prober.events(count=2, pause=0.01)).arrivals == ()
        assert (await prober.upload(1000)).arrived == 0
        assert not (await prober.socket()).message
    async with a_prober(port) as prober:
        assert await prober.get("/healthz") == Unreached("refused")
        assert await prober.socket() == Handshake(status=None)


async def test_what_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_probes, "_SLACK", 0.3)
    monkeypatch.setattr(request_probes, "PATIENCE", 0.3)
    monkeypatch.setattr(request_probes, "TRANSFER_PATIENCE", 0.5)
    chunked = head("200 OK", "Transfer-Encoding: chunked")
    piece = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    async with answering(chunked, again=piece) as port, a_prober(port) as prober:
        looks: list[Callable[[], Awaitable[Any]]] = [
            lambda: prober.get("/healthz"),
            lambda: prober.events(count=2, pause=0.01),
            lambda: prober.upload(1000),
            lambda: prober.download(100_000),
            prober.socket,
        ]
        async with asyncio.timeout(60):
            seen = [await look() for look in looks]
    assert seen[0] == Answer(status=200, headers=(("transfer-encoding", "chunked"),), at=NOW)
    assert seen[1].arrivals == ()
    assert seen[2].arrived == 0
    assert 100_000 < seen[3].arrived < 10_000_000
    assert not seen[4].message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (head("101 Switching Protocols") + b"\x81\x05probe", Handshake(status=101, message=True)),
        (head("101 Switching Protocols") + b"\x81\x05other", Handshake(status=101)),
        (
            head("426 Upgrade Required", "Content-Length: 17") + b'{"upgrade": true}',
            Handshake(status=426, upgrade_arrived=True),
        ),
        (head("426 Upgrade Required", "Content-Length: many"), Handshake(status=None)),
        (head("403 Forbidden"), Handshake(status=403)),
    ],
    ids=["opens", "says something else", "no library", "a length that is none", "refused"],
)
async def test_handshakes(answer: bytes, expected: Handshake) -> None:
    async with answering(answer) as port, a_prober(port) as prober:
        assert await prober.socket() == expected
