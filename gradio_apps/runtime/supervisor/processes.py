"""Processes of this machine as proc(5) shows them: which descend from which, and how one is ended and never another."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.privileges import taken_up

MARK: Final = "PORTAL_MARK"
"""Variable that says which process of an app another belongs to."""
_PROC: Final = Path("/proc")
_STATE: Final = 0
_PARENT: Final = 1
_SESSION: Final = 3
_THREADS: Final = 17
_BEGUN: Final = 19
"""Places among the fields of ``/proc/<pid>/stat`` after the command."""
_NO_MORE: Final = frozenset("ZX")
_PATIENCE: Final = 2.0
"""Seconds for ending processes that start others meanwhile, or that the system cannot end now."""
_PAUSE: Final = 0.001
_QUIET: Final = 2
"""Looks in a row that find nothing before it is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that runs."""

    pid: int
    parent: int
    session: int
    begun: int
    """When, in ticks since the system did: a number may be given to another process later."""


def running() -> tuple[Process, ...]:
    """Return every process of this machine; none where there is no ``/proc``."""
    with suppress(OSError), taken_up():  # root: the system may show others' processes to nobody else
        found = (look_at(int(name)) for name in os.listdir(_PROC) if name.isdigit())  # noqa: PTH208  names alone, fast
        return tuple(one for one in found if one is not None)
    return ()


def look_at(pid: int) -> Process | None:
    """Return the process *pid*, or ``None`` where it has ended."""
    with suppress(OSError, LookupError, ValueError):
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        # One whose first thread has ended looks like one that has, but for its other threads.
        if fields[_STATE].decode() not in _NO_MORE or int(fields[_THREADS]) > 1:
            return Process(
                pid=pid, parent=int(fields[_PARENT]), session=int(fields[_SESSION]), begun=int(fields[_BEGUN])
            )
    return None


def uid_of(process: Process) -> int | None:
    """Return the real user of *process*, or ``None`` where it has ended."""
    with suppress(OSError, LookupError, ValueError), taken_up():
        status = (_PROC / str(process.pid) / "status").read_bytes()
        return int(status.partition(b"\nUid:")[2].split(None, 1)[0])
    return None


def mark_of(process: Process) -> str | None:
    """Return the value of :data:`MARK` that *process* was started with, or ``None``."""
    with suppress(OSError), taken_up():
        for variable in (_PROC / str(process.pid) / "environ").read_bytes().split(b"\0"):
            if variable.startswith(f"{MARK}=".encode()):
                return variable.partition(b"=")[2].decode(errors="replace")
    return None


def with_descendants(first: Iterable[Process], among: Iterable[Process]) -> frozenset[Process]:
    """Return *first*, and those *among* that descend from any of them."""
    children: dict[int, list[Process]] = {}
    for one in among:
        children.setdefault(one.parent, []).append(one)
    found: set[Process] = set()
    waiting = list(first)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            # Nothing is older than its parent: else the number was another's when the child was looked at.
            waiting += (child for child in children.get(one.pid, ()) if child.begun >= one.begun)
    return frozenset(found)


def end_all(members: Callable[[], Iterable[Process]]) -> bool:
    """End *members*, again and again until there are none: one may start others meanwhile, unseen at one look.

    Return whether that was so in the end.
    """
    until, quiet = time.monotonic() + _PATIENCE, 0
    while quiet < _QUIET:
        found = tuple(members())
        for one in found:
            end(one)
        quiet = 0 if found else quiet + 1
        if found and time.monotonic() > until:
            return False
        time.sleep(_PAUSE)
    return True


def end(process: Process) -> None:
    """End *process*, and never another that was given its number."""
    try:
        handle = os.pidfd_open(process.pid)
    except (OSError, AttributeError):  # it ended; or this system has no such handles, and nothing in /proc either
        return
    try:
        now = look_at(process.pid)
        if now is not None and now.begun == process.begun:
            with suppress(OSError), taken_up():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
