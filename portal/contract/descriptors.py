"""The limit on open files of a process, and a reserve for when there are none left."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

WANTED: Final = 65_536
"""Open files that each process requests; slow connections alone use up systemd's default of 1,024."""
SPARE: Final = 8
"""Descriptors in reserve for work that must go on when there are none left."""


def raise_limit(wanted: int = WANTED) -> int:
    """Raise the number of files this process may open to *wanted*, or as near as possible; return the new limit.

    Child processes inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if most > soft:
        with suppress(OSError, ValueError):  # a system may enforce a lower bound than it reports
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return soft


def limit() -> int:
    """Return how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def none_left() -> bool:
    """Return whether this process can open nothing more."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return True
    return False


class Spare:
    """A few open descriptors in reserve, to release for urgent work."""

    def __init__(self, count: int = SPARE) -> None:
        self._count = count
        self._held: list[int] = []
        self.take()

    @contextmanager
    def release(self) -> Iterator[None]:
        """Release the reserve for the length of the block, then take it back."""
        self.close()
        try:
            yield
        finally:
            self.take()

    def close(self) -> None:
        """Release the reserve."""
        while self._held:
            os.close(self._held.pop())

    def take(self) -> None:
        """Fill the reserve up again, as far as descriptors are free."""
        with suppress(OSError):  # none free: the next call tries again
            while len(self._held) < self._count:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
