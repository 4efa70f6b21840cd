"""One log file per app: readable by its owner alone, bounded in size."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gradio_apps.runtime.last_line import last_line

LARGEST: Final = 10 * 1024 * 1024
"""Size at which a log is put aside, in bytes; one old file is kept."""
_SLACK: Final = 1024 * 1024
"""What may have been written between two looks and is put aside too."""


def open_log(path: Path) -> int:
    """Return a descriptor that appends to *path*, created with mode 0600 where missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # O_NOFOLLOW: an app that can write the folder must not choose which file we append to.
    # Readable too: the app's own process shows its last line while it starts.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def rotate(path: Path, *, largest: int = LARGEST) -> bool:
    """Put the content of *path* aside as ``<name>.1`` if it has outgrown *largest*; say whether it had.

    Copied and emptied rather than renamed: the app's process keeps its descriptor.  What it writes
    between the two is lost.  Its end alone is copied: with that descriptor the app can say any size, and must
    fill nobody's disk with it.  Where there is no room for the copy, there is none: the log is emptied all the same.

    Raises:
        OSError: it could not be copied, or not be emptied.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    if size <= largest:
        return False
    old = path.with_name(path.name + ".1")
    try:
        old.unlink(missing_ok=True)
        _copy_end(path, old, size=size, most=largest + _SLACK)
    except OSError:
        with suppress(OSError):
            old.unlink()
        raise
    finally:
        os.truncate(path, 0)
    return True


def _copy_end(path: Path, copy: Path, *, size: int, most: int) -> None:
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with path.open("rb") as source, os.fdopen(descriptor, "wb") as file:
        source.seek(max(0, size - most))
        file.write(source.read(most))


def note(path: Path, sentence: str) -> None:
    """Write *sentence* to the log *path* as a line of the supervisor's own."""
    descriptor = open_log(path)
    try:
        os.write(descriptor, f"portal: ERROR: {sentence}\n".encode())
    finally:
        os.close(descriptor)


def last_line_of(path: Path, *, hidden: Iterable[str]) -> str:
    """Return the last line of the log *path* without any of *hidden*; empty where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return last_line(descriptor, hidden=hidden)
    finally:
        os.close(descriptor)
