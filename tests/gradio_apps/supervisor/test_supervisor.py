"""The supervisor, run for real: sockets, crashes, ends, and what each app gets to see."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gradio_apps.supervisor.supervising import a_document, an_app, ask, is_alive, supervised
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("processes")


def test_each_app_sees_its_own_and_nothing_of_the_portal(tmp_path: Path) -> None:
    document = a_document(an_app(tmp_path), an_app(tmp_path, "other", cwd=str(tmp_path)))
    with supervised(document, {"PORTAL_SECRET_KEY": "the-portals-key", "LC_TEST": "C"}) as supervisor:
        ports = {app: supervisor.event("app-started", app=app)["port"] for app in ("forecast", "other")}
        seen = ask(ports["forecast"])
        other = ask(ports["other"])

    environment = seen["environment"]
    assert seen["secret"] == "the-secret-of-forecast"
    assert environment["OWN_KEY"] == "own-key-of-forecast"
    assert other["environment"]["OWN_KEY"] == "own-key-of-other"
    assert str(tmp_path) == other["cwd"]
    assert environment["LC_TEST"] == "C"
    assert {
        "PORTAL_URL": "https://portal.example.com",
        "PORTAL_INTERNAL_URL": "http://127.0.0.1:7800",
        "PORTAL_APP": "forecast",
        "PORTAL_APP_URL": "http://forecast.demo.localhost:7871",
        "PORTAL_APP_TITLE": "Forecast",
        "PORTAL_APP_COOKIES": "lax",
        "PORTAL_APP_SHARED_FILES": "false",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(tmp_path / "temp" / "forecast"),
    }.items() <= environment.items()
    everything = str(environment) + (tmp_path / "logs" / "forecast.log").read_text() + "".join(supervisor.lines)
    for secret in ("the-portals-key", "the-secret-of-", "own-key-of-other"):
        assert secret not in everything
    assert (tmp_path / "logs" / "forecast.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "temp" / "forecast").stat().st_mode & 0o777 == 0o700


def test_a_crashing_app_is_started_again_after_growing_pauses(tmp_path: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="crash"))) as supervisor:
        crashes = [supervisor.event("app-crashed", app="forecast") for _ in range(3)]

    assert [(crash["code"], crash["pause"]) for crash in crashes] == [(7, 1), (7, 2), (7, 4)]


def test_a_connection_waits_in_the_backlog_across_a_crash(tmp_path: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="once"))) as supervisor:
        port = supervisor.event("app-started")["port"]
        first = ask(port)
        second = ask(port)  # nobody is there to take it until the next process is
        assert supervisor.event("app-crashed")["code"] == 9

    assert first["pid"] != second["pid"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_takes_every_process_along(tmp_path: Path, number: signal.Signals) -> None:
    document = a_document(an_app(tmp_path), an_app(tmp_path, "deaf", mode="deaf"))
    with supervised(document) as supervisor:
        pids = [supervisor.event("app-started")["pid"] for _ in range(2)]
        supervisor.event("app-ready")
        supervisor.event("app-ready")
        assert supervisor.end(number) == 0
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_apps_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="deaf"))) as supervisor:
        pid = supervisor.event("app-started")["pid"]
        supervisor.event("app-ready")
        supervisor.end(signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while is_alive(pid) and time.monotonic() < until:
            time.sleep(0.05)
    assert not is_alive(pid)


def test_the_supervisor_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "log = open(sys.argv[2], 'w')\n"
        "command = [sys.executable, '-m', 'gradio_apps.runtime.supervisor']\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)\n"
        "child.stdin.write(sys.argv[1].encode()); child.stdin.close()\n"
        "while not os.path.getsize(sys.argv[2]): time.sleep(0.05)\n"  # from its first event on it knows its parent
        "print(child.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, a_document(an_app(tmp_path)), str(tmp_path / "events")]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter.stdout:
        pid = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    until = time.monotonic() + PATIENCE
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with supervised(a_document(an_app(tmp_path, "free"), an_app(tmp_path, port=port))) as supervisor:
            event = supervisor.event("port-taken")
            assert supervisor.process.wait(PATIENCE) == 3

    assert ("forecast", "127.0.0.1", port) == (event["app"], event["host"], event["port"])


def test_a_document_that_says_nothing_is_refused() -> None:
    with supervised("{}") as supervisor:
        assert "portal" in supervisor.event("refused")["problem"]
        assert supervisor.process.wait(PATIENCE) == 2


def test_an_app_that_failed_to_load_is_reported(tmp_path: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="failed"))) as supervisor:
        assert str(tmp_path / "logs" / "forecast.log") == supervisor.event("app-failed")["log"]


def test_an_app_that_cannot_be_started_does_not_take_the_others_down(tmp_path: Path) -> None:
    document = a_document(an_app(tmp_path, "lost", cwd=str(tmp_path / "nowhere")), an_app(tmp_path))
    with supervised(document) as supervisor:
        crash = supervisor.event("app-crashed", app="lost")
        supervisor.event("app-ready", app="forecast")

    assert (None, os.strerror(2)) == (crash["code"], crash["problem"])
