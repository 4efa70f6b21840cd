"""Reading the log of an app: its last lines, and new ones as they are written."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_PAUSE: Final = 0.2
_BLOCK: Final = 64 * 1024


def last_lines(log: Path, count: int) -> tuple[list[str], int]:
    """Return the last *count* lines of *log*, and the position after them in bytes.

    Raises:
        OSError: *log* does not exist or cannot be read.
    """
    with log.open("rb") as file:
        end = position = file.seek(0, os.SEEK_END)
        found = b""
        while position > 0 and found.count(b"\n") <= count:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            found = file.read(step) + found
    lines = found.decode("utf-8", "replace").splitlines()
    return (lines[-count:] if count else []), end


def following(log: Path, position: int, *, until: Callable[[], bool] = lambda: False) -> Iterator[str]:
    """Yield complete lines that are written to *log* after *position*, until *until* returns true."""
    partial = b""
    with log.open("rb") as file:
        while not until():
            size = os.fstat(file.fileno()).st_size
            if size < position:  # rotated: new lines are at its beginning
                position, partial = 0, b""
            if size == position:
                time.sleep(_PAUSE)
                continue
            file.seek(position)
            partial += file.read(size - position)
            position = size
            *lines, partial = partial.split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
