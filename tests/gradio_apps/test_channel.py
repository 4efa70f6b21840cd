"""What a supervisor and a process say to each other: whatever the author's code sends, it is read or passed over."""

import json
from typing import Any

import pytest

from gradio_apps.runtime.channel import (
    MAX_SESSIONS,
    Accept,
    Command,
    Draining,
    EndSession,
    Leave,
    SessionEnded,
    Status,
    read_command,
    read_status,
)

GOOD: dict[str, Any] = {"state": "running", "accepting": True, "problem": "", "open": {"page": 1}, "listening": ["h"]}


@pytest.mark.parametrize(
    "message",
    [
        Status(),
        Status(state="failed", problem="The module 'x' is missing."),
        Status(state="running", accepting=True, open={"stream": 2, "page": 5}, listening=("a", "b")),
        SessionEnded("sid"),
    ],
    ids=["starting", "failed", "running", "ended"],
)
def test_what_a_process_says_is_read(message: Status | SessionEnded) -> None:
    assert read_status(message.to_line()) == message


@pytest.mark.parametrize(
    "command",
    [Accept(), Leave(120), Draining(("a", "b")), Draining(()), EndSession("sid")],
    ids=["accept", "leave", "elsewhere", "nowhere", "end"],
)
def test_what_a_supervisor_says_is_read(command: Command) -> None:
    assert read_command(command.to_line()) == command


@pytest.mark.parametrize(
    "change",
    [
        {"state": "stopped"},
        {"state": None},
        {"state": ["running"]},
        {"accepting": 1},
        {"problem": 7},
        {"open": []},
        {"open": {"page": -1}},
        {"open": {"page": True}},
        {"open": {"page": 1.5}},
        {"open": {"page": 10**9}},
        {"open": {"secret": 1}},
        {"listening": "abc"},
        {"listening": [""]},
        {"listening": [1]},
        {"listening": ["x" * 129]},
        {"listening": ["x"] * (MAX_SESSIONS + 1)},
        {"ended": ""},
        {"ended": 7},
        {"ended": "x" * 129},
    ],
    ids=repr,
)
def test_what_has_not_its_shape_says_nothing(change: dict[str, Any]) -> None:
    assert read_status(json.dumps({**GOOD, **change}).encode()) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"[]", b"7", b"nonsense", b"\xff", b"[" * 100_000, b"{}"], ids=len)
def test_nonsense_says_nothing(line: bytes) -> None:
    assert read_status(line) is None
    assert read_command(line) is None


@pytest.mark.parametrize(
    "command",
    [
        {"do": "kill"},
        {"do": "leave"},
        {"do": "leave", "seconds": -1},
        {"do": "leave", "seconds": 1e9},
        {"do": "leave", "seconds": "1"},
        {"do": "elsewhere", "sessions": [1]},
        {"do": "end"},
        {"do": "end", "session": ""},
    ],
    ids=repr,
)
def test_what_cannot_be_done_is_not_done(command: dict[str, Any]) -> None:
    assert read_command(json.dumps(command).encode()) is None


def test_a_problem_is_one_line_that_can_be_shown() -> None:
    message = read_status(json.dumps({**GOOD, "problem": "a\n\x1b[31m" + "x" * 1000}).encode())

    assert isinstance(message, Status)
    assert message.problem.startswith("a[31mx")
    assert len(message.problem) <= 400


def test_more_sessions_than_fit_are_left_out_and_not_the_line() -> None:
    message = Status(listening=tuple(map(str, range(2 * MAX_SESSIONS))))

    assert read_status(message.to_line()) is not None
    assert read_command(Draining(message.listening).to_line()) is not None
