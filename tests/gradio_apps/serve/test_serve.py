"""``python -m gradio_apps.serve``: one app in its process, under the supervisor and on its own."""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.host.process import GRACE
from gradio_apps.runtime.supervisor.process_handle import OVERTIME
from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD
from gradio_apps.serve import EXIT_USAGE, failure_pause, inherited_socket, is_worth_a_line, scrub
from tests.gradio_apps.serve.portal import ANA, SLUG, URL, a_portal, entered
from tests.gradio_apps.supervisor.supervising import an_app, has_ipv6, is_alive, reporting_to
from tests.processes import PATIENCE

SAMPLES = Path(__file__).parents[2] / "samples"
SECRET = "an-app-secret-of-32-characters-ok"
A_PROXY = dict.fromkeys(["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"], "http://127.0.0.1:9") | {
    "NO_PROXY": "",
    "no_proxy": "",
}
"""One that nobody listens at, and nothing excepted: whatever goes through it fails."""


def environment(**changes: str) -> dict[str, str]:
    return {
        **os.environ,
        "PORTAL_URL": URL,
        "PORTAL_APP": SLUG,
        "PORTAL_APP_URL": "http://forecast.demo.localhost:7871",
        "PORTAL_APP_SECRET": SECRET,
        **changes,
    }


def wait_for(client: httpx.Client, state: str) -> None:
    until = time.monotonic() + PATIENCE
    while client.get("/.portal/health").json() != {"state": state}:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.usefixtures("processes")
def test_a_person_comes_in_with_a_ticket_and_the_end_leaves_nothing(tmp_path: Path) -> None:
    """
    Supervisor, serve, guard, host and Gradio together, as they run in a portal on a machine with a proxy.
    """
    env = {"GRADIO_SHARE": "True", **A_PROXY}
    app = an_app(tmp_path, source=str(SAMPLES / "interface.py"), secret=SECRET, env=env)
    host = "forecast.demo.localhost:7871"
    with a_portal() as portal:
        document = json.dumps({"portal": {"url": URL, "internal_url": portal}, "apps": [app], "grace": 1})
        with reporting_to(tmp_path / "events", document):
            port = wait_for_event(tmp_path / "events", "app-started")["port"]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"host": host}, timeout=PATIENCE) as client:
                # The guard answers while the author's code loads; nobody gets in meanwhile.
                assert client.get("/.portal/health").json()["state"] in {"starting", "running"}
                assert client.get("/config").status_code == 401
                wait_for(client, "running")
                wait_for_event(tmp_path / "events", "app-ready")
                assert client.get("/config").status_code == 401

                _, own = entered(client)

                config = client.get("/config", headers=own).json()
                assert (ANA.username, f"http://{host}") == (config["username"], config["root"])
                assert [f"hello {ANA.username} {ANA.name}"] == answer(client, own, "greet", "hello")
                [surroundings] = answer(client, own, "surroundings")
                assert surroundings["secrets"] == []
    lines = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["app-started", "app-ready", "stopped"]
    assert not is_alive(lines[0]["pid"])
    log = Path(app["log"]).read_text()
    assert "launch() returned and the folder is tidied up" in log
    assert "CancelledError" not in log
    assert SECRET not in log


def wait_for_event(events: Path, name: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        lines = [line for line in events.read_text().splitlines(keepends=True) if line.endswith("\n")]
        for event in map(json.loads, lines):
            if event["event"] == name:
                message: dict[str, Any] = event
                return message
        assert time.monotonic() < until, lines
        time.sleep(0.05)


def answer(client: httpx.Client, headers: dict[str, str], api: str, *data: object) -> list[Any]:
    asked = client.post(f"/gradio_api/call/{api}", json={"data": data}, headers=headers)
    assert asked.status_code == 200, asked.text
    lines = client.get(f"/gradio_api/call/{api}/{asked.json()['event_id']}", headers=headers).text.splitlines()
    message: list[Any] = json.loads(lines[lines.index("event: complete") + 1].removeprefix("data: "))
    return message


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("source", "changes", "problem"),
    [
        ("nowhere.py", {}, "nowhere.py: no such file or folder"),
        ("crashing.py", {"PORTAL_URL": "http://portal.example.com", "PORTAL_APP": ""}, "PORTAL_APP: "),
    ],
)
def test_what_cannot_be_served_is_said_without_a_traceback(source: str, changes: dict[str, str], problem: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gradio_apps.serve", source],
        cwd=SAMPLES,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == EXIT_USAGE
    assert problem in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_port_is_named(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "gradio_apps.serve", "crashing.py", "--host", host, "--port", str(port)],
            cwd=SAMPLES,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == EXIT_USAGE
    assert f"{host}:{port}: " in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("code", "changes", "message"),
    [
        ("import time\ntime.sleep(600)", {"PORTAL_START_TIMEOUT": "1"}, "The app did not come up within 1 s."),
        ("import no_such_module", {}, "The module 'no_such_module' is not installed where the app runs."),
        ("raise ValueError('a-secret')", {}, "The app's code ended in an error (ValueError)."),
    ],
)
def test_the_last_word_of_a_start_that_failed_is_its_reason(
    tmp_path: Path, code: str, changes: dict[str, str], message: str
) -> None:
    (tmp_path / "app.py").write_text(code)
    ended = subprocess.run(
        [sys.executable, "-m", "gradio_apps.serve", str(tmp_path / "app.py"), "--port", "0"],
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert ended.returncode == FAILED_TO_LOAD
    assert ended.stderr.splitlines()[-1] == f"portal: ERROR: {message}"
    assert "most recent call" in ended.stderr  # where it stood


@pytest.mark.usefixtures("processes")
def test_a_page_shows_the_start_and_then_why_it_failed(tmp_path: Path) -> None:
    """Supervisor, serve and guard together, with an app that takes its time and comes to nothing."""
    key = "sk-of-the-model-0123456789"
    (tmp_path / "app.py").write_text(
        "import os, time\nprint('fetching with', os.environ['MODEL_KEY'], flush=True)\n"
        "while not os.path.exists('go'): time.sleep(0.1)\nraise OSError('no such model')\n"
    )
    (tmp_path / "starts.json").write_text("[5, 7, 6]")
    app = an_app(
        tmp_path,
        source=str(tmp_path / "app.py"),
        secret=SECRET,
        env={"MODEL_KEY": key},
        secret_names=["MODEL_KEY"],
        history=str(tmp_path / "starts.json"),
    )
    with a_portal() as portal:
        document = json.dumps({"portal": {"url": URL, "internal_url": portal}, "apps": [app], "grace": 1})
        with reporting_to(tmp_path / "events", document):
            port = wait_for_event(tmp_path / "events", "app-started")["port"]
            page = {"host": "forecast.demo.localhost:7871", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=page, timeout=PATIENCE) as client:
                _, own = entered(client)
                shown = ""
                while "fetching" not in shown and "did not start" not in shown:
                    shown = client.get("/", headers=own).text
                    time.sleep(0.05)
                assert '<code id="line">fetching with ********</code>' in shown
                assert "usually ready after 6 s)" in shown
                assert "Loading the app (" in shown
                (tmp_path / "go").touch()
                failed = wait_for_event(tmp_path / "events", "app-failed")
                assert failed["app"] == SLUG
                crashed = wait_for_event(tmp_path / "events", "app-crashed")
    assert crashed["reason"] == "The app's code ended in an error (OSError)."
    assert key not in shown


class TestInheritedSocket:
    @pytest.mark.parametrize(
        "environ",
        [
            {},
            {"LISTEN_FDS": "1"},
            {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
            {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
            {"LISTEN_FDS": "", "LISTEN_PID": str(os.getpid())},
        ],
    )
    def test_a_socket_for_somebody_else_is_left_alone(self, environ: dict[str, str]) -> None:
        assert inherited_socket(environ) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [("", 0), ("4", 4), ("60", 60), ("9999", 60), ("-1", 0), ("four", 0), ("²", 0)]
)
def test_the_pause_after_a_failure_is_bounded(value: str, seconds: int) -> None:
    assert seconds == failure_pause({"PORTAL_FAILURE_PAUSE": value})


def test_the_authors_code_sees_no_secret_and_no_switch_of_the_portals() -> None:
    environ = {
        "PORTAL_APP_SECRET": "x",
        "PORTAL_APP_SECRET_FD": "4",
        "LISTEN_FDS": "1",
        "GRADIO_SHARE": "True",
        "A": "b",
    }
    scrub(environ)

    assert environ == {"A": "b", "GRADIO_ANALYTICS_ENABLED": "False"}


def test_a_process_may_take_as_long_to_end_as_the_supervisor_waits() -> None:
    assert GRACE + OVERTIME <= 3


@pytest.mark.parametrize(
    ("message", "logged"),
    [("ASGI callable returned without completing response.", False), ("Exception in ASGI application", True)],
)
def test_an_answer_that_was_broken_off_is_no_error_in_the_log(message: str, *, logged: bool) -> None:
    record = logging.LogRecord("uvicorn.error", logging.ERROR, __file__, 1, message, None, None)

    assert is_worth_a_line(record) is logged
