"""Replacing a process: on the same socket, without a gap, and keeping the old one if the new one fails."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.supervisor.process_manager import LET_GO
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

pytestmark = pytest.mark.usefixtures("processes")


def came_up(pid: int) -> Callable[[dict[str, Any]], bool]:
    """Whether another process than *pid* runs, and nothing else comes up or leaves."""
    return lambda app: bool(
        app["state"] == "running" and app["pid"] != pid and not app["replacing"] and not app["leaving"]
    )


def test_a_restart_under_load_fails_no_request(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path), control=str(control))) as supervisor:
        supervisor.event("app-ready")
        port = the_app(control, is_state("running"))["port"]
        stop, seen = threading.Event(), Counter[int]()

        def load() -> Counter[int]:
            counted = Counter[int]()
            while not stop.is_set():
                counted[ask(port)["pid"]] += 1
            return counted

        with ThreadPoolExecutor(4) as threads:
            loads = [threads.submit(load) for _ in range(4)]
            try:
                pids = [the_app(control, is_state("running"))["pid"]]
                for _ in range(3):
                    tell(control, {"do": "restart", "app": "forecast"})
                    pids.append(the_app(control, came_up(pids[-1]))["pid"])
            finally:
                stop.set()
            for one in loads:
                seen.update(one.result())  # a request that failed would raise here
        app = the_app(control, is_state("running"))

    assert set(seen) <= set(pids)
    assert len(set(pids)) == 4
    assert (app["restarts"], app["failed_replacements"], app["problem"]) == (3, 0, None)
    replaced = supervisor.event("app-replaced")
    assert (replaced["before"], replaced["pid"]) == (pids[0], pids[1])
    assert "app-crashed" not in "".join(supervisor.lines)


def test_what_runs_in_the_old_process_is_finished_there(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path), control=str(control))) as supervisor, ThreadPoolExecutor(1) as threads:
        supervisor.event("app-ready")
        old = the_app(control, is_state("running"))
        slow = threads.submit(httpx.get, f"http://127.0.0.1:{old['port']}/wait/3", timeout=PATIENCE)
        the_app(control, lambda app: app["open"] == {"request": 1})
        tell(control, {"do": "restart", "app": "forecast"})
        both = the_app(control, lambda app: bool(app["leaving"]))
        meanwhile = ask(old["port"])
        answered = slow.result().json()
        left = supervisor.event("app-left")
        later = ask(old["port"])

    assert both["pid"] != old["pid"]
    assert meanwhile["pid"] == both["pid"]
    assert answered["pid"] == old["pid"] == left["pid"]
    assert left["problem"] is None
    # The new one knows which Gradio sessions wait for answers of the old one, and when they do no more.
    assert '{"do": "elsewhere", "sessions": ["a-gradio-session"]}' in meanwhile["heard"]
    assert later["heard"][-1] == '{"do": "elsewhere", "sessions": []}'


@pytest.mark.parametrize(
    ("successor", "problem"),
    [
        ("failed", "The module 'torch' is not installed where the app runs."),
        ("crash", "It ended by itself, with exit code 7."),
        ("mute", "It did not come up within 1 s."),
    ],
)
def test_a_new_process_that_is_no_good_leaves_the_old_one_in_its_place(
    tmp_path: Path, control: Path, successor: str, problem: str
) -> None:
    app = an_app(tmp_path, mode=f"serve,{successor},serve", start_timeout=1)
    with supervised(a_document(app, control=str(control))) as supervisor:
        supervisor.event("app-ready")
        old = the_app(control, is_state("running"))
        tell(control, {"do": "restart", "app": "forecast"})
        refused = supervisor.event("app-not-replaced")
        still = the_app(control, lambda app: bool(app["failed_replacements"]))
        answered = ask(old["port"])
        tell(control, {"do": "restart", "app": "forecast"})
        fixed = the_app(control, came_up(old["pid"]))

    assert refused["reason"] == still["problem"] == problem
    assert (still["state"], still["pid"], answered["pid"]) == ("running", old["pid"], old["pid"])
    assert (fixed["failed_replacements"], fixed["problem"]) == (1, None)


def test_an_old_process_that_does_not_let_go_is_ended(tmp_path: Path, control: Path) -> None:
    assert LET_GO <= 10
    with supervised(a_document(an_app(tmp_path, mode="clinging,serve"), control=str(control))) as supervisor:
        supervisor.event("app-ready")
        old = the_app(control, is_state("running"))
        tell(control, {"do": "restart", "app": "forecast"})
        left = supervisor.event("app-left")
        new = the_app(control, came_up(old["pid"]))
        assert ask(new["port"])["pid"] == new["pid"]

    assert left["problem"] == "It was replaced, and did not stop accepting connections."
    assert not is_alive(old["pid"])


def test_a_process_that_leaves_too_slowly_is_ended_after_its_time(tmp_path: Path, control: Path) -> None:
    app = an_app(tmp_path, drain_timeout=1)
    with supervised(a_document(app, control=str(control))) as supervisor, ThreadPoolExecutor(1) as threads:
        supervisor.event("app-ready")
        old = the_app(control, is_state("running"))
        slow = threads.submit(httpx.get, f"http://127.0.0.1:{old['port']}/wait/600", timeout=PATIENCE)
        the_app(control, lambda app: app["open"] == {"request": 1})
        tell(control, {"do": "restart", "app": "forecast"})
        left = supervisor.event("app-left")
        assert isinstance(slow.exception(PATIENCE), httpx.TransportError)

    assert left["pid"] == old["pid"]


def test_if_the_old_one_ends_meanwhile_the_new_one_answers_as_soon_as_it_can(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="once,mute"), control=str(control))) as supervisor:
        supervisor.event("app-ready")
        old = the_app(control, is_state("running"))
        tell(control, {"do": "restart", "app": "forecast"})
        the_app(control, lambda app: bool(app["replacing"]))
        ask(old["port"])
        crash = supervisor.event("app-crashed")
        starting = the_app(control, is_state("starting"))

    assert crash["code"] == 9
    assert starting["pid"] not in {None, old["pid"]}
    assert not starting["replacing"]


def test_an_order_meanwhile_wins(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="serve,mute"), control=str(control))) as supervisor:
        supervisor.event("app-ready")
        tell(control, {"do": "restart", "app": "forecast"})
        pids = [supervisor.event("app-started")["pid"]]
        tell(control, {"do": "stop", "app": "forecast"})
        stopped = the_app(control, is_state("stopped"))

    assert (stopped["failed_replacements"], stopped["replacing"]) == (0, False)
    assert not any(is_alive(pid) for pid in pids)


def test_without_delay_when_asked(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path), control=str(control))) as supervisor, ThreadPoolExecutor(1) as threads:
        supervisor.event("app-ready")
        old = the_app(control, is_state("running"))
        slow = threads.submit(httpx.get, f"http://127.0.0.1:{old['port']}/wait/600", timeout=PATIENCE)
        the_app(control, lambda app: app["open"] == {"request": 1})
        tell(control, {"do": "restart-now", "app": "forecast"})
        the_app(control, came_up(old["pid"]))
        assert isinstance(slow.exception(PATIENCE), httpx.TransportError)

    assert "app-replaced" not in "".join(supervisor.lines)


def test_connections_wait_for_an_app_that_comes_back_after_a_crash(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="once,serve"), control=str(control))) as supervisor:
        port = supervisor.event("app-started")["port"]
        ask(port)
        began = time.monotonic()
        assert ask(port)["heard"][0] == '{"do": "accept"}'
        assert time.monotonic() - began < PATIENCE


def test_the_end_of_a_session_reaches_the_other_process_and_nonsense_nobody(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="chatty"), control=str(control))) as supervisor:
        supervisor.event("app-ready")
        old = the_app(control, is_state("running"))
        tell(control, {"do": "restart", "app": "forecast"})
        supervisor.event("app-left")  # its last words are heard, although it ends at once
        heard = ask(old["port"])["heard"]

    assert '{"do": "end", "session": "an-app-session"}' in heard
    assert not any('"session": ""' in line or '"session": 1' in line for line in heard)
