"""Whether a portal runs on a data folder: a lock that every worker shares, and that ends with it.

What replaces the stores under the portal asks for the lock alone, and does not get it while one runs.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portal.errors import StoreUnavailable

LOCK: Final = "running.lock"


def hold(data_dir: Path) -> int:
    """Say that a portal runs on *data_dir*, until the returned descriptor is closed or the process ends.

    Waits for a restore that is under way.

    Raises:
        StoreUnavailable: the folder cannot be used.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _opened(data_dir)
    except OSError as error:
        raise StoreUnavailable(f"the data folder cannot be used: {error}") from error
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextmanager
def nobody_runs(data_dir: Path) -> Iterator[bool]:
    """Yield whether no portal runs on *data_dir*; if none does, none starts until the block ends.

    Raises:
        OSError: the folder cannot be used.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
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
