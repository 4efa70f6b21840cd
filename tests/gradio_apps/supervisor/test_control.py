"""The control socket: its answers, its actions, and the users it refuses."""

import asyncio
import io
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.supervisor.control import Control, ControlError
from gradio_apps.runtime.supervisor.descendants import Descendants
from gradio_apps.runtime.supervisor.document import read_plan
from gradio_apps.runtime.supervisor.events import reporter
from gradio_apps.runtime.supervisor.registry import Registry
from tests.gradio_apps.supervisor.supervising import (
    a_document,
    an_app,
    ask,
    is_alive,
    is_state,
    supervised,
    tell,
    the_app,
)
from tests.processes import PATIENCE

WITHOUT_APP = "The member 'app' of the message is missing or has the wrong type."


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name leaves room for the name of a Unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.usefixtures("processes")
def test_an_app_is_stopped_started_and_restarted(tmp_path: Path, short: Path) -> None:
    control = short / "supervisor.sock"
    with supervised(a_document(an_app(tmp_path), an_app(tmp_path, "other"), control=str(control))) as supervisor:
        supervisor.event("app-ready", app="forecast")
        running = the_app(control, is_state("running"))
        assert (running["restarts"], running["reason"], running["pause"]) == (0, None, None)
        assert running["memory"] > 1_000_000
        assert running["last_line"].startswith("started")
        assert is_alive(running["pid"])
        assert stat.S_IMODE(control.stat().st_mode) == 0o600

        assert tell(control, {"do": "stop", "app": "forecast"})["ok"]
        stopped = the_app(control, is_state("stopped"))
        assert (stopped["pid"], stopped["memory"]) == (None, None)
        assert not is_alive(running["pid"])
        supervisor.event("app-stopped", app="forecast")
        # Nobody hangs at a stopped app, and nobody else can take its address.
        answer = httpx.get(f"http://127.0.0.1:{running['port']}/x", timeout=PATIENCE)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert "Forecast is stopped" in answer.text
        assert httpx.head(f"http://127.0.0.1:{running['port']}/", timeout=PATIENCE).text == ""

        tell(control, {"do": "start", "app": "forecast"})
        again = the_app(control, is_state("running"))
        assert ask(again["port"])["pid"] == again["pid"]

        tell(control, {"do": "restart", "app": "forecast"})
        third = the_app(control, lambda app: bool(app["state"] == "running" and app["pid"] != again["pid"]))
        assert third["restarts"] == 2
        assert supervisor.event("ordered", order="restart")["app"] == "forecast"
        # The others noticed nothing.
        assert the_app(control, is_state("running"), slug="other")["restarts"] == 0
        assert supervisor.end() == 0
    assert not control.exists()
    assert "app-crashed" not in "".join(supervisor.lines)


@pytest.mark.usefixtures("processes")
def test_what_changes_nothing_is_no_restart(tmp_path: Path, short: Path) -> None:
    control = short / "supervisor.sock"
    with supervised(a_document(an_app(tmp_path), control=str(control))) as supervisor:
        supervisor.event("app-ready")
        before = the_app(control, is_state("running"))
        assert tell(control, {"do": "start", "app": "forecast"})["apps"][0]["state"] == "running"
        after = the_app(control, is_state("running"))
    assert before["pid"] == after["pid"]


@pytest.mark.usefixtures("processes")
def test_a_crashed_app_says_why_and_is_started_at_once_when_asked(tmp_path: Path, short: Path) -> None:
    control = short / "supervisor.sock"
    with supervised(a_document(an_app(tmp_path, mode="crash"), control=str(control))) as supervisor:
        for _ in range(4):
            crash = supervisor.event("app-crashed")
        assert (crash["pause"], crash["reason"]) == (8, "It ended by itself, with exit code 7.")
        crashed = the_app(control, is_state("crashed"))
        assert crashed["reason"] == crash["reason"]
        assert 0 < crashed["pause"] <= 8
        assert crashed["restarts"] == 3
        tell(control, {"do": "start", "app": "forecast"})
        supervisor.event("app-started")
        # The record is cleared: the pause is the first one.
        assert supervisor.event("app-crashed")["pause"] == 1

        tell(control, {"do": "stop", "app": "forecast"})
        the_app(control, is_state("stopped"))
        tell(control, {"do": "stop", "app": "forecast"})
        tell(control, {"do": "restart", "app": "forecast"})
        supervisor.event("app-started")


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (b"\n", "The message is not a JSON object on one line."),
        (b"[]\n", "The message is not a JSON object on one line."),
        ({}, "Unknown command."),
        ({"do": "kill", "app": "forecast"}, "Unknown command."),
        ({"do": ["stop"], "app": "forecast"}, "Unknown command."),
        ({"do": "stop", "app": "forcast"}, "There is no app called 'forcast'."),
        ({"do": "stop"}, WITHOUT_APP),
        ({"do": "stop", "app": {}}, WITHOUT_APP),
    ],
)
def test_what_cannot_be_done_is_said(short: Path, request_: object, problem: str) -> None:
    assert asked(short, request_) == {"ok": False, "problem": problem}


def test_another_user_is_refused_even_where_the_mode_of_the_socket_was_changed(short: Path) -> None:
    refused = asked(short, {"do": "list"}, uids=frozenset({os.geteuid() + 1}))

    assert refused == {"ok": False, "problem": "Only the supervisor's own user may send commands."}


def test_a_line_without_end_gets_no_answer(short: Path) -> None:
    with pytest.raises((ValueError, ConnectionError)):  # nothing was said, or not all was heard
        asked(short, b"x" * 5_000_000)


def nobody() -> Registry:
    plan = read_plan(a_document())
    return Registry(plan=plan, listening=(), outer={}, report=reporter(io.StringIO()), descendants=Descendants())


def asked(folder: Path, request: object, *, uids: frozenset[int] | None = None) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        control = Control(nobody(), uids=uids)
        await control.open(folder / "s")
        try:
            return await asyncio.to_thread(tell, folder / "s", request)
        finally:
            await control.close()

    return asyncio.run(run())


def test_what_a_killed_supervisor_left_is_taken_over(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short / "s"))

    assert asked(short, {"do": "list"}) == {"ok": True, "apps": []}


def test_a_supervisor_that_answers_is_not_pushed_aside(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(short / "s"))
        other.listen()
        with pytest.raises(ControlError, match="another process answers there"):
            asked(short, {"do": "list"})
        assert (short / "s").exists()


def test_a_file_in_its_place_is_left_alone(short: Path) -> None:
    (short / "s").write_text("kept")
    with pytest.raises(ControlError, match="not a socket"):
        asked(short, {"do": "list"})
    assert (short / "s").read_text() == "kept"


@pytest.mark.usefixtures("processes")
def test_apps_are_kept_without_a_way_to_ask_about_them(tmp_path: Path) -> None:
    with supervised(a_document(an_app(tmp_path), control=str(tmp_path / "nowhere" / "s"))) as supervisor:
        assert "No such file" in supervisor.event("control-failed")["problem"]
        supervisor.event("app-ready")


def test_a_data_folder_may_have_a_long_name(short: Path) -> None:
    folder = short / ("x" * 120) / ("y" * 120)
    folder.mkdir(parents=True)

    async def run() -> int:
        control = Control(nobody())
        await control.open(folder / "supervisor.sock")
        mode = stat.S_IMODE((folder / "supervisor.sock").stat().st_mode)
        await control.close()
        return mode

    assert asyncio.run(run()) == 0o600
    assert list(folder.iterdir()) == []
