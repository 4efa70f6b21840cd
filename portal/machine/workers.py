"""Replacing the portal's processes: new ones beside the old, and the old ones end when the new ones answer.

Gunicorn's own reload ends the old ones first, and everybody waits while the new ones load.  It takes one signal
for one more process (TTIN) and one for the oldest less (TTOU); each is sent when the one before has been seen.
"""

import signal
from pathlib import Path

from portal.machine.processes import Processes
from portal.machine.programs import PORTAL
from portal.storage.instance_lock import ready_workers


class NewWorkers:
    """Puts new processes of the portal into the place of those that run; a step at a time."""

    def __init__(self, processes: Processes, *, data_dir: Path, count: int) -> None:
        self._processes = processes
        self._data_dir = data_dir
        self._count = count
        self._old: frozenset[int] = frozenset()
        self._asked_in = 0
        self._asked_out = 0
        self._ready = False

    def begin(self) -> None:
        """Begin; where nobody tells who they are (elsewhere than on Linux), gunicorn does it its own way."""
        self._old = children_of(self._processes.pid_of(PORTAL))
        if not self._old:
            self._processes.send(PORTAL, signal.SIGHUP)

    def look(self) -> bool:
        """Go on; say whether it is done."""
        if not self._old:
            return True
        now = children_of(self._processes.pid_of(PORTAL))
        if not self._ready:
            if self._asked_in < self._count and len(now) >= len(self._old) + self._asked_in:
                self._processes.send(PORTAL, signal.SIGTTIN)
                self._asked_in += 1
            new = (now - self._old) & ready_workers(self._data_dir)
            self._ready = len(new) >= self._count
            return False
        # The oldest go first, so these are the old ones; they end when what runs in them has ended.
        if self._asked_out < len(self._old) and len(now) <= len(self._old) + self._count - self._asked_out:
            self._processes.send(PORTAL, signal.SIGTTOU)
            self._asked_out += 1
        return not self._old & now


def children_of(pid: int | None) -> frozenset[int]:
    """Return the process ids of the children of *pid* (Linux, proc(5); elsewhere nobody knows)."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return frozenset()
    return frozenset(int(child) for child in text.split())
