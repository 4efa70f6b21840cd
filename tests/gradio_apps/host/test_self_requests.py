"""The app's own address serves the app's own process, and its person comes along."""

import asyncio
import os
import subprocess
import sys

import httpx
import pytest
import requests
from starlette.types import Receive, Scope, Send

from gradio_apps.runtime.guard.connections import CONNECTION
from gradio_apps.runtime.host.callers import HEADER, Callers
from gradio_apps.runtime.host.person import OWN_CALL
from gradio_apps.runtime.host.self_requests import SelfRequestListener, SelfRequestsOnly, keep_from_proxies
from portal.contract import descriptors
from tests.asgi import drive, http_scope, websocket_scope

pytestmark = pytest.mark.anyio
_ASK = "import httpx, sys; print(httpx.get(sys.argv[1]).status_code)"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class App:
    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"own"})


@pytest.mark.usefixtures("processes")
async def test_this_process_is_served_and_another_is_not() -> None:
    app = App()
    listener = SelfRequestListener(app, state={"color": "green"}, callers=Callers())
    url = f"http://127.0.0.1:{await listener.open()}/"
    try:
        own = await asyncio.to_thread(httpx.get, url)
        async with httpx.AsyncClient() as client:
            again = await client.get(url)
        other = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", _ASK, url], capture_output=True, text=True, check=True
        )
    finally:
        await listener.close()

    assert (own.status_code, again.status_code, other.stdout) == (200, 200, "403\n")
    assert [(scope[OWN_CALL], scope["state"]) for scope in app.scopes] == [(True, {"color": "green"})] * 2


async def test_connections_of_others_on_this_machine_use_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Another app's process may connect to this address, too; it learns nothing, and must not hold anything.
    """
    monkeypatch.setattr(descriptors, "limit", lambda: 1)  # so that none is ever left for one that waits
    app = App()
    listener = SelfRequestListener(app, state={}, callers=Callers())
    port = await listener.open()
    try:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        own = await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/")
        ended = [asyncio.create_task(reader.read()) for reader, _ in silent]
        done, waiting = await asyncio.wait(ended, timeout=1)
        for task in waiting:
            task.cancel()
        for _, writer in silent:
            writer.close()
    finally:
        await listener.close()

    assert own.status_code == 200
    assert len(done) >= len(silent) - 1
    assert CONNECTION not in app.scopes[0]


async def test_a_connection_from_elsewhere_is_refused_in_either_protocol() -> None:
    app = App()
    guarded = SelfRequestsOnly(app, state={}, callers=Callers())
    nowhere = {**http_scope("/"), "client": None}

    assert (await drive(guarded, http_scope("/"))).status == 403
    assert (await drive(guarded, nowhere)).status == 403
    assert [m["type"] for m in (await drive(guarded, websocket_scope("/"))).messages] == ["websocket.close"]
    assert app.scopes == []


HERE = "localhost,.localhost,127.0.0.1,::1"


@pytest.mark.parametrize(
    ("environ", "excepted"),
    [
        ({}, HERE),
        ({"NO_PROXY": " "}, HERE),
        ({"NO_PROXY": ".example.com"}, f".example.com,{HERE}"),
        ({"NO_PROXY": ".example.com", "no_proxy": "localhost, 10.0.0.0/8"}, f"localhost, 10.0.0.0/8,{HERE[10:]}"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_no_proxy_is_asked_for_this_machine(environ: dict[str, str], excepted: str) -> None:
    keep_from_proxies(environ)
    assert environ == {"no_proxy": excepted, "NO_PROXY": excepted}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "app.demo.localhost", "[::1]"])
def test_the_clients_that_apps_use_understand_it(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    keep_from_proxies(os.environ)
    url = f"http://{host}:7860/"
    with httpx.Client() as client:
        mounts = ((pattern, transport) for pattern, transport in client._mounts.items())
        assert next(transport for pattern, transport in mounts if pattern.matches(httpx.URL(url))) is None
    assert requests.utils.get_environ_proxies(url) == {}


class TestCallers:
    def asked(self, path: str, *, person: object = "ana", **headers: str) -> Scope:
        return {**http_scope(path, headers=headers), "portal.visitor": person}

    def mark_of(self, scope: Scope) -> list[bytes]:
        return [value for name, value in scope["headers"] if name == HEADER]

    def test_a_call_to_the_mcp_server_takes_its_person_along(self) -> None:
        callers = Callers()
        request = self.asked("/gradio_api/mcp/")
        callers.mark(request)
        [mark] = self.mark_of(request)
        own = http_scope("/gradio_api/queue/join", headers={HEADER.decode(): mark.decode()})
        callers.recall(own)

        assert own["portal.visitor"] == "ana"
        assert self.mark_of(own) == []

    def test_other_requests_get_no_mark_and_bring_none_in(self) -> None:
        callers = Callers()
        request = self.asked("/config", **{HEADER.decode(): "made-up"})
        callers.mark(request)

        assert self.mark_of(request) == []

    def test_a_made_up_mark_is_nobody(self) -> None:
        own = http_scope("/config", headers={HEADER.decode(): "made-up"})
        Callers().recall(own)

        assert "portal.visitor" not in own

    def test_two_marks_are_nobody(self) -> None:
        callers = Callers()
        request = self.asked("/gradio_api/mcp/")
        callers.mark(request)
        own = http_scope("/config", headers=[(HEADER.decode(), self.mark_of(request)[0].decode())] * 2)
        callers.recall(own)

        assert "portal.visitor" not in own

    def test_old_marks_are_forgotten(self) -> None:
        callers = Callers()
        first = self.asked("/gradio_api/mcp/")
        callers.mark(first)
        for _ in range(1100):
            callers.mark(self.asked("/gradio_api/mcp/"))
        own = http_scope("/config", headers={HEADER.decode(): self.mark_of(first)[0].decode()})
        callers.recall(own)

        assert "portal.visitor" not in own
