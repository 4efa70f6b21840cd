"""The clock: the only place in the portal that reads wall time.

Everything that decides takes ``now`` as Unix seconds; everything that talks holds
a :data:`Clock` and asks it once.
"""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Returns the present moment as whole Unix seconds (UTC)."""


def system_clock() -> int:
    """Return the present moment as whole Unix seconds."""
    return int(time.time())
