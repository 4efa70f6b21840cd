"""What an app may use: time to come up, and memory."""

import json
from pathlib import Path

import pytest

from gradio_apps.runtime.supervisor.history import KEPT, remember_start, usual_start
from gradio_apps.runtime.supervisor.memory import exceeds, used_by
from gradio_apps.runtime.supervisor.processes import Process
from gradio_apps.runtime.supervisor.reasons import reason_of, size
from tests.gradio_apps.supervisor.supervising import a_document, an_app, is_alive, supervised


@pytest.mark.usefixtures("processes")
def test_an_app_over_its_memory_is_ended_with_everything_it_started_and_says_why(tmp_path: Path) -> None:
    document = a_document(
        an_app(tmp_path, mode="greedy", memory=100_000_000), an_app(tmp_path, "other", memory=100_000_000)
    )
    with supervised(document) as supervisor:
        pid = supervisor.event("app-started", app="forecast")["pid"]
        over = supervisor.event("app-over-memory")
        crash = supervisor.event("app-crashed")
    assert (over["app"], over["pid"], over["limit"]) == ("forecast", pid, 100_000_000)
    assert over["used"] > 100_000_000
    assert crash["reason"].endswith("more than its limit of 100 MB.")
    log = Path(an_app(tmp_path)["log"]).read_text()
    assert f"portal: ERROR: The supervisor ended the app. {crash['reason']}" in log
    assert not is_alive(pid)
    assert not [line for line in supervisor.lines if '"app": "other"' in line and "crashed" in line]


@pytest.mark.usefixtures("processes")
def test_an_app_too_stuck_to_say_that_it_is_late_is_ended(tmp_path: Path) -> None:
    with supervised(a_document(an_app(tmp_path, mode="mute", start_timeout=1))) as supervisor:
        crash = supervisor.event("app-crashed")

    assert (crash["code"], crash["reason"]) == (-9, "It did not come up within 1 s.")


@pytest.mark.usefixtures("processes")
def test_an_app_that_came_up_is_remembered_for_how_long_it_took(tmp_path: Path) -> None:
    history = tmp_path / "starts" / "forecast.json"
    with supervised(a_document(an_app(tmp_path, history=str(history)))) as supervisor:
        supervisor.event("app-ready")
    [took] = json.loads(history.read_text())

    assert 0 <= took < 60
    assert history.stat().st_mode & 0o777 == 0o600


def test_the_usual_start_is_the_middle_of_the_last_ones(tmp_path: Path) -> None:
    file = tmp_path / "starts.json"
    assert usual_start(file) is None
    for seconds in (500, 3, 1, 2, 90, 4):
        remember_start(file, seconds)

    assert usual_start(file) == 4 - 1
    assert len(json.loads(file.read_text())) == KEPT


@pytest.mark.parametrize("text", ["", "{}", "[true]", '["1"]', "[-1]", "[NaN]", "[Infinity]", "x", "[[]]"])
def test_what_is_no_history_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "starts.json").write_text(text)

    assert usual_start(tmp_path / "starts.json") is None


def test_a_history_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    remember_start(tmp_path / "file" / "starts.json", 1)

    assert usual_start(tmp_path / "file" / "starts.json") is None


def test_nobody_uses_nothing() -> None:
    gone = Process(pid=2**22 + 1, parent=1, session=1, begun=0)  # larger than any process id
    assert used_by([]) is None
    assert used_by([gone]) == 0
    assert exceeds([], 0) is None
    assert exceeds([gone], 0) is None


NOT_RUN = "Its interpreter is missing, or its user may not run it. See its log."


@pytest.mark.parametrize(
    ("code", "problem", "last", "text"),
    [
        (None, "Permission denied", "", "It could not be started: Permission denied."),
        (None, None, "", "It could not be started: unknown reason."),
        (70, None, "portal: ERROR: The module 'x' is missing.", "The module 'x' is missing."),
        (70, None, "KeyError: 'x'", "It did not come up. See its log."),
        (2, None, "portal: x has no joserfc.", "x has no joserfc."),
        (2, None, "usage", "It ended by itself, with exit code 2."),
        (127, None, "sh: 1: exec: /venv/python: not found", NOT_RUN),
        (126, None, "sh: line 1: exec: /venv/python: cannot execute: Permission denied", NOT_RUN),
        (127, None, "the model is not there", "It ended by itself, with exit code 127."),
        (1, None, "sh: 1: exec: /venv/python: not found", "It ended by itself, with exit code 1."),
        (0, None, "portal: ERROR: x", "It ended by itself, with exit code 0."),
        (-9, None, "", "It was ended by the signal SIGKILL."),
        (-99, None, "", "It was ended by the signal 99."),
    ],
)
def test_an_end_has_a_reason(code: int | None, problem: str | None, last: str, text: str) -> None:
    assert reason_of(code, problem=problem, last=last) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (2_000_000_000, "2 GB"), (1_234_567, "1.23 MB"), (5 * 10**15, "5e+03 TB")],
)
def test_sizes_are_said_as_people_say_them(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.usefixtures("processes")
def test_an_interpreter_that_is_gone_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    python = str(tmp_path / "environments" / "forecast" / "bin" / "python")
    with supervised(a_document(an_app(tmp_path, python=python))) as supervisor:
        crash = supervisor.event("app-crashed")

    assert crash["reason"] == (
        f"It could not be started: {python} does not exist; create it with `portal apps install forecast`."
    )
