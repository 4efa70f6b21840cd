"""Whether a portal runs on a data folder: a lock that every worker shares, and that ends with it.

What replaces the stores under the portal asks for the lock alone, and does not get it while one runs.
"""

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
"""Folder with a file for each process that is ready to answer, called by its id."""


def hold(data_dir: Path) -> int:
    """Say that a portal runs on *data_dir*, until the returned descriptor is closed or the process ends.

    Waits for a restore that is under way.

    Raises:
        StoreUnavailable: the folder cannot be used, or is not the portal's own.
    """
    try:
        make_private_folder(data_dir)
        lock = _opened(data_dir)
    except OSError as error:
        raise StoreUnavailable(f"the data folder cannot be used: {error}") from error
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def say_answering(data_dir: Path) -> None:
    """Say that this process is ready to answer, as long as it lives.  A disk that takes no more costs that alone."""
    file = data_dir / _ANSWERING / str(os.getpid())
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in file.parent.iterdir():  # by processes that could not take it away
            if left.name.isdigit() and not _lives(int(left.name)):
                left.unlink(missing_ok=True)
        file.touch(mode=0o600)
        atexit.register(file.unlink, missing_ok=True)


def answering(data_dir: Path) -> frozenset[int]:
    """Return the ids of the processes that said so; some may have ended since."""
    try:
        return frozenset(int(file.name) for file in (data_dir / _ANSWERING).iterdir() if file.name.isdigit())
    except OSError:
        return frozenset()


@contextmanager
def nobody_runs(data_dir: Path) -> Iterator[bool]:
    """Yield whether no portal runs on *data_dir*; if none does, none starts until the block ends.

    Raises:
        OSError: the folder cannot be used.
        StoreUnusable: it is not the portal's own.
    """
    make_private_folder(data_dir)
    lock = _opened(data_dir)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _opened(data_dir: Path) -> int:
    return os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's: the number was given again
        return True
    return True
