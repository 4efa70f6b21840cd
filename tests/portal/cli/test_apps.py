"""``portal apps``, asked of a real supervisor over services that start in a moment."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.cli import main
from portal.machine.app_logs import following, last_lines
from tests.gradio_apps.supervisor.supervising import Supervised, a_document, an_app, supervised
from tests.processes import PATIENCE

PORTAL_TOML = """
[portal]
url = "https://portal.example.com"
apps_url = "https://{app}.apps.example.com"
trust_apps = true
[[providers]]
id = "company"
issuer = "https://id.example.com"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.forecast]
source = "app.py"
secrets = ["MODEL_KEY"]
[apps.late]
source = "app.py"
[apps.far]
url = "https://far.example.com"
"""
MODEL_KEY = "sk-of-the-model-0123456789"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configured folder, as ``portal serve`` is started in."""
    for name in [name for name in os.environ if name.startswith("PORTAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTAL_SECRET_KEY", "zB1-kept-from-everybody-0123456789abcdefgh")
    monkeypatch.setenv("COMPANY_CLIENT_SECRET", "client-secret-of-ours")
    monkeypatch.setenv("MODEL_KEY", MODEL_KEY)
    (tmp_path / "portal.toml").write_text(PORTAL_TOML)
    (tmp_path / "app.py").touch()
    (tmp_path / ".portal").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def supervisor(folder: Path, processes: None) -> Iterator[Supervised]:
    """A supervisor of one of the two apps, running."""
    data = folder / ".portal"
    app = an_app(data, memory=2_000_000_000, history=str(data / "starts" / "forecast.json"))
    with supervised(a_document(app, control=str(data / "supervisor.sock"))) as running:
        running.event("app-ready")
        yield running


def list_apps(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["apps", "list", "--json"]) == 0
    apps: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return apps


@pytest.mark.usefixtures("supervisor")
def test_the_list_has_a_line_for_every_app(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "list"]) == 0
    heading, forecast, late, far = capsys.readouterr().out.splitlines()

    assert heading.split()[:4] == ["APP", "STATE", "SINCE", "PID"]
    assert forecast.split()[:2] == ["forecast", "running"]
    assert "started" in forecast
    assert late.split()[:2] == ["late", "unknown"]
    assert far.split()[:2] == ["far", "elsewhere"]
    assert far.endswith("https://far.example.com")


@pytest.mark.usefixtures("supervisor")
def test_the_status_of_one_app_says_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "status", "forecast"]) == 0
    output = capsys.readouterr().out

    assert output.startswith("forecast (Forecast)\n  state        running since ")
    assert " of 2.0 GB\n" in output
    assert "  starting     usually 0 s, at most 10 min 0 s\n" in output
    assert f"  log          {folder / '.portal' / 'logs' / 'forecast.log'}\n" in output
    assert main(["apps", "status", "far"]) == 0
    assert capsys.readouterr().out == "far runs elsewhere: https://far.example.com\n"
    assert main(["apps", "status", "--json"]) == 0
    assert [one["app"] for one in json.loads(capsys.readouterr().out)] == ["forecast"]


@pytest.mark.usefixtures("supervisor")
def test_an_app_is_stopped_started_and_restarted(capsys: pytest.CaptureFixture[str]) -> None:
    [before] = list_apps(capsys)
    assert main(["apps", "stop", "forecast"]) == 0
    assert capsys.readouterr().out.startswith("forecast: stopped since ")
    assert main(["apps", "stop", "forecast"]) == 0
    assert main(["apps", "start", "forecast"]) == 0
    assert main(["apps", "start", "forecast"]) == 0
    assert main(["apps", "restart", "forecast"]) == 0
    [after] = list_apps(capsys)

    assert (before["restarts"], after["restarts"]) == (0, 2)


@pytest.mark.usefixtures("processes")
def test_a_restart_waits_for_the_new_process_and_one_that_is_no_good_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder / ".portal"
    app = an_app(data, mode="serve,serve,failed,serve")
    with supervised(a_document(app, control=str(data / "supervisor.sock"))) as supervisor:
        supervisor.event("app-ready")
        pids = [list_apps(capsys)[0]["pid"]]
        assert main(["apps", "restart", "forecast"]) == 0
        output = capsys.readouterr().out
        pids.append(list_apps(capsys)[0]["pid"])
        assert main(["apps", "restart", "forecast"]) == 1
        refused = capsys.readouterr().err
        pids.append(list_apps(capsys)[0]["pid"])
        assert main(["apps", "status", "forecast"]) == 0
        status = capsys.readouterr().out
        assert main(["apps", "restart", "forecast", "--now"]) == 0
        pids.append(list_apps(capsys)[0]["pid"])

    assert output.startswith(
        "forecast: a new process starts; the old one answers meanwhile.\nforecast: running since 0 s"
    )
    assert "forecast was not replaced: The module 'torch' is not installed" in refused
    assert "The old process goes on." in refused
    assert "  not replaced The module 'torch'" in status
    assert pids[0] != pids[1] == pids[2] != pids[3]


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        (["restart", "forcast"], 2, "There is no app called 'forcast'. There are: forecast, late, far."),
        (["stop", "far"], 2, "far runs elsewhere (https://far.example.com)"),
        (["logs", "far"], 2, "far runs elsewhere"),
        (["logs", "forecast"], 1, "No such file"),
        (["secret", "nobody"], 2, "There is no app called 'nobody'"),
        (["list"], 1, "No supervisor answers at "),
        (["stop", "forecast"], 1, "No supervisor answers at "),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, output: str
) -> None:
    assert main(["apps", *arguments]) == code
    assert output in capsys.readouterr().err


@pytest.mark.usefixtures("supervisor")
def test_an_app_that_the_supervisor_does_not_know_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "restart", "late"]) == 1
    assert "started before this app was configured" in capsys.readouterr().err


def test_without_apps_of_its_own_there_is_nobody_to_ask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "portal.toml").write_text(PORTAL_TOML.replace('source = "app.py"', 'url = "https://x.example.com"', 1))
    text = (folder / "portal.toml").read_text().replace('secrets = ["MODEL_KEY"]\n', "")
    (folder / "portal.toml").write_text(text.replace('source = "app.py"', 'url = "https://y.example.com"'))
    assert main(["apps", "list"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]] == ["elsewhere"] * 3


@pytest.mark.parametrize("words", [["list"], ["status", "forecast"], ["logs", "forecast"], ["restart", "forecast"]])
def test_of_apps_that_systemd_keeps_its_own_commands_are_reported(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    units = PORTAL_TOML.replace("trust_apps = true", 'apps_run_by = "systemd"')
    (folder / "portal.toml").write_text(units)

    assert main(["apps", *words]) == 1
    assert "journalctl -u gradio-app-NAME" in capsys.readouterr().err


def test_a_log_is_shown_without_the_apps_secrets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".portal" / "logs").mkdir()
    log = folder / ".portal" / "logs" / "forecast.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)) + f"calling with {MODEL_KEY} now\n")
    assert main(["apps", "logs", "forecast", "-n", "2"]) == 0
    assert capsys.readouterr().out == "line 99\ncalling with ******** now\n"
    assert main(["apps", "logs", "forecast"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 50
    assert main(["apps", "logs", "forecast", "-n", "0"]) == 0
    assert capsys.readouterr().out == ""


def test_a_log_does_not_control_the_terminal_it_is_read_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".portal" / "logs").mkdir()
    log = folder / ".portal" / "logs" / "forecast.log"
    log.write_bytes(b"\x1b]52;c;cm0=\x07all\twell \xc3\xbc\n")
    assert main(["apps", "logs", "forecast"]) == 0
    assert capsys.readouterr().out == "\\x1b]52;c;cm0=\\x07all\twell ü\n"


def test_a_log_is_not_shown_where_what_to_hide_is_not_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PORTAL_TOML.replace('secrets = ["MODEL_KEY"]', 'env_file = "forecast.env"')
    (folder / "portal.toml").write_text(text)
    (folder / ".portal" / "logs").mkdir()
    (folder / ".portal" / "logs" / "forecast.log").write_text(f"calling with {MODEL_KEY} now\n")
    (folder / "forecast.env").write_text(f"KEY={MODEL_KEY}\n")
    assert main(["apps", "logs", "forecast"]) == 0
    assert capsys.readouterr().out == "calling with ******** now\n"
    (folder / "forecast.env").write_text("no variable")
    assert main(["apps", "logs", "forecast"]) == 1
    output = capsys.readouterr()
    assert (output.out, "whose values the log must not show" in output.err) == ("", True)


def test_more_lines_than_a_block_holds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 200_000 + "\nlast\n")

    lines, end = last_lines(log, 2)
    assert [len(line) for line in lines] == [200_000, 4]
    assert end == log.stat().st_size


def test_a_log_is_followed_across_being_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old and longer than what follows\n")
    stop = threading.Event()
    lines: list[str] = []

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(lines) < count and time.monotonic() < deadline:
            time.sleep(0.02)

    def follow_each() -> None:
        for line in following(log, 33, until=stop.is_set):
            lines.append(line)  # noqa: PERF402 - one after the other: somebody looks meanwhile

    thread = threading.Thread(target=follow_each)
    thread.start()
    try:
        with log.open("a") as file:
            file.write("one\ntw")
        wait_for(1)
        with log.open("a") as file:
            file.write("o\n")
        wait_for(2)
        os.truncate(log, 0)
        time.sleep(0.5)  # it looks five times a second
        with log.open("a") as file:
            file.write("new\n")
        wait_for(3)
    finally:
        stop.set()
        thread.join()
    assert lines == ["one", "two", "new"]


@pytest.mark.usefixtures("folder")
def test_a_client_secret_is_made_once_and_renewed_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    def secret(*more: str) -> str:
        assert main(["apps", "secret", "far", *more]) == 0
        return capsys.readouterr().out

    first = secret()
    assert len(first.strip()) >= 43
    assert secret() == first
    assert main(["apps", "secret", "far", "--rotate"]) == 0
    renewed = capsys.readouterr()
    assert renewed.out != first
    assert "the old secret of far does not work any more. Start the app again with the new one." in renewed.err
    assert secret() == renewed.out


def test_a_database_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTAL_DATABASE_URL", f"sqlite:///{folder}/portal.toml")
    assert main(["apps", "secret", "far"]) == 1
    assert "The database cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["-1", "x", "²"])
def test_a_number_of_lines_is_no_less_than_none(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "logs", "forecast", "-n", count]) == 2
    assert (
        f"Invalid value for '-n' / '--lines': {count!r} is not a number of lines from 0 to 1000000"
        in capsys.readouterr().err
    )
