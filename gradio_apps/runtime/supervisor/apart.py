"""A process that is forked off, between fork and what it becomes: deaf to what is said to the supervisor.

Until then it has the supervisor's handlers and the pipe by which they wake its loop.  As soon as it is another user's,
processes of that user could send it a signal, and the supervisor would take it for its own.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_HEARD: Final = frozenset({signal.SIGTERM, signal.SIGINT})


@contextmanager
def held_back() -> Iterator[None]:
    """Hold signals back that would end the supervisor, here and in what is forked off, until the block is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stand_apart() -> None:  # pragma: no cover - runs in a process that was forked off, where nothing is measured
    """Have what is signalled to this process, forked off while signals were held back, concern it alone."""
    signal.set_wakeup_fd(-1)
    for number in _HEARD:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
