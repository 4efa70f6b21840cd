"""What a process that starts can tell of itself."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradio_apps.runtime.host import HostedApp
from gradio_apps.runtime.last_line import LONGEST, last_line
from gradio_apps.runtime.progress import Progress
from gradio_apps.runtime.startup_state import StartupState, startup_state_from


@pytest.fixture
def log(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ""),
        (b"one\ntwo\n\n  \n", "two"),
        (b"10 %\r50 %\r", "50 %"),
        (b"\x1b[31mred\x1b[0m\xff\n", "[31mred[0m\ufffd"),
        (b"key=hush-hush now", "key=******** now"),
        (b"x" * 400, "x" * (LONGEST - 1) + "…"),
        (b"hush" + b"x" * 70_000, ""),  # its beginning is out of sight
    ],
)
def test_the_last_line_is_fit_to_be_shown(log: int, text: bytes, expected: str) -> None:
    os.write(log, text)

    assert last_line(log, hidden=["hush-hush"]) == expected


def test_what_another_process_wrote_before_is_not_shown(log: int) -> None:
    os.write(log, b"the end of the one before\n")
    since = os.fstat(log).st_size
    assert last_line(log, hidden=[], since=since) == ""
    os.write(log, b"new\n")
    assert last_line(log, hidden=[], since=since) == "new"
    os.ftruncate(log, 0)
    os.write(log, b"again\n")
    assert last_line(log, hidden=[], since=since) == "again"


def test_what_cannot_be_read_back_says_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    only_written = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.write(only_written, b"line\n")
    expected = [last_line(descriptor, hidden=[]) for descriptor in (reading, only_written)]
    for descriptor in (reading, writing, only_written):
        os.close(descriptor)
    assert expected == ["", ""]
    assert last_line(only_written, hidden=[]) == ""


@pytest.mark.parametrize(("text", "usual"), [("12", 12.0), ("", None), ("soon", None), ("²", None), ("-1", None)])
def test_what_the_supervisor_says_is_read(text: str, usual: float | None) -> None:
    environ = {"PORTAL_USUAL_START": text, "PORTAL_SECRET_NAMES": "A,NOT_SET", "A": "hush", "B": "open"}
    waiting = startup_state_from(environ, secret="the-client-secret")
    os.close(waiting.log)

    assert (waiting.usual, waiting.hidden) == (usual, ("the-client-secret", "hush"))


def test_progress_follows_the_host(log: int) -> None:
    os.write(log, b"fetching 3 of 7 with hush\n")
    host = HostedApp()
    waiting = StartupState(begun=100.0, usual=20.0, hidden=("hush",), log=log, log_since=0)
    progress = waiting.progress(host, now=107.0)

    assert progress.summary() == "Loading the app (7 s, usually ready after 20 s)"
    assert progress.last_line == "fetching 3 of 7 with ********"
    host.fail("The module 'torch' is not installed where the app runs.")
    failed = waiting.of(host)()
    assert (failed.phase, failed.problem) == ("", "The module 'torch' is not installed where the app runs.")


def test_what_is_not_known_is_not_said() -> None:
    assert Progress().summary() == ""
    assert Progress(phase="Loading the app").summary() == "Loading the app"
