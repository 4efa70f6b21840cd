"""A cgroup for each process of an app and everything it starts, if the supervisor may create one (Linux, cgroups(7)).

Root may, and so may a user with a delegated part of the tree, as systemd gives in a desktop session.  The system kills
everything in a cgroup at once: no process can start others faster.  To leave its cgroup, a process needs the right to
write to another one, which an app with a user of its own does not have.
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
from portal.contract.privileges import as_root

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OWN: Final = Path("/proc/self/cgroup")
_KILL: Final = "cgroup.kill"
_PROCESSES: Final = "cgroup.procs"
_PATIENCE: Final = 2.0
"""Seconds that the system has to end the processes of a cgroup."""
_PAUSE: Final = 0.002
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class Cgroup:
    """A cgroup, by its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self) -> None:
        """Move this process into it."""
        with suppress(OSError):  # then its descendants are found by their parents
            (self._folder / _PROCESSES).write_text("0")

    def pids(self) -> frozenset[int]:
        """Return the processes in it."""
        with suppress(OSError):
            return frozenset(map(int, (self._folder / _PROCESSES).read_text().split()))
        return frozenset()

    def kill(self) -> bool:
        """Kill everything in it and in its children, and remove them; say whether they are gone.

        This does not wait: a process that has not ended yet keeps them until the next attempt.
        """
        with as_root():
            if self._folder.exists():
                with suppress(OSError):
                    (self._folder / _KILL).write_text("1")
                for folder, _, _ in os.walk(self._folder, topdown=False):
                    with suppress(OSError):  # a process in it has not ended yet
                        os.rmdir(folder)  # noqa: PTH106 - walk says names
            return not self._folder.exists()

    def end(self) -> bool:
        """Kill everything in it and wait a moment for the end; say whether it is gone."""
        until = time.monotonic() + _PATIENCE
        while not self.kill():
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        return True


class Cgroups:
    """The cgroups of one supervisor, below a common one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def make(self, name: str) -> Cgroup | None:
        """Return a new cgroup, or ``None`` if it cannot be created."""
        folder = self._folder / f"{name}-{next(self._numbers)}"
        try:
            with as_root():
                folder.mkdir()
        except OSError:
            return None
        return Cgroup(folder)

    def close(self) -> None:
        """Remove the common cgroup, which must be empty."""
        with suppress(OSError), as_root():  # another supervisor has taken it over
            self._folder.rmdir()


def open_cgroups(control: Path) -> Cgroups | None:
    """Return cgroups for the supervisor with the control socket *control*, or ``None`` if it may not create any.

    They are named after the folder of *control*.  Processes that a killed supervisor left there are killed, unless
    another supervisor answers at *control*.
    """
    with suppress(OSError):
        connect_to(control, timeout=_PATIENCE).close()
        return None
    try:
        parent = own_cgroup(_MOUNTS.read_text(), _OWN.read_text())
        status = control.parent.stat()
    except OSError:
        return None
    if parent is None:
        return None
    folder = parent / f"gradio-portal-{status.st_dev:x}-{status.st_ino:x}"
    Cgroup(folder).end()
    try:
        with as_root():
            folder.mkdir()
            if not (folder / _KILL).exists():  # Linux before 5.14
                folder.rmdir()
                return None
    except OSError:
        return None
    return Cgroups(folder)


def own_cgroup(mounts: str, own: str) -> Path | None:
    """Return the folder of this process's cgroup of version 2, or ``None`` if it is not visible.

    *mounts* is the content of ``/proc/self/mountinfo``, *own* that of ``/proc/self/cgroup``.
    """
    path = next((Path(line.removeprefix("0::")) for line in own.splitlines() if line.startswith("0::")), None)
    if path is None or ".." in path.parts:  # outside this namespace
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
