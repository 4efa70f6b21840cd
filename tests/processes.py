"""Processes of the tests: started with a log beside them, and ended whatever happens."""

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PATIENCE: Final = 180.0
"""Seconds to wait for what takes one on a quiet machine: a deadline is for what hangs, not for what is slow."""


def run(stack: contextlib.ExitStack, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
    """Start *command*, which writes into ``log`` in *cwd*, and end it with *stack*."""
    log = stack.enter_context((cwd / "log").open("a"))
    process = subprocess.Popen(command, cwd=cwd, env=environ, stdout=log, stderr=log)
    stack.callback(end, process)


def end(process: "subprocess.Popen[Any]") -> None:
    """Tell *process* to end, and end it if it has not in time."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        end_in_time(process)
    process.wait()


def end_in_time(process: "subprocess.Popen[Any]") -> None:
    """Tell *process* to end, as it must within :data:`PATIENCE`.

    Raises:
        TimeoutExpired: it did not, and was killed.
    """
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
