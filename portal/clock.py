"""The clock: the only place in the portal that reads wall time.

Rules take ``now`` as Unix seconds.  What calls them holds a :data:`Clock` and reads it once.
"""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Returns the time now in whole Unix seconds."""


def system_clock() -> int:
    """Return the time now in whole Unix seconds."""
    return int(time.time())
