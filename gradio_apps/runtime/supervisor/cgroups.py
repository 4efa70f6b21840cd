"""A cgroup for each process of an app and all that it starts, where the supervisor may make one (Linux, cgroups(7)).

Root may, and so may a user who was given a part of the tree, as systemd does in a desktop session.  The system kills
everything in a cgroup at once: no process can start others faster.  A process leaves its cgroup only with the right to
write to the one it goes to, which an app that runs as a user of its own does not have.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from portal.contract.local_sockets import connect_to
from portal.contract.privileges import taken_up

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OWN: Final = Path("/proc/self/cgroup")
_KILL: Final = "cgroup.kill"
_PROCESSES: Final = "cgroup.procs"
_PATIENCE: Final = 2.0
"""Seconds that the system has to end what is in one."""
_PAUSE: Final = 0.002
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class Cgroup:
    """A cgroup, by its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self) -> None:
        """Move this process into it."""
        with suppress(OSError):  # what it starts is found by its descent then
            (self._folder / _PROCESSES).write_text("0")

    def pids(self) -> frozenset[int]:
        """Return the processes in it."""
        with suppress(OSError):
            return frozenset(map(int, (self._folder / _PROCESSES).read_text().split()))
        return frozenset()

    def strike(self) -> bool:
        """Have the system end what is in it, and in those within; remove them, and say whether that was done.

        Nothing is waited for: what has not ended yet keeps them there until another try.
        """
        with taken_up():
            if self._folder.exists():
                with suppress(OSError):
                    (self._folder / _KILL).write_text("1")
                for folder, _, _ in os.walk(self._folder, topdown=False):
                    with suppress(OSError):  # something in it has not ended yet
                        os.rmdir(folder)  # noqa: PTH106 - walk says names
            return not self._folder.exists()

    def end(self) -> bool:
        """End what is in it, and wait for that, for a moment; say whether that was done."""
        until = time.monotonic() + _PATIENCE
        while not self.strike():
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        return True


class Cgroups:
    """The cgroups of one supervisor, all within one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def make(self, name: str) -> Cgroup | None:
        """Return a new one, or ``None`` where that cannot be."""
        folder = self._folder / f"{name}-{next(self._numbers)}"
        try:
            with taken_up():
                folder.mkdir()
        except OSError:
            return None
        return Cgroup(folder)

    def close(self) -> None:
        """Remove the one around them; nothing is to be left there."""
        with suppress(OSError), taken_up():  # another supervisor has taken it over
            self._folder.rmdir()


def open_cgroups(control: Path) -> Cgroups | None:
    """Return cgroups for the supervisor that operators will ask at *control*, or ``None`` where it may make none.

    They are named for the folder of *control*.  What a supervisor left in them that was killed is ended, unless one
    answers there: then they are that one's.
    """
    with suppress(OSError):
        connect_to(control, timeout=_PATIENCE).close()
        return None
    try:
        around = own_cgroup(_MOUNTS.read_text(), _OWN.read_text())
        status = control.parent.stat()
    except OSError:
        return None
    if around is None:
        return None
    folder = around / f"gradio-portal-{status.st_dev:x}-{status.st_ino:x}"
    Cgroup(folder).end()
    try:
        with taken_up():
            folder.mkdir()
            if not (folder / _KILL).exists():  # Linux before 5.14
                folder.rmdir()
                return None
    except OSError:
        return None
    return Cgroups(folder)


def own_cgroup(mounts: str, own: str) -> Path | None:
    """Return the folder of this process's cgroup of version 2, or ``None`` where there is none to be seen.

    *mounts* is what ``/proc/self/mountinfo`` says, *own* what ``/proc/self/cgroup`` does.
    """
    path = next((Path(line.removeprefix("0::")) for line in own.splitlines() if line.startswith("0::")), None)
    if path is None or ".." in path.parts:  # it is out of sight of this namespace
        return None
    for root, point in _mounted(mounts):
        if path.is_relative_to(root):
            return point / path.relative_to(root)
    return None


def _mounted(mounts: str) -> Iterator[tuple[Path, Path]]:
    for line in mounts.splitlines():
        what, _, how = line.partition(" - ")
        if how.startswith("cgroup2 "):
            root, point = (_ESCAPED.sub(lambda found: chr(int(found[1], 8)), one) for one in what.split(" ")[3:5])
            yield Path(root), Path(point)
