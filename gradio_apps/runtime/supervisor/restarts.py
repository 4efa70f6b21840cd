"""How long to wait before an ended app is started again.  Pure."""

from dataclasses import dataclass
from typing import Final

FAILED_TO_LOAD: Final = 70
"""Exit code of a process whose app did not come up, and that has stayed for the pause already."""
FIRST: Final = 1
LONGEST: Final = 60
HEALTHY: Final = 60.0
"""Seconds of life after which an app's record is clean again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is remembered of an app between two of its processes."""

    pause: int = FIRST
    """Seconds that the next unhappy end will cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What to do about a process that ended."""

    wait: float
    """Seconds before the next one is started."""
    record: Record


def after_end(record: Record, *, life: float, waited: bool) -> Restart:
    """Decide about a process that lived for *life* seconds.

    With *waited* it failed to load and stayed for the pause itself, answering that it failed, so
    that nobody hung meanwhile; the next start then follows at once.
    """
    if life - (record.pause if waited else 0) >= HEALTHY:
        record = Record()
    return Restart(wait=0 if waited else record.pause, record=Record(pause=min(record.pause * 2, LONGEST)))
