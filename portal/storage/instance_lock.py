"""The lock of a portal that runs on a data folder: shared by its workers, exclusive for a restore."""

import atexit
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from portal.errors import StoreUnavailable
from portal.storage.private_files import make_private_folder

LOCK: Final = "running.lock"
_ANSWERING: Final = "workers"
"""Folder with a file for each worker that is ready, named by its process id."""


def shared_lock(data_dir: Path) -> int:
    """Take the shared lock on *data_dir* until the returned descriptor is closed or the process ends.

    Waits for a restore to finish.

    Raises:
        StoreUnavailable: the folder cannot be used, or belongs to another user.
    """
    try:
        make_private_folder(data_dir)
        lock = _open_lock(data_dir)
    except OSError as error:
        raise StoreUnavailable(f"the data folder cannot be used: {error}") from error
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def record_ready_worker(data_dir: Path) -> None:
    """Record that this worker is ready, until it ends.  A full disk is ignored."""
    file = data_dir / _ANSWERING / str(os.getpid())
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in file.parent.iterdir():  # a worker that was killed leaves its file
            if other.name.isdigit() and not _lives(int(other.name)):
                other.unlink(missing_ok=True)
        file.touch(mode=0o600)
        atexit.register(file.unlink, missing_ok=True)


def ready_workers(data_dir: Path) -> frozenset[int]:
    """Return the process ids of the workers that are ready; some may have ended since."""
    try:
        return frozenset(int(file.name) for file in (data_dir / _ANSWERING).iterdir() if file.name.isdigit())
    except OSError:
        return frozenset()


@contextmanager
def exclusive_lock(data_dir: Path) -> Iterator[bool]:
    """Try to take the exclusive lock on *data_dir*: yield ``False`` if a portal runs; else none starts in the block.

    Raises:
        OSError: the folder cannot be used.
        StoreUnusable: it belongs to another user.
    """
    make_private_folder(data_dir)
    lock = _open_lock(data_dir)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _open_lock(data_dir: Path) -> int:
    return os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process has the number now
        return True
    return True
