"""Processes of this machine from proc(5): their descent, and killing one without hitting another of the same number."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.privileges import as_root

MARK: Final = "PORTAL_MARK"
"""Environment variable that marks the descendants of a process of an app."""
_PROC: Final = Path("/proc")
_STATE: Final = 0
_PARENT: Final = 1
_SESSION: Final = 3
_THREADS: Final = 17
_BEGUN: Final = 19
"""Indexes among the fields of ``/proc/<pid>/stat`` after the command."""
_ENDED: Final = frozenset("ZX")
_STUCK: Final = b"D"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that runs."""

    pid: int
    parent: int
    session: int
    begun: int
    """Start time, in ticks since the system started: a process number may be reused."""


def running() -> tuple[Process, ...]:
    """Return every process of this machine; none without ``/proc``."""
    with suppress(OSError), as_root():  # the system may show the processes of others only to root
        result = (look_at(int(name)) for name in os.listdir(_PROC) if name.isdigit())  # noqa: PTH208  names alone, fast
        return tuple(one for one in result if one is not None)
    return ()


def descendants_of(here: Process, *, proc: Path = _PROC) -> frozenset[Process]:
    """Return the descendants of *here*.

    On a system without ``CONFIG_PROC_CHILDREN``, this has to read every process of the machine.
    """
    with as_root():
        if not (proc / str(here.pid) / "task" / str(here.pid) / "children").exists():
            return with_descendants([here], running()) - {here}
        result: dict[int, Process] = {}
        waiting = _children(here.pid, proc=proc)
        while waiting:
            pid = waiting.pop()
            process = None if pid in result else look_at(pid, proc=proc)
            if process is not None:
                result[pid] = process
                waiting += _children(pid, proc=proc)
    return with_descendants([here], result.values()) - {here}


def _children(pid: int, *, proc: Path) -> list[int]:
    """Return the children of all threads of *pid*, adopted ones included."""
    result: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(proc / str(pid) / "task"):  # noqa: PTH208  names alone, fast
            with suppress(OSError, ValueError):
                result += map(int, (proc / str(pid) / "task" / thread / "children").read_bytes().split())
    return result


def is_stuck(pid: int, *, proc: Path = _PROC) -> bool:
    """Say whether a thread of *pid* is in an uninterruptible sleep (state D).

    Reading its memory or environment may then block as well, uninterruptibly.
    """
    with suppress(OSError), as_root():
        for thread in os.listdir(proc / str(pid) / "task"):  # noqa: PTH208
            with suppress(OSError, IndexError):
                stat = (proc / str(pid) / "task" / thread / "stat").read_bytes()
                if stat.rpartition(b")")[2].split()[_STATE] == _STUCK:
                    return True
    return False


def look_at(pid: int, *, proc: Path = _PROC) -> Process | None:
    """Return the process *pid*, or ``None`` if it has ended."""
    with suppress(OSError, LookupError, ValueError):
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        # If only the first thread has ended, the state is the same, but there are other threads.
        if fields[_STATE].decode() not in _ENDED or int(fields[_THREADS]) > 1:
            return Process(
                pid=pid, parent=int(fields[_PARENT]), session=int(fields[_SESSION]), begun=int(fields[_BEGUN])
            )
    return None


def uid_of(process: Process) -> int | None:
    """Return the real user of *process*, or ``None`` if it has ended."""
    with suppress(OSError, LookupError, ValueError), as_root():
        status = (_PROC / str(process.pid) / "status").read_bytes()
        return int(status.partition(b"\nUid:")[2].split(None, 1)[0])
    return None


def mark_of(process: Process) -> str | None:
    """Return the :data:`MARK` in the environment of *process*; ``None`` without one, or if it is stuck."""
    if is_stuck(process.pid):
        return None
    with suppress(OSError), as_root():
        for variable in (_PROC / str(process.pid) / "environ").read_bytes().split(b"\0"):
            if variable.startswith(f"{MARK}=".encode()):
                return variable.partition(b"=")[2].decode(errors="replace")
    return None


def with_descendants(first: Iterable[Process], among: Iterable[Process]) -> frozenset[Process]:
    """Return *first*, and those of *among* that descend from them."""
    children: dict[int, list[Process]] = {}
    for one in among:
        children.setdefault(one.parent, []).append(one)
    result: set[Process] = set()
    waiting = list(first)
    while waiting:
        one = waiting.pop()
        if one not in result:
            result.add(one)
            # A process cannot be older than its parent: then the number was reused.
            waiting += (child for child in children.get(one.pid, ()) if child.begun >= one.begun)
    return frozenset(result)


def end(process: Process) -> None:
    """Kill *process*, but never another process that got its number."""
    try:
        handle = os.pidfd_open(process.pid)
    except (OSError, AttributeError):  # it has ended, or this system has no pidfd and no /proc
        return
    try:
        now = look_at(process.pid)
        if now is not None and now.begun == process.begun:
            with suppress(OSError), as_root():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
