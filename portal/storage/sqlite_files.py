"""The portal's SQLite files: private to its user, in WAL mode.

Several workers may start at the same moment, so one of them at a time prepares a file, under a file lock.
"""

import fcntl
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from portal.storage.private_files import close_to_others

BUSY_TIMEOUT: Final = 5.0
"""How long a statement waits for another writer, in seconds."""


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file at *path*, or ``None`` if there is none.

    A connection keeps using a file that was deleted or replaced, and loses whatever it writes there.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def call_after_fork(method: Callable[[], None]) -> None:
    """Have *method* called in every child process, as long as its object lives."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        living = reference()
        if living is not None:
            living()

    os.register_at_fork(after_in_child=call)


@contextmanager
def prepare_file(path: Path, *, make_folder: bool = True) -> Iterator[None]:
    """Lock the database *path* for preparation; in the block the file exists and is in WAL mode.

    Without *make_folder*, a folder that is missing is not made, so that the operator can put it back.

    Raises:
        OSError: the folder or the file cannot be made.
        StoreUnusable: the file belongs to another user and is open to more than that user.
        sqlite3.Error: the file is not a database.
    """
    if make_folder:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A separate file: closing any descriptor of the database would drop SQLite's POSIX locks on it.
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm", ".lock"))):
            close_to_others(file)
        if not path.exists():
            # SQLite gives its -wal and -shm files the mode of the database.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        yield
    finally:
        os.close(lock)
