"""One log file per app: readable only by its owner, and limited in size."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gradio_apps.runtime.last_line import last_line

LARGEST: Final = 10 * 1024 * 1024
"""Size at which a log is rotated, in bytes; one old file is kept."""
_SLACK: Final = 1024 * 1024
"""Bytes that may be written between two checks and are rotated too."""


def open_log(path: Path) -> int:
    """Return a descriptor that appends to *path*, which is created with mode 0600 if missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # O_NOFOLLOW: an app that can write to the folder must not choose another file.
    # Readable too: the app's own process shows its last line while it starts.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def rotate(path: Path, *, largest: int = LARGEST) -> bool:
    """Move the content of *path* to ``<name>.1`` if it is longer than *largest*; say whether it was.

    It is copied and emptied, not renamed: the app's process keeps its descriptor.  What it writes in between is lost.
    Only the end is copied: with its descriptor, the app can set any size.  Without room for the copy, the log is
    emptied all the same.

    Raises:
        OSError: it could not be copied or emptied.
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
    """Write *sentence* to the log *path*, as a line of the supervisor."""
    descriptor = open_log(path)
    try:
        os.write(descriptor, f"portal: ERROR: {sentence}\n".encode())
    finally:
        os.close(descriptor)


def last_line_of(path: Path, *, hidden: Iterable[str]) -> str:
    """Return the last line of the log *path* without any of *hidden*; empty if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return last_line(descriptor, hidden=hidden)
    finally:
        os.close(descriptor)
