"""Who owns which file of Gradio's cache: a record on disk, beside the files.

So all processes of an app agree: one that is replaced still names files while its successor serves them, and after a
restart, what people uploaded is still theirs.
"""

import json
import logging
import os
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from gradio_apps.runtime.guard.bindings import Owner

MAX_PER_OWNER: Final = 4096
"""Most files of one person; then the one that was not used for longest is forgotten."""
RETENTION: Final = 30 * 24 * 3600
"""How long a file that is not used is remembered, in seconds."""
FOLDER: Final = ".gradio-portal"
"""Folder of the record, in Gradio's cache.  The guard serves nothing from it."""
_NAME: Final = "owners.db"
_SECOND: Final = 1_000_000_000
_REST: Final = 60 * _SECOND
"""Nanoseconds after which a use is written down again."""
_PARTS: Final = 64
"""The oldest are forgotten together, in a part of the limit: it takes a while to find them."""
_PATIENCE: Final = 0.5
"""Seconds to wait for another process of the app that writes."""
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS owned (
        owner TEXT NOT NULL, path BLOB NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (owner, path)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS owned_path ON owned (path);
    CREATE INDEX IF NOT EXISTS owned_used ON owned (owner, used);
"""
_OLDEST: Final = "SELECT path FROM owned WHERE owner = ? ORDER BY used DESC LIMIT -1 OFFSET ?"
_log: Final = logging.getLogger("gradio_portal.guard")

T = TypeVar("T")


class FileOwners:
    """The owners of files by their paths, which are absolute; without the record, no file is a person's own."""

    def __init__(
        self, cache: Callable[[], str], *, limit: int = MAX_PER_OWNER, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """Open nothing yet: the app may change *cache*, Gradio's folder, while it loads."""
        self._cache = cache
        self._limit = limit
        self._clock = clock
        self._opened: tuple[str, sqlite3.Connection] | None = None
        self._added: Counter[str] = Counter()
        """New files of each person since their oldest were last forgotten."""
        self._has_complained = False

    def close(self) -> None:
        """Close the record; the next use opens it again."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def owns(self, owner: Owner, path: str) -> bool:
        """Return whether *path* is a file of *owner*, which counts as its use."""
        return self._ask(lambda record: self._use(record, *_keys(owner, path)), default=False)

    def is_owned(self, path: str) -> bool:
        """Return whether *path* is a file of any person, also if the record cannot be read."""
        query = "SELECT EXISTS (SELECT 1 FROM owned WHERE path = ?)"
        return self._ask(lambda record: bool(record.execute(query, (os.fsencode(path),)).fetchone()[0]), default=True)

    def add(self, owner: Owner, path: str) -> None:
        """Note that *path* is a file of *owner*, if the record can be written."""
        self._ask(lambda record: self._add(record, *_keys(owner, path)), default=None)

    def _add(self, record: sqlite3.Connection, owner: str, path: bytes) -> None:
        if not self._use(record, owner, path):
            record.execute("INSERT OR REPLACE INTO owned VALUES (?, ?, ?)", (owner, path, self._clock()))
            self._added[owner] += 1
            if self._added[owner] >= self._limit / _PARTS:
                del self._added[owner]
                parameters = (owner, owner, self._limit)
                record.execute(f"DELETE FROM owned WHERE owner = ? AND path IN ({_OLDEST})", parameters)  # noqa: S608

    def _use(self, record: sqlite3.Connection, owner: str, path: bytes) -> bool:
        row = record.execute("SELECT used FROM owned WHERE owner = ? AND path = ?", (owner, path)).fetchone()
        now = self._clock()
        if row is not None and abs(now - row[0]) >= _REST:
            with suppress(sqlite3.OperationalError):  # another process writes; the next use says it
                record.execute("UPDATE owned SET used = ? WHERE owner = ? AND path = ?", (now, owner, path))
        return row is not None

    def _ask(self, ask: Callable[[sqlite3.Connection], T], *, default: T) -> T:
        try:
            answer = ask(self._record())
        except (OSError, sqlite3.Error) as error:
            self.close()
            if not self._has_complained:
                self._has_complained = True
                _log.error("The record of who owns files in %s cannot be used: %s", self._cache(), error)
            if type(error) is sqlite3.DatabaseError:  # it is damaged, or no record
                with suppress(OSError):
                    Path(self._cache(), FOLDER, _NAME).unlink()
            return default
        self._has_complained = False
        return answer

    def _record(self) -> sqlite3.Connection:
        cache = self._cache()
        if self._opened is None or self._opened[0] != cache:
            self.close()
            self._opened = cache, _open(Path(cache, FOLDER), before=self._clock() - RETENTION * _SECOND)
        return self._opened[1]


def _open(folder: Path, *, before: int) -> sqlite3.Connection:
    """Open the record in *folder*, and forget the files that were not used since *before*.

    Raises:
        OSError: another user could change the folder, or it cannot be made.
        sqlite3.Error: it cannot be opened.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{folder} is not this user's own folder")
    record = sqlite3.connect(folder / _NAME, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        record.execute("PRAGMA journal_mode = WAL")
        record.execute("PRAGMA synchronous = NORMAL")
        record.executescript(_TABLE)
        with suppress(sqlite3.OperationalError):  # another process writes; the next start does it
            record.execute("DELETE FROM owned WHERE used < ?", (before,))
    except sqlite3.Error:
        record.close()
        raise
    return record


def _keys(owner: Owner, path: str) -> tuple[str, bytes]:
    return json.dumps(owner), os.fsencode(path)
