"""Open files of a process: as many as the system allows, and a few that are kept for when there are none left."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

WANTED: Final = 65_536
"""Open files that a process of ours asks for; systemd's default of 1,024 is used up by slow connections alone."""
SPARE: Final = 8
"""Descriptors that are kept for what must be done even when there are none left."""


def raise_limit(wanted: int = WANTED) -> int:
    """Raise the number of files this process may open to *wanted*, or as near as it may; return what it is then.

    What it starts inherits that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if most > soft:
        with suppress(OSError, ValueError):  # a system may have bounds of its own below the one that it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return soft


def limit() -> int:
    """Return how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def none_left() -> bool:
    """Say whether this process can open nothing more."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return True
    return False


class Spare:
    """A few descriptors that lie ready; lent, they can be opened anew for what is urgent."""

    def __init__(self, count: int = SPARE) -> None:
        self._count = count
        self._held: list[int] = []
        self.take()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let go of them as long as the block lasts, and take as many as there are then."""
        self.close()
        try:
            yield
        finally:
            self.take()

    def close(self) -> None:
        """Let go of them."""
        while self._held:
            os.close(self._held.pop())

    def take(self) -> None:
        """Take as many as are missing, or as there are."""
        with suppress(OSError):  # none left: the next time, perhaps
            while len(self._held) < self._count:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
