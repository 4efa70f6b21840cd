"""How long an app usually takes to start, remembered across restarts of the supervisor."""

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final

KEPT: Final = 5
"""Number of starts that are remembered."""
_LARGEST: Final = 4096


def usual_start(path: Path) -> float | None:
    """Return the median duration of the remembered starts, in seconds; ``None`` without any."""
    starts = _read(path)
    return median(starts) if starts else None


def remember_start(path: Path, seconds: float) -> None:
    """Remember one more start; on a full disk, nothing is remembered and nothing else fails."""
    starts = [*_read(path), round(seconds, 1)][-KEPT:]
    new = path.with_name(path.name + ".new")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(starts, file)
        new.replace(path)


def _read(path: Path) -> list[float]:
    with suppress(OSError, ValueError, RecursionError):
        with path.open("rb") as file:
            starts = json.loads(file.read(_LARGEST))
        if type(starts) is list:
            return [float(one) for one in starts if type(one) in {int, float} and math.isfinite(one) and one >= 0]
    return []
