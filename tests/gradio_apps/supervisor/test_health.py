"""Asking a guard how its app is."""

import asyncio

import pytest

from gradio_apps.runtime.supervisor.health import state_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b'HTTP/1.1 503 x\r\nA: b\r\n\r\n{"state": "starting"}', "starting"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"state": "running"}', "running"),
        (b"HTTP/1.1 421 x\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", None),
        (b'HTTP/1.1 200 OK\r\n\r\n{"state": 1}', None),
        (b"", None),
        (b"x" * 10000, None),
    ],
)
async def test_an_answer_is_read(answer: bytes, state: str | None) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        said = await state_of("http://app.demo.localhost:7871/run/app/", host="127.0.0.1", port=port)

    assert state == said
    assert asked[0].startswith(b"GET /run/app/.portal/health HTTP/1.1\r\nHost: app.demo.localhost:7871\r\n")


async def test_nobody_there_says_nothing() -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    assert await state_of("http://app.localhost", host="127.0.0.1", port=port) is None
