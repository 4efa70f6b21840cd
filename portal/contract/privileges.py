"""Drops root's privileges in a process that root started, and raises them again for single steps (Linux).

While they are dropped, the system checks files as for the unprivileged user, so nothing in that user's folders can
mislead root.  Other processes of the user cannot signal or trace it: its real user stays root (kill(2), ptrace(2)).
"""

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NEEDED: Final = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID")
"""Capabilities that starting apps as other users needs; see capabilities(7)."""
_BITS: Final = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
_STATUS: Final = Path("/proc/self/status")
_PR_SET_NO_NEW_PRIVS: Final = 38


def missing_privileges(*, uid: int, status: str) -> tuple[str, ...]:
    """Return what a process of the user *uid* lacks to start others as other users; empty if nothing.

    *status* is its ``/proc/<pid>/status``: containers may take capabilities from root.  Dropped privileges count.
    """
    if uid != 0:
        return ("root",)
    line = next((line for line in status.splitlines() if line.startswith("CapPrm:")), None)
    if line is None:
        return ("Linux",)
    held = int(line.partition(":")[2], 16)
    return tuple(name for name in NEEDED if not held >> _BITS[name] & 1)


def own_missing_privileges() -> tuple[str, ...]:
    """Return what this process lacks, as :func:`missing_privileges` does."""
    try:
        status = _STATUS.read_text(encoding="utf-8")
    except OSError:
        status = ""
    return missing_privileges(uid=os.getuid(), status=status)


def drop_privileges(uid: int, gid: int, groups: Iterable[int] = ()) -> None:
    """Act as the user *uid*, the group *gid* and the supplementary *groups* from now on.

    Raises:
        PermissionError: this process does not run as root.
    """
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)


def no_new_privileges() -> Callable[[], None]:
    """Return a ``preexec_fn`` for another user's process: no core dumps and no new privileges (prctl(2))."""
    libc = ctypes.CDLL(None)  # before the fork: nothing may be imported or loaded after it

    def give_up() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if sys.platform == "linux" and libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            os._exit(1)

    return give_up


@contextmanager
def as_root() -> Iterator[None]:
    """Act as root within the block, if its privileges were dropped; else change nothing."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 or os.getuid() != 0:
        yield
        return
    os.seteuid(0)
    os.setegid(0)
    try:
        yield
    finally:
        os.setegid(gid)
        os.seteuid(uid)
