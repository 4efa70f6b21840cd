"""Two people in one real Gradio app behind the guard: neither reads or breaks what the other does.

Said again with Gradio 5 by ``tests/journeys/test_gradio_five.py``.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI

from tests.gradio_apps.guard.deployment import a_person
from tests.gradio_apps.guard.test_live import serving
from tests.processes import PATIENCE

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


@dataclass(slots=True)
class Steps:
    """A generator that goes on when it is released."""

    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def count(self) -> AsyncIterator[str]:
        for number in range(4):
            yield f"secret {number}"
            await self.go.acquire()


@dataclass(slots=True)
class Two:
    """The app, and who uses it."""

    steps: Steps
    client: httpx.AsyncClient
    ana: dict[str, str]
    ben: dict[str, str]

    async def post(self, who: dict[str, str], path: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"/gradio_api/{path}", json=body, headers=who)


@asynccontextmanager
async def two_people() -> AsyncIterator[Two]:
    steps = Steps()

    async def count() -> AsyncIterator[str]:
        async for one in steps.count():
            yield one

    def add(left: float, right: float) -> float:
        """Add two numbers."""
        return left + right

    with gr.Blocks() as demo:
        output = gr.Textbox()
        gr.Button().click(count, None, output, api_name="count")
        gr.Interface(add, ["number", "number"], "number", api_name="add")
        gr.UploadButton()
    app = gr.mount_gradio_app(FastAPI(), demo, path="/", mcp_server=True)
    assert not demo.mcp_error, demo.mcp_error
    demo.is_running = True
    demo.run_startup_events()
    await demo.run_extra_startup_events()
    try:
        async with serving(app) as (deployment, client):
            client.timeout = httpx.Timeout(PATIENCE)
            own = {"origin": str(client.base_url).rstrip("/")}
            yield Two(
                steps,
                client,
                {**deployment.signed_in("ana"), **own},
                {**deployment.signed_in("ben", a_person(subject="ben")), **own},
            )
    finally:
        demo.close()


async def function_of(two: Two, api: str) -> int:
    config = (await two.client.get("/config", headers=two.ana)).json()
    found: int = next(one["id"] for one in config["dependencies"] if one["api_name"] == api)
    return found


async def messages(stream: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in stream.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_a_running_generator_is_its_owners_alone() -> None:
    """
    Gradio 5 goes on with the generator of whatever event a body names, and gives its values to any caller.
    """
    async with two_people() as two:
        function = await function_of(two, "count")
        joined = await two.post(two.ana, "queue/join", data=[], fn_index=function, session_hash="anas-hash")
        event = joined.json()["event_id"]
        path = "/gradio_api/queue/data?session_hash=anas-hash"
        seen: list[str] = []
        async with two.client.stream("GET", path, headers=two.ana) as stream:
            async for message in messages(stream):
                if message["msg"] in {"process_generating", "process_completed"}:
                    seen += re.findall(r"secret \d", json.dumps(message["output"]["data"]))
                    if len(seen) == 1:
                        await attacks(two, event=event, function=function)
                    two.steps.go.release()
                if message["msg"] == "process_completed":
                    break

        assert seen == ["secret 0", "secret 1", "secret 2", "secret 3", "secret 3"]


async def attacks(two: Two, *, event: str, function: int) -> None:
    """Ben tries all that names Ana's event or session."""
    own = {"data": [], "fn_index": function, "session_hash": "bens-hash", "event_id": event}
    theirs = {**own, "session_hash": "anas-hash", "event_id": None}
    for path in ("run/count", "api/count", "queue/join", "run/count/", "cancel", "reset", f"stream/{event}"):
        answer = await two.post(two.ben, path, **own)
        assert answer.status_code == 403, (path, answer.text)
    for path in ("run/count", "api/count", "call/count", "queue/join", "cancel"):
        answer = await two.post(two.ben, path, **theirs)
        assert answer.status_code == 403, (path, answer.text)
    for path in (
        f"call/count/{event}",
        f"call/v2/count/{event}",
        "queue/data?session_hash=anas-hash",
        f"queue/data?session_hash={event}",
        "heartbeat/anas-hash",
        "deep_link?session_hash=anas-hash",
    ):
        answer = await two.client.get(f"/gradio_api/{path}", headers=two.ben)
        assert answer.status_code == 403, (path, answer.text)
    assert (await two.post(two.ben, f"stream/{event}/close")).status_code == 403
    for path in ("cancel%0A", "queue/join%0A", "reset%0A"):
        assert (await two.post(two.ben, path, **{**theirs, "event_id": event})).status_code == 400


async def test_an_mcp_client_is_its_owners_alone() -> None:
    begin = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
    async with (
        two_people() as two,
        two.client.stream("GET", "/gradio_api/mcp/sse", headers={**two.ana, "accept": "text/event-stream"}) as stream,
    ):
        output = stream.aiter_lines()
        where = ""
        while not where.startswith("data: "):
            where = await anext(output)
        where = where.removeprefix("data: ")
        session = where.partition("session_id=")[2]

        for wanted in (where, f"/gradio_api/mcp/messages/?session_id={session.upper()}"):
            assert (await two.client.post(wanted, json=begin, headers=two.ben)).status_code == 404
        assert (await two.client.post(where, json=begin, headers=two.ana)).status_code == 202
        while "serverInfo" not in await anext(output):
            pass


async def test_an_uploads_progress_is_its_owners_alone() -> None:
    async with two_people() as two:
        files = {"files": ("her-secret-plan.txt", b"x")}
        path = "/gradio_api/upload?upload_id=hers"
        assert (await two.client.post(path, files=files, headers=two.ana)).status_code == 200

        for path in ("/gradio_api/upload_progress?upload_id=hers", "/gradio_api/upload_progress/?upload_id=hers"):
            assert (await two.client.get(path, headers=two.ben)).status_code == 403
        assert (await two.client.post("/gradio_api/upload?upload_id=hers", headers=two.ben)).status_code == 403


async def test_an_upload_is_not_shown_as_a_page() -> None:
    """
    Gradio 5 loads any ``state.json`` that a link to a saved state leads to.
    """
    async with two_people() as two:
        files = {"files": ("state.json", b"[]")}
        uploaded = (await two.client.post("/gradio_api/upload", files=files, headers=two.ben)).json()[0]
        folder = uploaded.split("/")[-2]

        for link in (f"../{folder}", f"..%2F{folder}", uploaded.rpartition("/")[0]):
            answer = await two.client.get(f"/config?deep_link={link}", headers=two.ana)
            assert answer.status_code == 400, link
