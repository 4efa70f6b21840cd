"""The audit as lines of JSON, in a file or on standard output, for programs that collect it.

A line is one ``write`` at the end of the file, so that lines of several processes do not mix.  A write that fails
fails no request: it is logged, once a minute.
"""

import json
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Final

from portal.clock import Clock
from portal.settings import STDOUT

MAX_LINE: Final = 4096
"""Longest line in bytes: what Linux writes to a pipe in one piece (PIPE_BUF)."""
_log: Final = logging.getLogger("portal.audit_log")
_DISPENSABLE: Final = ("fields", "detail", "name", "email", "issuer")
"""Members that a line which would be too long goes without, in this order."""
_MINUTE: Final = 60


def line_of(members: Mapping[str, object]) -> bytes:
    """Return *members* as one line of JSON in ASCII.

    A line that would be longer than :data:`MAX_LINE` goes without some members, which ``cut`` names.
    """
    kept = dict(members)
    cut: list[str] = []
    for name in (None, *_DISPENSABLE):
        if name in kept:
            del kept[name]
            cut.append(name)
        line = json.dumps(kept | ({"cut": cut} if cut else {})).encode() + b"\n"
        if len(line) <= MAX_LINE:
            break
    return line


class AuditLog:
    """Appends lines to one file, or to standard output.  Safe to share between threads."""

    def __init__(self, target: str, *, clock: Clock) -> None:
        """Open nothing yet.

        *target*: :data:`portal.settings.STDOUT`, or the path of a file, which is made with mode 0600.
        """
        self._path = None if target == STDOUT else Path(target)
        self._clock = clock
        self._lock = Lock()
        self._file: int | None = None
        self._is_torn = False
        """Whether the last line was not written to its end."""
        self._lost = 0
        self._complained_at: int | None = None

    def write(self, members: Mapping[str, object]) -> None:
        """Append *members* as a line.  Never raises :class:`OSError`."""
        line = line_of(members)
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                self._lost += 1
                self._complain(error)
            else:
                if self._lost:
                    _log.warning("the audit log is written again; %d events are missing in it", self._lost)
                    self._lost, self._complained_at = 0, None

    def _append(self, line: bytes) -> None:
        descriptor = 1 if self._path is None else self._opened(self._path)
        whole = b"\n" + line if self._is_torn else line
        written = os.write(descriptor, whole)
        self._is_torn = 0 < written < len(whole) or (self._is_torn and written == 0)
        if written < len(whole):
            raise OSError("the disk is full")

    def _opened(self, path: Path) -> int:
        """Return the descriptor of the file that is at *path* now: a rotation puts another one there."""
        if self._file is not None:
            opened = os.fstat(self._file)
            try:
                if os.path.samestat(opened, path.stat(follow_symlinks=False)):
                    return self._file
            except FileNotFoundError:
                pass
            os.close(self._file)
            self._file, self._is_torn = None, False
        # Without blocking: a named pipe that has no reader must not stop the portal.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("it is not a file")
        self._file = descriptor
        return descriptor

    def _complain(self, error: OSError) -> None:
        now = self._clock()
        if self._complained_at is None or not 0 <= now - self._complained_at < _MINUTE:
            self._complained_at = now
            where = "standard output" if self._path is None else self._path
            _log.error("the audit log, %s, cannot be written: %s; %d events so far", where, error, self._lost)
