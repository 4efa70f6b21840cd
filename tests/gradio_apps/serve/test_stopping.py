"""What people read of an app that is stopped while they wait for it, and of its address where it calls itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.guard.running_requests import STOPPED
from gradio_apps.runtime.supervisor.child import command_for
from tests.gradio_apps.serve.portal import SLUG, URL, a_portal, entered
from tests.ports import free_ports
from tests.processes import PATIENCE

APP = """
import time
import gradio as gr

def count():
    for number in range(10_000):
        time.sleep(0.05)
        yield f"tick {number}"

with gr.Blocks() as demo:
    output = gr.Textbox()
    gr.Button().click(count, None, output, api_name="count")
demo.launch()
"""


CALLS_ITSELF = """
import gradio as gr
from gradio_client import Client

demo = gr.Interface(lambda picture, text: text, [gr.Image(type="filepath"), gr.Textbox()], "text", api_name="go")
_, address, _ = demo.launch(prevent_thread_lock=True)
described = Client(address, verbose=False).view_api(print_info=False, return_format="dict")
print("it found", *described["named_endpoints"], flush=True)
demo.block_thread()
"""


@dataclass(frozen=True, slots=True)
class Served:
    """The app, and a person who is in."""

    process: "subprocess.Popen[bytes]"
    client: httpx.Client
    url: str
    log: Path

    def json(self, path: str) -> Any:
        return self.client.get(path).json()


@contextmanager
def served(tmp_path: Path, source: str) -> Iterator[Served]:
    (tmp_path / "app.py").write_text(source)
    log = tmp_path / "log"
    [port] = free_ports(1)
    with a_portal() as portal:
        url = f"http://forecast.demo.localhost:{port}"
        environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PORTAL_URL": URL,
            "PORTAL_INTERNAL_URL": portal,
            "PORTAL_APP": SLUG,
            "PORTAL_APP_URL": url,
            "PORTAL_APP_SECRET": "an-app-secret-of-32-characters-ok",
            "GRADIO_TEMP_DIR": str(tmp_path / "gradio"),
        }
        command = [*command_for(sys.executable), str(tmp_path / "app.py"), "--port", str(port)]
        with log.open("wb") as file:
            process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=file, stderr=file)
        try:
            host = url.removeprefix("http://")
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=base, headers={"host": host}, timeout=PATIENCE, trust_env=False) as client:
                until = time.monotonic() + PATIENCE
                while not is_running(client):
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < until, log.read_text()
                    time.sleep(0.1)
                client.headers.update(entered(client)[1])
                yield Served(process, client, url, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)


def is_running(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/.portal/health").json() == {"state": "running"})
    except httpx.TransportError:
        return False


@pytest.mark.usefixtures("processes")
def test_who_waits_for_a_stopped_app_reads_a_sentence(tmp_path: Path) -> None:
    """
    In the event stream of a page, and in that of a script; and the log has a line of it, and no traceback.
    """
    with served(tmp_path, APP) as app:
        function = next(one["id"] for one in app.json("/config")["dependencies"] if one["api_name"] == "count")
        joined = {"data": [], "fn_index": function, "session_hash": "hers"}
        assert app.client.post("/gradio_api/queue/join", json=joined).status_code == 200
        event = app.client.post("/gradio_api/call/count", json={"data": []}).json()["event_id"]
        before = len(app.log.read_text().splitlines())
        with app.client.stream("GET", "/gradio_api/queue/data?session_hash=hers") as page:
            lines = page.iter_lines()
            while "tick 1" not in next(lines):
                pass
            with app.client.stream("GET", f"/gradio_api/call/count/{event}") as script:
                heard = script.iter_lines()
                next(heard)
                app.process.send_signal(signal.SIGTERM)
                output = [line for line in lines if line]
                heard_last = [line for line in heard if line]
        assert app.process.wait(PATIENCE) == 0

    last = json.loads(output[-1].removeprefix("data: "))
    assert (last["msg"], last["message"], last["success"]) == ("unexpected_error", STOPPED, False)
    assert heard_last[-2:] == ["event: error", f"data: {json.dumps(STOPPED)}"]
    everything = "\n".join([*output, *heard_last])
    assert "ancel" not in everything
    log = app.log.read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) - before <= 1, log


@pytest.mark.usefixtures("processes")
def test_an_app_that_calls_itself_shows_people_its_public_address(tmp_path: Path) -> None:
    """
    Gradio keeps what it said of its API to the first who asked, and here that is the app itself.
    """
    with served(tmp_path, CALLS_ITSELF) as app:
        until = time.monotonic() + PATIENCE
        while "it found /go" not in app.log.read_text():
            assert time.monotonic() < until, app.log.read_text()
            time.sleep(0.1)
        answers = [
            app.client.get(path).text for path in ("/gradio_api/info", "/gradio_api/openapi.json", "/", "/config")
        ]

    assert "/go" in answers[0]
    assert not [one for one in answers if "127.0.0.1" in one]
