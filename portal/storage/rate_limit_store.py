"""Counters of rate limits in a small SQLite file, shared by all processes of one machine.

With a counter per process, a client could use up the limit in each.  Counters matter for a minute only: nothing waits
for the disk, and if the file cannot be used, Flask-Limiter counts in memory.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import unquote

from limits.storage import Storage

from portal.clock import system_clock
from portal.errors import StoreUnusable
from portal.storage.sqlite_files import prepare_file

FILE: Final = "limits.db"
"""Name of the file in the data folder."""
SCHEME: Final = "machine"
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS counters (key TEXT PRIMARY KEY, count INTEGER NOT NULL, expires_at INTEGER NOT NULL)
    WITHOUT ROWID
"""
_COUNT: Final = """
    INSERT INTO counters (key, count, expires_at) VALUES (:key, :amount, :now + :expiry)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN expires_at > :now THEN count ELSE 0 END + :amount,
        expires_at = CASE WHEN expires_at > :now THEN expires_at ELSE :now + :expiry END
    RETURNING count
"""
_PATIENCE: Final = 1.0
"""How long to wait for another process, in seconds."""
_SWEEP: Final = 60.0
"""How often each process deletes expired counters, in seconds."""


class SharedCounters(Storage):
    """A storage of ``limits`` for fixed windows; its URI is :data:`SCHEME`, ``://`` and the path of the file."""

    STORAGE_SCHEME: list[str] | None = [SCHEME]  # noqa: RUF012 - the library's own declaration

    def __init__(self, uri: str, wrap_exceptions: bool = False, **_: float | str | bool) -> None:  # noqa: FBT001, FBT002 - the library's signature
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._path = Path(unquote(uri.partition("://")[2]))
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._swept_at = time.monotonic()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors of this storage."""
        return (sqlite3.Error, OSError, StoreUnusable)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add *amount* to the counter of *key*, whose first request begins a window of *expiry* seconds."""
        values = {"key": key, "amount": amount, "now": system_clock(), "expiry": expiry}
        count = self._do(lambda connection: connection.execute(_COUNT, values).fetchone()[0])
        if time.monotonic() - self._swept_at > _SWEEP:
            self._swept_at = time.monotonic()
            self._do(
                lambda connection: connection.execute("DELETE FROM counters WHERE expires_at <= ?", (system_clock(),))
            )
        return int(count)

    def get(self, key: str) -> int:
        """Return the counter of *key* in the current window."""
        row = self._row(key)
        return 0 if row is None else int(row[0])

    def get_expiry(self, key: str) -> float:
        """Return when the window of *key* ends; now, if there is none."""
        row = self._row(key)
        return system_clock() if row is None else float(row[1])

    def check(self) -> bool:
        """Return whether the file can be used."""
        try:
            self.incr("check", 1)
        except self.base_exceptions:
            return False
        return True

    def reset(self) -> int | None:
        """Delete all counters; return how many there were."""
        return int(self._do(lambda connection: connection.execute("DELETE FROM counters").rowcount))

    def clear(self, key: str) -> None:
        """Delete the counter of *key*."""
        self._do(lambda connection: connection.execute("DELETE FROM counters WHERE key = ?", (key,)))

    def _row(self, key: str) -> Any:
        query = "SELECT count, expires_at FROM counters WHERE key = ? AND expires_at > ?"
        return self._do(lambda connection: connection.execute(query, (key, system_clock())).fetchone())

    def _do(self, task: Callable[[sqlite3.Connection], Any]) -> Any:
        with self._lock:
            try:
                self._connection = self._connection or self._connect()
                return task(self._connection)
            except BaseException:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                raise

    def _connect(self) -> sqlite3.Connection:
        with prepare_file(self._path, make_folder=False):
            connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_SCHEMA)
            return connection


def address_of(folder: Path) -> str:
    """Return the URI of the counters in *folder*."""
    return f"{SCHEME}://{(folder / FILE).absolute()}"
