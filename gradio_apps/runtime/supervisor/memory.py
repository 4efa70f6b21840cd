"""Memory in use by an app: its process and everything it started (Linux).

Memory in use, not address space: what several processes share is counted once (PSS) where the
system says so, and as resident (RSS) where it does not.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from gradio_apps.runtime.supervisor.processes import Process, is_stuck
from portal.contract.privileges import as_root

_PROC: Final = Path("/proc")
_KIB: Final = 1024


def used_by(processes: Collection[Process]) -> int | None:
    """Return the bytes in use by *processes*, or ``None`` where there are none."""
    return sum(_proportional(one.pid) for one in processes) if processes else None


def exceeds(processes: Collection[Process], limit: int) -> int | None:
    """Return the bytes in use by *processes* if they are more than *limit*, else ``None``."""
    # Resident sizes are cheap to read and never smaller, so the expensive PSS is rarely needed.
    if sum(_resident(one.pid) for one in processes) <= limit:
        return None
    used = used_by(processes)
    return used if used is not None and used > limit else None


def _proportional(pid: int) -> int:
    if is_stuck(pid):
        return _resident(pid)
    with suppress(OSError), as_root():
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KIB
    return _resident(pid)


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError), as_root():
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
