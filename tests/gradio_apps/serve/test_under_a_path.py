"""A real Gradio under a path of a host, as a web server hands it on: with the path still there."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gradio_apps.runtime.supervisor.child import command_for
from tests.gradio_apps.serve.portal import ANA, SLUG, URL, a_portal, entered
from tests.processes import PATIENCE

SAMPLE = Path(__file__).parents[2] / "samples" / "pathwise.py"
PATH = "/run/forecast"


@dataclass(frozen=True, slots=True)
class Served:
    """The app, and a signed-in person."""

    url: str
    """Its public address."""
    client: httpx.Client
    """Asks by the public name; has the cookie as a browser would send it."""
    opened: httpx.Response
    """The answer to the ticket."""

    def call(self, api: str, *data: object) -> list[list[Any]]:
        """Call *api* over ``/call`` and return the data of each message."""
        asked = self.client.post(f"{PATH}/gradio_api/call/{api}", json={"data": data})
        assert asked.status_code == 200, asked.text
        answer = self.client.get(f"{PATH}/gradio_api/call/{api}/{asked.json()['event_id']}").text
        return [json.loads(line) for line in re.findall(r"^data: (\[.*\])$", answer, re.MULTILINE)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, processes: None) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pathwise")
    with a_portal() as portal, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        origin = f"http://apps.demo.localhost:{port}"
        environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PORTAL_URL": URL,
            "PORTAL_INTERNAL_URL": portal,
            "PORTAL_APP": SLUG,
            "PORTAL_APP_URL": f"{origin}{PATH}/",
            "PORTAL_APP_SECRET": "an-app-secret-of-32-characters-ok",
            "GRADIO_TEMP_DIR": str(folder / "temp"),
        }
        command = [*command_for(sys.executable), str(SAMPLE), "--port", str(port)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        headers = {"host": f"apps.demo.localhost:{port}"}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE) as client:
                _wait(client, process, folder / "log")
                opened, own = entered(client, path=PATH, next="/?x=1")
                client.headers.update(own)
                yield Served(f"{origin}{PATH}", client, opened)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _wait(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        try:
            if client.get(f"{PATH}/.portal/health").json() == {"state": "running"}:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)


def test_the_way_in_stays_under_the_path(served: Served) -> None:
    assert served.opened.status_code == 303
    cookie = served.opened.headers["set-cookie"]
    assert cookie.startswith("__Secure-portal-app-forecast=")
    assert f"Path={PATH}/" in cookie
    arrived = served.client.get(served.opened.headers["location"])
    assert arrived.status_code == 303
    assert arrived.headers["location"] == f"{PATH}/?x=1"
    assert served.client.get(PATH).headers["location"] == f"{PATH}/"


@pytest.mark.parametrize("path", ["/", "/config", "/run/", "/run/forecasts/config", "/gradio_api/info", "/run/other/"])
def test_what_is_not_under_the_path_is_not_this_app(served: Served, path: str) -> None:
    assert served.client.get(path).status_code == 404


def test_pages_speak_of_the_public_address(served: Served) -> None:
    navigation = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe", "accept": "text/html"}
    for path in ("/", "/?deep_link=none", "/second"):
        page = served.client.get(f"{PATH}{path}", headers=navigation)
        assert page.status_code == 200, (path, page.headers)
        assert f'src="{PATH}/.portal/frame.js"' in page.text
        config = json.loads(re.search(r"window.gradio_config = (\{.*?\});</script>", page.text, re.DOTALL)[1])  # type: ignore[index]  # a page without it fails here
        assert config["root"] == served.url, path
        assert config["username"] == ANA.username
    assert served.client.get(f"{PATH}/config").json()["root"] == served.url
    assert served.client.get(f"{PATH}/theme.css").status_code == 200
    assert served.client.get(f"{PATH}/.portal/frame.js").status_code == 200
    for src in re.findall(r'(?:src|href)="(\./assets/[^"]+)"', page.text)[:3]:
        assert served.client.get(f"{PATH}/{src.removeprefix('./')}").status_code == 200


def test_gradios_own_redirects_stay_under_the_path(served: Served) -> None:
    answer = served.client.get(f"{PATH}/second/")

    # Gradio 5 shows the page at either address.
    where = f"{PATH}/second" if version("gradio").startswith("6.") else None
    assert answer.headers.get("location") == where
    assert answer.is_success is (where is None)


def test_files_go_up_and_come_down(served: Served) -> None:
    body = b"x" * 300_000
    up = served.client.post(f"{PATH}/gradio_api/upload", files={"files": ("big.bin", body)})
    assert up.status_code == 200
    uploaded = {"path": up.json()[0], "meta": {"_type": "gradio.FileData"}}
    assert served.call("size", uploaded)[-1] == [len(body)]

    [made] = served.call("report")[-1]
    assert made["url"].startswith(f"{served.url}/gradio_api/file=")
    assert served.client.get(made["url"].removeprefix(served.url.removesuffix(PATH))).text == "all of it"


def test_streams_run(served: Served) -> None:
    assert served.call("ticks")[:3] == [["tick 0"], ["tick 1"], ["tick 2"]]


def test_the_login_button_and_its_routes_stay_under_the_path(served: Served) -> None:
    config = served.client.get(f"{PATH}/config").text
    assert f"'{PATH}/login/huggingface?_target_url=/" in config
    assert f"'{PATH}/logout?_target_url=/" in config
    back = served.client.get(f"{PATH}/login/huggingface", params={"_target_url": "/second"})
    assert (back.status_code, back.headers["location"]) == (303, f"{PATH}/second")
    out = served.client.get(f"{PATH}/logout", params={"_target_url": "/"})
    assert (out.status_code, out.headers["location"]) == (303, f"{PATH}/.portal/sign-out")
    asked = served.client.get(out.headers["location"], headers={"sec-fetch-mode": "navigate"})
    assert f'href="{URL}/sign-out" target="_top"' in asked.text


def test_a_deep_link_is_made_and_followed(served: Served) -> None:
    session = "a-session-of-hers"
    config = served.client.get(f"{PATH}/config").json()
    function = next(one["id"] for one in config["dependencies"] if one["api_name"] == "ticks")
    body = {"data": [], "fn_index": function, "session_hash": session}
    assert served.client.post(f"{PATH}/gradio_api/queue/join", json=body).status_code == 200
    assert "process_completed" in served.client.get(
        f"{PATH}/gradio_api/queue/data", params={"session_hash": session}
    ).text.replace("close_stream", "")
    link = served.client.get(f"{PATH}/gradio_api/deep_link", params={"session_hash": session})
    assert link.status_code == 200
    page = served.client.get(f"{PATH}/", params={"deep_link": link.json()})
    assert page.status_code == 200
    assert '"deep_link_state":"valid"' in page.text.replace(": ", ":")


@pytest.mark.parametrize("leaving_out", [None, "Cookie", "Origin"])
def test_a_websocket_of_the_apps_own_is_for_whoever_is_in(served: Served, leaving_out: str | None) -> None:
    at = httpx.URL(served.url)
    sent = {"Cookie": served.client.headers["cookie"], "Origin": f"http://{at.netloc.decode()}"}
    headers = {name: value for name, value in sent.items() if name != leaving_out}
    with socket.create_connection(("127.0.0.1", at.port or 80), PATIENCE) as connection:
        address = str(at.copy_with(scheme="ws", raw_path=f"{PATH}/echo".encode()))
        if leaving_out is None:
            with connect(address, sock=connection, additional_headers=headers) as talk:
                talk.send("heard")
                assert talk.recv() == "HEARD"
        else:
            with pytest.raises(InvalidStatus) as refused:
                connect(address, sock=connection, additional_headers=headers)
            assert refused.value.response.status_code == 403
