"""How long to wait before an app that ended is restarted.  Pure."""

from dataclasses import dataclass
from typing import Final

FAILED_TO_LOAD: Final = 70
"""Exit code of a process whose app did not come up, after it stayed for the pause."""
FIRST: Final = 1
LONGEST: Final = 60
HEALTHY: Final = 60.0
"""Seconds after which the record of a running app is cleared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is remembered between two processes of an app."""

    pause: int = FIRST
    """Seconds to wait after the next failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """When to start the next process."""

    wait: float
    """Seconds before the next one is started."""
    record: Record


def after_end(record: Record, *, lifetime: float, waited: bool) -> Restart:
    """Decide when to restart an app whose process ran for *lifetime* seconds.

    With *waited*, it failed to load and stayed for the pause itself, so that people got a page meanwhile; the
    next start then follows at once.
    """
    if lifetime - (record.pause if waited else 0) >= HEALTHY:
        record = Record()
    return Restart(wait=0 if waited else record.pause, record=Record(pause=min(record.pause * 2, LONGEST)))
