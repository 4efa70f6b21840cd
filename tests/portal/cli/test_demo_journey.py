"""The demo as a person starts it: real processes, a real sign-in, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.portal.machine.test_processes import is_alive
from tests.processes import PATIENCE

pytestmark = [
    pytest.mark.usefixtures("journey"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc"),
]


class Running:
    """One ``portal`` command and what it prints."""

    def __init__(self, process: subprocess.Popen[bytes], *, out: Path, marker: str) -> None:
        self.process = process
        self._out = out
        self._marker = marker
        self._seen: set[int] = set()

    @property
    def output(self) -> str:
        return self._out.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        self.wait_until(lambda: text in self.output, what=text)

    def wait_until(self, true: Callable[[], bool], *, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, f"{what}: never. {self.output}"
            time.sleep(0.1)

    @property
    def url(self) -> str:
        match = re.search(r"Open {2}(http://\S+)", self.output)
        assert match is not None
        return match[1]

    def processes(self) -> dict[int, str]:
        """Every living process of this command: found by the marker, then by descent."""
        table: dict[int, tuple[int, str]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if self._marker.encode() in (folder / "environ").read_bytes() or int(folder.name) in self._seen:
                    self._seen.add(int(folder.name))
                table[int(folder.name)] = (parent, words)
        grown = True
        while grown:
            children = {pid for pid, (parent, _) in table.items() if parent in self._seen} - self._seen
            self._seen |= children
            grown = bool(children)
        return {pid: table[pid][1] for pid in self._seen if pid in table and is_alive(pid)}

    def child(self, words: str) -> int:
        """The process that the command itself started; its workers look alike."""
        (pid,) = (
            pid
            for pid, line in self.processes().items()
            if words in line and f"\nPPid:\t{self.process.pid}\n" in Path(f"/proc/{pid}/status").read_text()
        )
        return pid

    def ended_within(self, seconds: float) -> int:
        began = time.monotonic()
        code = self.process.wait(PATIENCE)
        assert time.monotonic() - began < seconds, self.output
        return code

    def nothing_is_left(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while rest := self.processes():
            assert time.monotonic() < deadline, rest
            time.sleep(0.1)


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    """Start the command with *arguments*, and end it whatever happens."""
    out, marker = folder / "out", f"XDG_MARKER={uuid.uuid4()}"
    name, _, value = marker.partition("=")
    command = [sys.executable, "-m", "portal.cli", *arguments, "--port", "0", "--no-browser", "--data-dir", "d"]
    with out.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, name: value}
        )
    command_running = Running(process, out=out, marker=marker)
    try:
        yield command_running
    finally:
        for pid in command_running.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


class Browser:
    """Just enough of one: follows redirects, keeps cookies per host, takes ``Secure`` ones on loopback."""

    def __init__(self) -> None:
        self._client = httpx.Client(timeout=30, trust_env=False)
        self._jars: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def go(self, url: str, *, form: dict[str, str] | None = None) -> tuple[str, httpx.Response]:
        for _ in range(10):
            parts = urlsplit(url)
            jar = self._jars[parts.hostname or ""]
            headers = {
                "Host": parts.netloc,
                "Accept": "text/html",
                "Sec-Fetch-Mode": "navigate",
                "Cookie": "; ".join(f"{name}={value}" for name, value in jar.items()),
            }
            here = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
            answer = self._client.request("GET" if form is None else "POST", here, data=form, headers=headers)
            form = None
            for cookie in answer.headers.get_list("set-cookie"):
                name, _, value = cookie.partition(";")[0].partition("=")
                jar[name] = value
            if not answer.is_redirect:
                return url, answer
            url = urljoin(url, answer.headers["Location"])
        raise AssertionError("it redirects for ever")

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    opened = Browser()
    yield opened
    opened.close()


def test_the_demo_signs_people_in_and_ends_without_a_trace(tmp_path: Path, browser: Browser) -> None:
    with running(tmp_path, "demo") as demo:
        demo.wait_for("Ctrl-C ends everything.")
        _, page = browser.go(demo.url)
        begin = re.search(r'href="(/auth/oauth/demo[^"]*)"', page.text)
        assert begin is not None
        at, chooser = browser.go(urljoin(demo.url, unescape(begin[1])))
        assert "anyone can sign in as anyone" in chooser.text
        action = re.search(r'action="([^"]+)"', chooser.text)
        assert action is not None
        arrived, page = browser.go(urljoin(at, unescape(action[1])), form={"person": "demo-ada"})

        assert arrived.startswith(f"{demo.url}/apps/admin-dashboard")
        assert "Ada Admin" in page.text
        demo.wait_for("All apps are running.")
        programs = " ".join(demo.processes().values())
        for words in ("gunicorn", "portal.demo.provider", "gradio_apps.runtime.supervisor", "gradio_apps.serve"):
            assert words in programs
        assert (tmp_path / "d" / "secret-key").stat().st_mode & 0o777 == 0o600
        assert "code=" not in "".join(path.read_text() for path in (tmp_path / "d" / "logs").iterdir())

        demo.process.send_signal(signal.SIGINT)
        # Five seconds is the promise; the rest is for a machine that is busy with other tests.
        assert demo.ended_within(20) == 0
        demo.nothing_is_left()


def test_when_one_part_dies_everything_ends_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path, "demo") as demo:
        demo.wait_for("Ctrl-C ends everything.")
        os.kill(demo.child("portal.demo.provider"), signal.SIGKILL)

        assert demo.ended_within(20) == 1
        assert "The demo provider ended by itself" in demo.output
        demo.nothing_is_left()


def test_killed_it_takes_everything_along(tmp_path: Path) -> None:
    with running(tmp_path, "demo") as demo:
        demo.wait_for("Ctrl-C ends everything.")
        assert len(demo.processes()) > 4
        demo.process.kill()
        demo.process.wait()
        demo.nothing_is_left()


def test_an_unmodified_app_is_tried_and_a_broken_one_reported(tmp_path: Path) -> None:
    good, broken = tmp_path / "good", tmp_path / "broken"
    for folder in (good, broken):
        folder.mkdir()
    (good / "app.py").write_text("import gradio as gr\ngr.Interface(lambda x: x, 'text', 'text').launch()\n")
    (broken / "app.py").write_text("import gradio as gr\nthere_is_no_such_name\n")
    with running(good, "try", "app.py") as trial:
        trial.wait_for("All apps are running.")
        trial.process.terminate()
        assert trial.ended_within(20) == 0
        trial.nothing_is_left()
    with running(broken, "try", "app.py") as trial:
        trial.wait_for("could not be started")
        trial.wait_for("there_is_no_such_name")
        trial.process.terminate()
        assert trial.ended_within(20) == 0


def test_a_trial_hands_on_what_it_is_given_and_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without its variable the app can never come up: the trial ends, and says what to write. What is handed on is
    for the app alone, not even for the terminal, and gone afterwards.
    """
    monkeypatch.setenv("WEATHER_KEY", "the-key-of-the-weather")
    app = "import gradio as gr\ngr.Interface(lambda x: x, 'text', 'text').launch()\n"
    (tmp_path / "weather.py").write_text(f"import os\nprint(os.environ['WEATHER_KEY'], flush=True)\n{app}")
    with running(tmp_path, "try", "weather.py") as trial:
        assert trial.process.wait(PATIENCE) == 1
        assert "needs the variable WEATHER_KEY" in trial.output
        assert "--env WEATHER_KEY" in trial.output
        trial.nothing_is_left()
    with running(tmp_path, "try", "weather.py", "--env", "WEATHER_KEY", "--browser", "camera") as trial:
        trial.wait_for("All apps are running.")
        assert "the-key-of-the-weather" in (tmp_path / "d" / "logs" / "weather.log").read_text()
        assert "the-key-of-the-weather" not in trial.output
        assert (tmp_path / "d" / "app.env").exists()
        trial.process.terminate()
        assert trial.process.wait(PATIENCE) == 0
    assert not (tmp_path / "d" / "app.env").exists()
