"""One log file per app: readable by its owner alone, bounded in size."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gradio_apps.runtime.last_line import last_line

LARGEST: Final = 10 * 1024 * 1024
"""Size at which a log is put aside, in bytes; one old file is kept."""


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
    between the two is lost.
    """
    try:
        if path.stat().st_size <= largest:
            return False
    except FileNotFoundError:
        return False
    old = path.with_name(path.name + ".1")
    old.unlink(missing_ok=True)
    with path.open("rb") as source, os.fdopen(os.open(old, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        shutil.copyfileobj(source, copy)
    os.truncate(path, 0)
    return True


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
