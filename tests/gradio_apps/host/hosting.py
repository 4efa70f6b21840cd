"""A sample app, really served in a process of its own, and a person who uses it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import PATIENCE

SAMPLES = Path(__file__).parents[2] / "samples"
STAND_IN = Path(__file__).with_name("stand_in.py")
ANA = "ana@example.com"


class Hosted:
    """A hosted sample."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, headers={"x-test-person": ANA})

    @property
    def log(self) -> str:
        return self._log.read_text()

    def status(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = self.client.get("/test-state").json()
        except httpx.TransportError as error:
            pytest.fail(f"{error}; the process's exit code: {self.process.poll()}\n{self.log}")
        return state

    def wait_for(self, state: str) -> None:
        until = time.monotonic() + PATIENCE
        while (now := self._state()) != state:
            assert now in {"starting", None}, f"{now}\n{self.log}"
            assert time.monotonic() < until, self.log
            time.sleep(0.1)

    def _state(self) -> str | None:
        """Return what the process says of its start; ``None`` where a connection was lost and the process goes on."""
        try:
            return str(self.client.get("/test-state").json()["state"])
        except httpx.TransportError as error:
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"{error}; the process ended with {self.process.wait(1)}\n{self.log}")
            return None

    def call(self, api: str, *data: object, person: str = ANA) -> Any:
        """Call *api* over ``/call``, as scripts do; return what it ended with."""
        headers = {"x-test-person": person}
        asked = self.client.post(f"/gradio_api/call/{api}", json={"data": list(data)}, headers=headers)
        assert asked.status_code == 200, asked.text
        path = f"/gradio_api/call/{api}/{asked.json()['event_id']}"
        lines = self.client.get(path, headers=headers).text.splitlines()
        assert "event: complete" in lines, lines
        return json.loads(lines[lines.index("event: complete") + 1].removeprefix("data: "))

    def join(self, api: str, *data: object, person: str = ANA, session: str = "a-session") -> list[list[Any]]:
        """Call *api* over the queue, as the page does; return the data of each message that has some."""
        headers = {"x-test-person": person}
        config = self.client.get("/config", headers=headers).json()
        function = next(one["id"] for one in config["dependencies"] if one["api_name"] == api)
        body = {"data": list(data), "fn_index": function, "session_hash": session}
        assert self.client.post("/gradio_api/queue/join", json=body, headers=headers).status_code == 200
        seen: list[list[Any]] = []
        with self.client.stream("GET", f"/gradio_api/queue/data?session_hash={session}", headers=headers) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if "data" in (message.get("output") or {}):
                    seen.append(message["output"]["data"])
                if message.get("msg") == "close_stream":
                    break
        return seen

    def end(self) -> int:
        """Ask the process to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def hosted(source: Path | str, tmp: Path, *, ready: str = "running", **environ: str) -> Iterator[Hosted]:
    """Host *source* until the block is left."""
    log = tmp / "app.log"
    own = {"GRADIO_TEMP_DIR": str(tmp), "GRADIO_EXAMPLES_CACHE": str(tmp / "examples"), "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **own, **environ}
    with socket.socket() as sock, log.open("wb") as output:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        process = subprocess.Popen(
            [sys.executable, str(STAND_IN), str(sock.fileno()), str(source)],
            cwd=SAMPLES,
            env=environment,
            pass_fds=[sock.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        app = Hosted(sock.getsockname()[1], process, log)
    try:
        with app.client:
            app.wait_for(ready)
            yield app
    finally:
        process.kill()
        process.wait()
