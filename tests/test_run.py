"""A run of the tests takes everything along that it started, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.processes import PATIENCE, end
from tests.run import RUN, made_once

pytestmark = [
    pytest.mark.usefixtures("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="run the tests on Linux: elsewhere processes may leave a run"),
]
ROOT: Final = Path(__file__).parents[1]
LEAVING: Final = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1], "w") as file:
            file.write(f"{os.getpid()} {os.environ['PORTAL_TEST_RUN']}")
        os.execve("/bin/sleep", ["sleep", "600"], {})
    os._exit(0)
os.wait()
"""
"""Starts a process that has no parent, no session and no variable in common with whoever started it."""
CASE: Final = """
import os, subprocess, sys, time
from pathlib import Path
from tests import run
run.begin()
subprocess.run([sys.executable, "-c", {leaving!r}, {facts!r}], check=True)
while not Path({facts!r}).read_text():
    time.sleep(0.01)
time.sleep({seconds})
"""


@contextmanager
def a_run(tmp_path: Path, *, seconds: float) -> Iterator[tuple["subprocess.Popen[bytes]", int, Path]]:
    """Start a run of its own that leaves a process behind and lasts *seconds*; yield it, the process and its folder."""
    facts = tmp_path / "facts"
    facts.touch()
    environ = {name: value for name, value in os.environ.items() if name != RUN and not name.startswith("COV")}
    code = CASE.format(leaving=LEAVING, facts=str(facts), seconds=seconds)
    with (tmp_path / "said").open("w") as said:
        command = [sys.executable, "-c", code]
        started = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=said, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE
        while not facts.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pid, folder = facts.read_text().split()
        yield started, int(pid), Path(folder)
    finally:
        end(started)


def are_gone(pid: int, folder: Path) -> bool:
    """Say whether the process *pid* and *folder* are gone within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists() and not folder.exists():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("whole_group", [False, True], ids=["pytest alone", "its process group"])
def test_a_run_that_is_killed_leaves_nothing(tmp_path: Path, *, whole_group: bool) -> None:
    with a_run(tmp_path, seconds=600) as (started, pid, folder):
        assert Path(f"/proc/{pid}").exists()
        assert folder.is_dir()
        (os.killpg if whole_group else os.kill)(started.pid, signal.SIGKILL)

        assert are_gone(pid, folder)


def test_what_is_left_behind_fails_the_run(tmp_path: Path) -> None:
    with a_run(tmp_path, seconds=0) as (started, pid, folder):
        assert started.wait(PATIENCE) == 1
        said = (tmp_path / "said").read_text()
        assert f"The tests left processes behind:\n{pid}: sleep 600" in said
        assert are_gone(pid, folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_what_runs(tmp_path: Path, number: signal.Signals) -> None:
    with a_run(tmp_path, seconds=600) as (started, pid, folder):
        started.send_signal(number)

        assert started.wait(PATIENCE) == 128 + number
        assert are_gone(pid, folder)


def test_what_is_made_once_is_there_for_everybody() -> None:
    made: list[Path] = []
    folders = {made_once("of-this-test", made.append) for _ in range(2)}

    assert [*folders] == made
    assert made[0].stat().st_mode & 0o777 == 0o755
