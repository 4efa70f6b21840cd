"""Two people in one real Gradio app behind the guard: neither gets the other's files.

Said again with Gradio 5 by ``tests/journeys/test_gradio_five.py``.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI

from tests.gradio_apps.guard.deployment import a_person
from tests.gradio_apps.guard.test_live import serving
from tests.processes import PATIENCE

pytestmark = [
    pytest.mark.anyio,
    # Of pandas, which Gradio calls after an event.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc330000"
    "000049454e44ae426082"
)


@dataclass(slots=True)
class Two:
    """The app, and who uses it."""

    client: httpx.AsyncClient
    ana: dict[str, str]
    ben: dict[str, str]

    async def upload(self, who: dict[str, str], name: str, content: bytes) -> str:
        files = {"files": (name, content)}
        answer = await self.client.post("/gradio_api/upload", files=files, headers=who)
        assert answer.status_code == 200, answer.text
        path: str = answer.json()[0]
        return path

    async def status(self, who: dict[str, str], path: str) -> int:
        return (await self.client.get(f"/gradio_api/file={quote(path)}", headers=who)).status_code

    async def config(self, who: dict[str, str]) -> Any:
        return (await self.client.get("/config", headers=who)).json()

    async def run(self, who: dict[str, str], api: str, *data: object) -> list[Any]:
        """Run *api* as the page does, and return what the event's messages put out last."""
        config = (await self.client.get("/config", headers=who)).json()
        function = next(one["id"] for one in config["dependencies"] if one["api_name"] == api)
        session = f"{api}-of-{who['cookie'][-8:]}"
        body = {"data": list(data), "fn_index": function, "session_hash": session}
        joined = await self.client.post("/gradio_api/queue/join", json=body, headers=who)
        assert joined.status_code == 200, joined.text
        url = f"/gradio_api/queue/data?session_hash={session}"
        output: list[Any] = []
        async with self.client.stream("GET", url, headers=who) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                    output = message["output"]["data"]
                if message.get("msg") == "close_stream":
                    break
        return output


def file_data(path: str, **more: object) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def paths_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        for one in value.values():
            yield from paths_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from paths_in(one)


def climbing(path: str) -> str:
    return os.path.relpath(path)


def secret_files(folder: Path) -> list[str]:
    return [str(file) for file in folder.rglob("*") if file.is_file() and b"her secret" in file.read_bytes()]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "gradio-cache"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@asynccontextmanager
async def two_people(tmp_path: Path) -> AsyncIterator[Two]:
    made = tmp_path / "made"
    made.mkdir()
    (tmp_path / "example.png").write_bytes(PIXEL)
    (tmp_path / "shown.png").write_bytes(PIXEL + b"shown")

    def write(name: str, text: str) -> str:
        file = made / name
        file.write_text(text)
        return str(file)

    def stream(text: str) -> Iterator[str]:
        for number in range(3):
            yield write(f"{number}.txt", f"{text} {number}")

    def gallery(text: str) -> list[str]:
        (made / "picture.png").write_bytes(PIXEL + text.encode())
        return [str(made / "picture.png")]

    def chat(message: dict[str, Any], history: list[Any]) -> list[Any]:
        files = [{"role": "user", "content": {"path": one}} for one in message["files"]]
        return [*history, *files, {"role": "assistant", "content": {"path": write("answer.txt", message["text"])}}]

    with gr.Blocks() as demo:
        text = gr.Textbox()
        given, result = gr.File(), gr.File()
        download = gr.DownloadButton()
        anything = gr.JSON()
        pictures = gr.Gallery()
        chatbot = gr.Chatbot(**({} if gr.__version__.startswith("6") else {"type": "messages"}))
        message = gr.MultimodalTextbox()
        image = gr.Image(str(tmp_path / "shown.png"), type="filepath")
        gr.Examples([[str(tmp_path / "example.png")]], image)
        gr.Button().click(lambda one: one, given, result, api_name="same")
        gr.Button().click(lambda one: write("result.txt", one), text, result, api_name="write")
        gr.Button().click(lambda one: write("download.txt", one), text, download, api_name="download")
        gr.Button().click(stream, text, result, api_name="stream")
        gr.Button().click(gallery, text, pictures, api_name="gallery")
        gr.Button().click(lambda one: one, text, text, api_name="echo")
        gr.Button().click(lambda one: one, anything, anything, api_name="anything")
        gr.Button().click(chat, [message, chatbot], chatbot, api_name="chat")
    app = gr.mount_gradio_app(FastAPI(), demo, path="/", allowed_paths=[str(made)])
    demo.is_running = True
    demo.run_startup_events()
    await demo.run_extra_startup_events()
    try:
        async with serving(app) as (deployment, client):
            client.timeout = httpx.Timeout(PATIENCE)
            own = {"origin": str(client.base_url).rstrip("/")}
            ana = {**deployment.signed_in("ana"), **own}
            yield Two(client, ana, {**deployment.signed_in("ben", a_person(subject="ben")), **own})
    finally:
        demo.close()


async def test_an_upload_is_served_to_its_owner_alone(cache: Path, tmp_path: Path) -> None:
    async with two_people(tmp_path) as two:
        path = await two.upload(two.ana, "plan.txt", b"her plan")
        assert Path(path).is_relative_to(cache)
        (tmp_path / "link").symlink_to(cache)
        linked = str(tmp_path / "link" / Path(path).relative_to(cache))
        relative = climbing(path)
        folder, name = path.rsplit("/", 1)

        assert await two.status(two.ana, path) == 200
        for spelled in (
            quote(path),
            quote(path, safe=""),
            "".join(f"%{ord(one):02x}" for one in path),
            quote(f"/{path}"),
            quote(f"//{path}"),
            quote(f"{folder}//{name}"),
            quote(f"{folder}/./{name}"),
            quote(f"{folder}/../{folder.rsplit('/', 1)[1]}/{name}"),
            quote(f"{folder}%2f{name}", safe="%/"),
            quote(f"{path}/"),
            quote(linked),
            quote(relative),
            quote(f"/proc/self/root{path}"),
            f"{quote(path)}?download=1",
            f"{quote(path)}#x",
        ):
            for route in ("/gradio_api/file=", "/gradio_api/file/"):
                for method in ("GET", "HEAD"):
                    for ranged in ({}, {"range": "bytes=0-3"}):
                        answer = await two.client.request(method, route + spelled, headers={**two.ben, **ranged})
                        assert answer.status_code in {403, 404, 405}, (method, route, spelled)
                        assert b"her plan"[:4] not in answer.content
        for spelled in (quote(path), quote(linked)):
            assert (await two.client.get(f"/gradio_api/file={spelled}", headers=two.ana)).text == "her plan"
        part = await two.client.get(f"/gradio_api/file={quote(path)}", headers={**two.ana, "range": "bytes=0-3"})
        assert (part.status_code, part.content[:3]) == (206, b"her")


async def test_naming_anothers_file_in_an_event_is_refused(cache: Path, tmp_path: Path) -> None:
    """
    Gradio takes any file of its cache as input, and answers with it.
    """
    async with two_people(tmp_path) as two:
        path = await two.upload(two.ana, "plan.txt", b"her plan")
        config = await two.config(two.ben)
        function = {one["api_name"]: one["id"] for one in config["dependencies"]}
        plain = json.dumps(path)
        escaped = '"' + "".join(f"\\u{ord(one):04x}" for one in path) + '"'
        own = json.dumps(await two.upload(two.ben, "own.txt", b"his own"))
        meta = '"meta": {"_type": "gradio.FileData"}'
        for data in (
            f'{{"path": {plain}, {meta}}}',
            f'{{"path": {escaped}, {meta}}}',
            f'{{"p\\u0061th": {plain}, {meta}}}',
            f'{{"path": {own}, "path": {plain}, {meta}}}',
            f'{{"path": {plain}, "path": {own}, {meta}}}',
            f'[{{"image": {{"path": {plain}, {meta}}}, "caption": null}}]',
            f'{{"text": "", "files": [{{"path": {own}}}, {{"path": {plain}}}]}}',
            f'{{"path": {json.dumps("/" + path)}}}',
            f'{{"path": {json.dumps("/proc/self/root" + path)}}}',
            f'{{"path": {json.dumps(climbing(path))}}}',
            f'["replace", ["path"], {plain}]',
            f'["replace", [0, "p\\u0061th"], {plain}]',
        ):
            body = f'{{"data": [{data}], "session_hash": "bens", "fn_index": {function["same"]}}}'
            for route in ("queue/join", "run/same", "api/same", "call/same", "component_server", "call/v2/same"):
                answer = await two.client.post(
                    f"/gradio_api/{route}", content=body, headers={**two.ben, "content-type": "application/json"}
                )
                assert answer.status_code == 403, (route, data, answer.text)
        assert await two.status(two.ben, path) == 403

        assert list(paths_in(await two.run(two.ana, "same", file_data(path))))


async def test_what_a_text_says_names_no_file(cache: Path, tmp_path: Path) -> None:
    async with two_people(tmp_path) as two:
        path = await two.upload(two.ana, "plan.txt", b"her plan")
        for text in (path, f'"path": "{path}"', f'{{"path":"{path}"}}', f'["replace",["path"],"{path}"]'):
            assert await two.run(two.ben, "echo", text) == [text]
            assert await two.status(two.ben, path) == 403


@pytest.mark.parametrize("api", ["write", "download", "stream", "gallery"])
async def test_what_an_event_made_is_served_to_its_person_alone(api: str, cache: Path, tmp_path: Path) -> None:
    async with two_people(tmp_path) as two:
        output = await two.run(two.ana, api, "her secret")
        paths = [path for path in paths_in(output) if Path(path).is_relative_to(cache)]

        assert paths
        every = secret_files(cache)
        assert set(paths) <= set(every)
        for path in every:  # also those that a stream has shown on the way
            assert await two.status(two.ana, path) == 200, path
            assert await two.status(two.ben, path) == 403, path


async def test_the_files_of_a_chat_are_its_persons_alone(cache: Path, tmp_path: Path) -> None:
    async with two_people(tmp_path) as two:
        path = await two.upload(two.ana, "plan.txt", b"her plan")
        output = await two.run(two.ana, "chat", {"text": "her secret", "files": [file_data(path)]}, [])
        paths = set(paths_in(output))

        assert len(paths) >= 2
        for one in paths:
            assert await two.status(two.ana, one) == 200
            assert await two.status(two.ben, one) == 403


async def test_what_the_page_shows_is_for_everybody_who_opens_it(cache: Path, tmp_path: Path) -> None:
    async with two_people(tmp_path) as two:
        shown = sorted({path for path in paths_in(await two.config(two.ana)) if Path(path).is_relative_to(cache)})

        assert shown
        for path in shown:
            assert await two.status(two.ana, path) == 200
            assert await two.status(two.ben, path) == 403, "he has not opened it yet"
        navigating = {**two.ben, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe", "accept-encoding": "gzip"}
        page = await two.client.get("/", headers=navigating)
        assert page.status_code == 200
        for path in shown:
            assert await two.status(two.ben, path) == 200


async def test_files_outside_of_the_cache_are_the_apps_own(cache: Path, tmp_path: Path) -> None:
    async with two_people(tmp_path) as two:
        (tmp_path / "made" / "public.txt").write_text("for all")

        assert await two.status(two.ben, str(tmp_path / "made" / "public.txt")) == 200
        assert await two.status(two.ben, "/etc/passwd") == 403
