"""Commands to the supervisor and its answers: what one side writes, the other reads; anything else is an error."""

import json
from dataclasses import replace
from typing import Any

import pytest

from portal.contract.supervisor_messages import (
    AppStatus,
    CommandAccepted,
    CommandRefused,
    ControlApp,
    InvalidMessage,
    ListApps,
    OperatorCommand,
    ReloadApps,
    read_answer,
    read_command,
)

RUNNING = AppStatus(
    app="forecast",
    title="Forecast",
    state="running",
    seconds=60.5,
    pid=100,
    memory=1_000_000,
    memory_limit=None,
    restarts=0,
    reason=None,
    pause=None,
    replacing=False,
    leaving=0,
    failed_replacements=0,
    problem=None,
    open={"stream": 2},
    last_start=4.4,
    usual_start=None,
    start_timeout=600,
    drain_timeout=120,
    port=7810,
    last_line="started",
)
CRASHED = replace(RUNNING, app="other", state="crashed", pid=None, reason="It ended by itself.", pause=2.0)


@pytest.mark.parametrize(
    ("command", "members"),
    [
        (ListApps(), {"do": "list"}),
        (ControlApp("restart-now", "forecast"), {"do": "restart-now", "app": "forecast"}),
        (
            ReloadApps(document={"apps": []}, every_app=True),
            {"do": "reload", "document": {"apps": []}, "every_app": True},
        ),
    ],
)
def test_a_command_is_one_line_and_is_read_as_it_was_written(command: OperatorCommand, members: dict[str, Any]) -> None:
    line = command.to_line()

    assert (json.loads(line), line.count(b"\n"), line[-1:]) == (members, 1, b"\n")
    assert read_command(line) == command
    assert read_command(json.dumps({**members, "new": 1}).encode()) == command


@pytest.mark.parametrize(
    "answer",
    [
        CommandAccepted(()),
        CommandAccepted((RUNNING, CRASHED)),
        CommandAccepted((RUNNING,), {"forecast": "replaced"}),
        CommandRefused("There is no app called 'x'."),
    ],
)
def test_an_answer_is_read_as_it_was_written(answer: CommandAccepted | CommandRefused) -> None:
    assert read_answer(answer.to_line()) == answer


def test_members_that_a_reader_does_not_know_are_ignored_and_optional_ones_may_be_missing() -> None:
    [app] = json.loads(CommandAccepted((RUNNING,)).to_line())["apps"]
    del app["usual_start"]
    line = json.dumps({"ok": True, "apps": [{**app, "seconds": 60, "new": 1}], "new": 1}).encode()

    assert read_answer(line) == CommandAccepted((replace(RUNNING, seconds=60),))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b"{}", "Unknown command"),
        (b'{"do": ["stop"], "app": "forecast"}', "Unknown command"),
        (b'{"do": "stop"}', "'app'"),
        (b'{"do": "stop", "app": {}}', "'app'"),
        (b'{"do": "reload", "document": []}', "'document'"),
    ],
)
def test_another_line_is_not_a_command(line: bytes, problem: str) -> None:
    with pytest.raises(InvalidMessage, match=problem):
        read_command(line)


@pytest.mark.parametrize(
    ("answer", "member"),
    [
        ({}, "ok"),
        ({"ok": False}, "problem"),
        ({"ok": True}, "apps"),
        ({"ok": True, "apps": [], "changes": {"forecast": "painted"}}, "changes"),
        ({"ok": True, "apps": [None]}, "apps"),
        ({"ok": True, "apps": [{}]}, "app"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_an_error(answer: dict[str, Any], member: str) -> None:
    with pytest.raises(InvalidMessage, match=f"'{member}'"):
        read_answer(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("state", "asleep"),
        ("seconds", "1"),
        ("pid", "100"),
        ("restarts", None),
        ("replacing", None),
        ("open", []),
        ("open", {"walk": 1}),
        ("open", {"stream": None}),
    ],
)
def test_so_is_one_wrong_member_of_an_app(member: str, value: object) -> None:
    [app] = json.loads(CommandAccepted((RUNNING,)).to_line())["apps"]

    with pytest.raises(InvalidMessage, match=f"'{member}'"):
        read_answer(json.dumps({"ok": True, "apps": [{**app, member: value}]}).encode())
