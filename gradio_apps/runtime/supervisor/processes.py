"""Which processes of this machine belong to an app, whatever session they went into (Linux).

A process is an app's because of its user, where no other app has that; else because it runs in the session that the app
began in, descends from a process that does, or carries the app's mark in its environment.  What processes look like
comes from proc(5); what follows from it is pure.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.privileges import taken_up

MARK: Final = "PORTAL_MARK"
"""Variable that says whose process it is, to those who look from outside."""
_PROC: Final = Path("/proc")
_STATE: Final = 0
_PARENT: Final = 1
_SESSION: Final = 3
_BEGUN: Final = 19
"""Places among the fields of ``/proc/<pid>/stat`` after the command."""
_NO_MORE: Final = frozenset("ZX")
_ROOT: Final = 0
_NOBODY: Final = 65534
_FIRST: Final = 1
"""Stands above all; in a container also above what was put into it from outside, which has no parent there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that runs."""

    pid: int
    parent: int
    session: int
    uid: int
    """Its real user."""
    effective: int
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
    folder = _PROC / str(pid)
    with suppress(OSError, LookupError, ValueError):
        fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        uids = (folder / "status").read_bytes().partition(b"\nUid:")[2].split(None, 2)
        if fields[_STATE].decode() not in _NO_MORE:
            return Process(
                pid=pid,
                parent=int(fields[_PARENT]),
                session=int(fields[_SESSION]),
                uid=int(uids[0]),
                effective=int(uids[1]),
                begun=int(fields[_BEGUN]),
            )
    return None


def carries(mark: str) -> Callable[[Process], bool]:
    """Return what says whether a process was started with :data:`MARK` set to *mark*."""
    wanted = f"{MARK}={mark}".encode()

    def is_marked(process: Process) -> bool:
        with suppress(OSError), taken_up():
            return wanted in (_PROC / str(process.pid) / "environ").read_bytes().split(b"\0")
        return False

    return is_marked


def started_by(
    leader: int, processes: Iterable[Process], *, uid: int, is_marked: Callable[[Process], bool]
) -> frozenset[Process]:
    """Return *leader*, what runs in its session, what carries its mark, and what descends from any of these.

    Only processes of the user *uid* count: whatever else an app may have brought about is not ended in its name.
    """
    theirs = [one for one in processes if one.uid == uid]
    found = _with_descendants((one for one in theirs if leader in {one.pid, one.session}), theirs)
    marked = [one for one in theirs if one not in found and is_marked(one)]
    return found | _with_descendants(marked, theirs)


def of_user(
    uid: int, processes: Iterable[Process], *, supervisor: int
) -> tuple[frozenset[Process], frozenset[Process]]:
    """Return the processes whose real or effective user is *uid*: the app's, and those that root started besides.

    Root may do something as that user meanwhile, such as install what the app needs.  What descends from a process
    of root's that neither is *supervisor* nor stands above it is not the app's: a process cannot choose its parent,
    and one that loses it is given to one that stands above.
    """
    known = {one.pid: one for one in processes}
    above = {supervisor, *_above(supervisor, known), _FIRST}
    theirs = [one for one in known.values() if uid in {one.uid, one.effective}]
    roots = [one for one in known.values() if one.uid == _ROOT and one.pid not in above and one not in theirs]
    others = _with_descendants((one for root in roots for one in theirs if one.parent == root.pid), theirs)
    return frozenset(theirs) - others, others


def is_one_apps_alone(
    uid: int, *, others: Iterable[int], owner: int | None, here: int, persons: Callable[[int], bool]
) -> bool:
    """Say whether everything that runs as *uid* is one app's, so that it may be ended and weighed by its user.

    *others* are the users of all other apps, *owner* is the portal's user, and *here* the real user of this process:
    where that is not root, every app runs as it.  *persons* says whether somebody has an account of that number: what
    they run besides is not the app's.
    """
    if here != _ROOT or owner is None or uid < 0 or uid in {_ROOT, _NOBODY, owner, *others}:
        return False
    return not persons(uid)


def _above(pid: int, known: Mapping[int, Process]) -> frozenset[int]:
    found: set[int] = set()
    while pid in known and known[pid].parent not in found:
        pid = known[pid].parent
        found.add(pid)
    return frozenset(found)


def _with_descendants(first: Iterable[Process], among: Iterable[Process]) -> frozenset[Process]:
    children: dict[int, list[Process]] = {}
    for one in among:
        children.setdefault(one.parent, []).append(one)
    found: set[Process] = set()
    waiting = list(first)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += children.get(one.pid, [])
    return frozenset(found)
