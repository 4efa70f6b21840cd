"""The guard under a real server, on a real socket: the client sees the bytes stop."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import uvicorn

from gradio_apps.runtime.guard.asgi import ASGIApp
from gradio_apps.runtime.host.servers import own_config
from tests.builders import PORTAL
from tests.gradio_apps.guard.deployment import FORM, Deployment, a_deployment, guard_settings, hello
from tests.gradio_apps.guard.test_running_requests import endless

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """uvicorn calls a broken answer an error; here it is the point."""
    logger = logging.getLogger("uvicorn.error")
    before, logger.disabled = logger.disabled, True
    yield
    logger.disabled = before


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[Deployment, httpx.AsyncClient]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with a_deployment(app, settings=replace(guard_settings(), app_url=url)) as deployment:
            server = uvicorn.Server(own_config(deployment.guard, lifespan="off"))
            task = asyncio.create_task(server._serve([listener]))
            try:
                async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
                    yield deployment, client
            finally:
                server.should_exit = server.force_exit = True
                await task


async def read_and_push(stream: httpx.Response, deployment: Deployment, client: httpx.AsyncClient) -> None:
    """Read a stream to its end, and end its session on the way."""
    seen = 0
    async for chunk in stream.aiter_raw():
        seen += len(chunk)
        if seen > 3 and not deployment.guard._sessions.is_ended("app-session-1"):
            form = {"logout_token": deployment.logout_token()}
            assert (await client.post("/.portal/backchannel-logout", data=form)).status_code == 200


async def test_a_person_comes_in_and_a_push_breaks_their_stream() -> None:
    async with serving(endless) as (deployment, client):
        deployment.portal.person("app-session-1")
        headers = {"origin": PORTAL, "content-type": FORM}
        opened = await client.post("/.portal/session", data={"ticket": deployment.ticket()}, headers=headers)
        assert opened.status_code == 303
        assert "portal-app-forecast" in client.cookies

        async with client.stream("GET", "/gradio_api/heartbeat/h") as stream:
            assert stream.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                await read_and_push(stream, deployment, client)
        assert (await client.get("/config")).status_code == 401


async def test_pages_of_the_guard_go_over_the_wire() -> None:
    async with serving(hello) as (deployment, client):
        assert (await client.get("/.portal/frame.js")).status_code == 200
        etag = (await client.get("/.portal/guard.css")).headers["etag"]
        assert (await client.get("/.portal/guard.css", headers={"if-none-match": etag})).status_code == 304
        assert (await client.get("/", headers={"accept": "text/html"})).status_code == 401
        assert (await client.head("/", headers={"accept": "text/html"})).status_code == 401
        assert (await client.get("/.portal/health")).json() == {"state": "running"}
        assert deployment.app.scopes == []
