"""Processes of this machine as proc(5) shows them: which descend from which, and how one is ended and never another."""

import os
import signal
from collections.abc import Iterable
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
_STUCK: Final = b"D"


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


def descendants_of(here: Process, *, proc: Path = _PROC) -> frozenset[Process]:
    """Return what descends from *here*, without looking at others where the system lists the children of each.

    Where it does not (it was built without ``CONFIG_PROC_CHILDREN``), every process of this machine is looked at.
    """
    with taken_up():
        if not (proc / str(here.pid) / "task" / str(here.pid) / "children").exists():
            return with_descendants([here], running()) - {here}
        found: dict[int, Process] = {}
        waiting = _children(here.pid, proc=proc)
        while waiting:
            pid = waiting.pop()
            process = None if pid in found else look_at(pid, proc=proc)
            if process is not None:
                found[pid] = process
                waiting += _children(pid, proc=proc)
    return with_descendants([here], found.values()) - {here}


def _children(pid: int, *, proc: Path) -> list[int]:
    """Return what the threads of *pid* have started, or were given by the system."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(proc / str(pid) / "task"):  # noqa: PTH208  names alone, fast
            with suppress(OSError, ValueError):
                found += map(int, (proc / str(pid) / "task" / thread / "children").read_bytes().split())
    return found


def is_stuck(pid: int, *, proc: Path = _PROC) -> bool:
    """Say whether a thread of *pid* waits in the system for what cannot be broken off (state D).

    A reader of its memory or its environment may then have to wait with it, and cannot be ended either.
    """
    with suppress(OSError), taken_up():
        for thread in os.listdir(proc / str(pid) / "task"):  # noqa: PTH208
            with suppress(OSError, IndexError):
                stat = (proc / str(pid) / "task" / thread / "stat").read_bytes()
                if stat.rpartition(b")")[2].split()[_STATE] == _STUCK:
                    return True
    return False


def look_at(pid: int, *, proc: Path = _PROC) -> Process | None:
    """Return the process *pid*, or ``None`` where it has ended."""
    with suppress(OSError, LookupError, ValueError):
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
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
    """Return the value of :data:`MARK` that *process* was started with, or ``None``, also where it is stuck."""
    if is_stuck(process.pid):
        return None
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
