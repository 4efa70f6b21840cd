"""Why an app ended, in a sentence.  Pure."""

import re
import signal
from typing import Final

from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD

PREFIX: Final = "portal: ERROR: "
"""Prefix of the log line in which the host reports why an app did not come up."""
_EXIT_USAGE: Final = 2
_NOT_RUN: Final = frozenset({126, 127})
"""Exit codes of the shell where it cannot start the app; an app may use them too."""
_CANNOT_RUN: Final = re.compile(r"\bexec: .+: (Permission denied|[Nn]ot found|No such file or directory)$")
_STEP: Final = 1000


def reason_of(code: int | None, *, problem: str | None, last: str) -> str:
    """Return why a process ended with *code*, or did not start; *last* is the last line of its log."""
    if code is None:
        return f"It could not be started: {problem or 'unknown reason'}."
    problem_line = last.removeprefix(PREFIX) if last.startswith(PREFIX) else last.removeprefix("portal: ")
    if code in {FAILED_TO_LOAD, _EXIT_USAGE} and problem_line != last:
        return problem_line
    if code == FAILED_TO_LOAD:
        return "It did not come up. See its log."
    if code in _NOT_RUN and _CANNOT_RUN.search(last):
        return "Its interpreter is missing, or its user may not run it. See its log."
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        return f"It was ended by the signal {name}."
    return f"It ended by itself, with exit code {code}."


def size(count: int) -> str:
    """Return *count* bytes in the largest unit that leaves a number of at least one."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < _STEP:
            break
        value, unit = value / _STEP, larger
    return f"{value:.3g} {unit}" if unit != "B" else f"{count} B"
