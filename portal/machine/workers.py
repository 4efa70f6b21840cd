"""Replacing the portal's worker processes: the old ones end when the new ones answer.

Gunicorn's own reload ends the old ones first, and requests wait while the new ones load.  Instead, SIGTTIN adds one
worker and SIGTTOU ends the oldest; each is sent when the one before has had its effect.
"""

import signal
from pathlib import Path

from portal.machine.processes import Processes
from portal.machine.programs import PORTAL
from portal.storage.instance_lock import ready_workers


class NewWorkers:
    """Replaces the portal's workers, one step at a time."""

    def __init__(self, processes: Processes, *, data_dir: Path, count: int) -> None:
        self._processes = processes
        self._data_dir = data_dir
        self._count = count
        self._old: frozenset[int] = frozenset()
        self._added = 0
        self._removed = 0
        self._ready = False

    def begin(self) -> None:
        """Start; if the workers cannot be listed (only Linux can), use gunicorn's own reload."""
        self._old = children_of(self._processes.pid_of(PORTAL))
        if not self._old:
            self._processes.send(PORTAL, signal.SIGHUP)

    def look(self) -> bool:
        """Do the next step; return whether all are replaced."""
        if not self._old:
            return True
        now = children_of(self._processes.pid_of(PORTAL))
        if not self._ready:
            if self._added < self._count and len(now) >= len(self._old) + self._added:
                self._processes.send(PORTAL, signal.SIGTTIN)
                self._added += 1
            new = (now - self._old) & ready_workers(self._data_dir)
            self._ready = len(new) >= self._count
            return False
        # Gunicorn ends the oldest first, so these are the old ones; each ends after its running requests.
        if self._removed < len(self._old) and len(now) <= len(self._old) + self._count - self._removed:
            self._processes.send(PORTAL, signal.SIGTTOU)
            self._removed += 1
        return not self._old & now


def children_of(pid: int | None) -> frozenset[int]:
    """Return the process ids of the children of *pid* (Linux, proc(5)); empty on other systems."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return frozenset()
    return frozenset(int(child) for child in text.split())
