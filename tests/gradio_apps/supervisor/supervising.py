"""A real supervisor in a process of its own, over services that start in a moment."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx

from tests.processes import PATIENCE

SERVICE = Path(__file__).parents[2] / "samples" / "flaky_service.py"
_START = """
import os, sys
from gradio_apps.runtime.supervisor.__main__ import main
sys.exit(main(sys.stdin, sys.stderr, os.environ, command=tuple(sys.argv[1:])))
"""


def an_app(tmp: Path, slug: str = "forecast", *, mode: str = "serve", **changes: Any) -> dict[str, Any]:
    app = {
        "slug": slug,
        "title": slug.title(),
        "url": f"http://{slug}.demo.localhost:7871",
        "source": "app.py",
        "host": "127.0.0.1",
        "port": 0,
        "secret": f"the-secret-of-{slug}",
        "cookies": "lax",
        "env": {"MODE": mode, "OWN_KEY": f"own-key-of-{slug}"},
        "log": str(tmp / "logs" / f"{slug}.log"),
        "temp": str(tmp / "temp" / slug),
        "cwd": None,
        "start_timeout": 600,
        "drain_timeout": 120,
    }
    return {**app, **changes}


def a_document(*apps: Mapping[str, Any], control: str | None = None) -> str:
    portal = {"url": "https://portal.example.com", "internal_url": "http://127.0.0.1:7800"}
    return json.dumps({"portal": portal, "apps": apps, "control": control, "grace": 1})


@contextmanager
def reporting_to(events: Path, document: str) -> Iterator[None]:
    """Run a supervisor on *document*, which reports into the file *events*, until the block ends; it ends well."""
    with events.open("wb") as file:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "gradio_apps.runtime.supervisor"], stdin=subprocess.PIPE, stderr=file
        )
    assert supervisor.stdin is not None
    with supervisor.stdin:
        supervisor.stdin.write(document.encode())
    try:
        yield
    finally:
        supervisor.terminate()
        assert supervisor.wait(PATIENCE) == 0


class Supervised:
    """A supervisor, and what it reports."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._events: Queue[dict[str, Any]] = Queue()
        self.reading = threading.Thread(target=self._read)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.lines.append(line)
                if line.startswith("{"):
                    self._events.put(json.loads(line))

    def event(self, name: str, **details: object) -> dict[str, Any]:
        """The next event called *name* with *details*; those before it are passed over."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                event = self._events.get(timeout=max(0.01, until - time.monotonic()))
            except Empty:
                raise AssertionError(f"no {name} in {self.lines}") from None
            if event["event"] == name and details.items() <= event.items():
                return event

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def supervised(
    document: str,
    environ: Mapping[str, str] | None = None,
    *,
    command: Sequence[str] = (sys.executable, str(SERVICE)),
    before: str = "",
) -> Iterator[Supervised]:
    """A supervisor on *document*, which runs the code *before* and then begins."""
    process = subprocess.Popen(
        [sys.executable, "-c", before + _START, *command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environ or {})},
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(document)
    process.stdin.close()
    supervisor = Supervised(process)
    try:
        yield supervisor
    finally:
        if process.poll() is None:
            supervisor.end()
        supervisor.reading.join()


def ask(port: int) -> dict[str, Any]:
    """What the service at *port* says of itself."""
    answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).json()
    return answer


def is_alive(pid: int) -> bool:
    """Whether a process *pid* runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def tell(path: Path, request: object) -> dict[str, Any]:
    raw = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        connection.sendall(raw)
        with connection.makefile("rb") as reader:
            answer: dict[str, Any] = json.loads(reader.readline())
    return answer


def the_app(path: Path, until: Callable[[dict[str, Any]], bool], *, slug: str = "forecast") -> dict[str, Any]:
    """The app *slug* as the supervisor lists it, once *until* holds."""
    deadline = time.monotonic() + PATIENCE
    app: dict[str, Any] | None = None
    while True:
        with suppress(FileNotFoundError, ConnectionRefusedError):  # it does not answer yet
            app = next((one for one in tell(path, {"do": "list"})["apps"] if one["app"] == slug), None)
        if app is not None and until(app):
            return app
        assert time.monotonic() < deadline, app
        time.sleep(0.05)


def is_state(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda app: bool(app["state"] == state)


def has_ipv6() -> bool:
    """Say whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
