"""How much memory an app uses: its process and everything that runs in its session (Linux).

Memory in use, not address space: what several processes share is counted once (PSS) where the
system says so, and as resident (RSS) where it does not.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from portal.contract.privileges import taken_up

_PROC: Final = Path("/proc")
_KIB: Final = 1024
_SESSION: Final = 3
"""Place of the session among the fields of ``/proc/<pid>/stat`` after the command, see proc(5)."""


def used_by(leader: int) -> int | None:
    """Return the bytes in use by the session of *leader*, or ``None`` where nothing tells."""
    sizes = [_proportional(pid) for pid in _members(leader)]
    return sum(sizes) if sizes else None


def exceeds(leader: int, limit: int) -> int | None:
    """Return the bytes in use by the session of *leader* if they are more than *limit*, else ``None``."""
    # Resident sizes cost next to nothing to read and never say less: the dear question is rarely asked.
    if sum(map(_resident, _members(leader))) <= limit:
        return None
    used = used_by(leader)
    return used if used is not None and used > limit else None


def _members(leader: int) -> list[int]:
    members = []
    with suppress(OSError):  # no /proc here
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                with suppress(OSError, IndexError):  # it ended meanwhile
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if fields[_SESSION] == str(leader):
                        members.append(int(entry.name))
    return members


def _proportional(pid: int) -> int:
    with suppress(OSError), taken_up():
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KIB
    return _resident(pid)


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
