"""The clock: the only place in the portal that reads wall time.

Rules take ``now`` as Unix seconds.  What calls them holds a :data:`Clock` and reads it once.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Returns the time now in whole Unix seconds."""


def system_clock() -> int:
    """Return the time now in whole Unix seconds."""
    return int(time.time())


def rfc3339(moment: int) -> str:
    """Return Unix time *moment* as text for programs, such as ``2030-01-02T03:04:05Z``."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
