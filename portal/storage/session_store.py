"""Browser sessions for Flask-Session in a SQLite file.

Ids are hashed at rest, values are JSON strings and never pickle, a row is written only when
something changed, and a session that was removed meanwhile is not written back.
"""

import json
import logging
import sqlite3
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NoReturn

from flask import Flask, Request, Response
from flask.sessions import SessionMixin
from flask_session.base import ServerSideSession, ServerSideSessionInterface

from portal.clock import Clock
from portal.errors import StoreUnavailable, StoreUnusable
from portal.storage.sqlite_files import BUSY_TIMEOUT, call_after_fork, identity_of, prepare_file

_log: Final = logging.getLogger("portal.sessions")
_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, data TEXT NOT NULL, expires_at INTEGER NOT NULL)
    WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS ix_sessions_expires_at ON sessions (expires_at)",
)
_MAX_COOKIE: Final = 128
"""Longest session id looked up, in characters."""
_SWEEP: Final = 600
"""How often each process deletes expired sessions, in seconds."""
_SWEPT: Final = 500
"""Most sessions deleted at once."""
_UNAVAILABLE: Final = "The portal cannot save your session at the moment. Please try again in a minute.\n"
_inherited: Final[list[sqlite3.Connection]] = []
"""Connections of a parent process, which must neither be used nor closed here."""


class BrowserSession(ServerSideSession):  # type: ignore[misc] # flask_session ships no types
    """The portal's ``flask.session``: a few strings."""

    permanent = True  # the cookie outlives the browser window; the sign-in decides how long it is valid

    def __init__(self, initial: dict[str, str] | None = None, *, sid: str) -> None:
        super().__init__(initial, sid=sid)
        self.new = initial is None
        """Whether it is not in the store yet."""
        self.is_written = False
        """Whether it was written before the response was made."""

    def __bool__(self) -> bool:
        return len(self) > 0

    def clear(self) -> None:
        """Remove everything; Flask-Session's own method would add a member of its own."""
        for name in tuple(self):
            del self[name]
        self.modified = True


class UnreadableSession(dict[str, Any], SessionMixin):
    """A session that could not be read: pages that need it answer 503, other pages work."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise StoreUnavailable("the session store cannot be used")

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = __bool__ = _refuse
    get = setdefault = pop = popitem = clear = update = keys = values = items = _refuse


class SessionStore(ServerSideSessionInterface):  # type: ignore[misc] # flask_session ships no types
    """Browser sessions in one SQLite file, for the workers of one machine."""

    session_class = BrowserSession
    null_session_class = UnreadableSession  # Flask saves no null session

    def __init__(self, app: Flask, path: Path, *, clock: Clock) -> None:
        super().__init__(app, key_prefix="", use_signer=False, permanent=True, sid_length=32)
        self.serializer = None  # its decoder falls back to pickle
        self._path = path
        self._clock = clock
        self._swept_at: int | None = None
        self._idle: deque[tuple[sqlite3.Connection, tuple[int, int] | None]] = deque()
        """Connections that are free, with the file of each."""
        self._has_folder = False
        weakref.finalize(self, _close_all, self._idle)
        call_after_fork(self.leave_connections)

    @contextmanager
    def rotate(self, session: BrowserSession) -> Iterator[None]:
        """Give *session* a new id and write it at once; the old one is deleted after the block.

        If the block fails, the new one is deleted and the browser keeps the old one.

        Raises:
            StoreUnavailable: it was not written.
        """
        former = None if session.new else session.sid
        session.sid, session.new = self._generate_sid(self.sid_length), True
        try:
            session.is_written = self._write(session)
        except (sqlite3.Error, OSError) as error:
            _forget(session)
            raise StoreUnavailable(f"the session store cannot be written: {error}") from error
        try:
            yield
        except BaseException:
            self._try_to_delete(session.sid)
            _forget(session)
            raise
        if former is not None:
            self._try_to_delete(former)

    def _try_to_delete(self, sid: str) -> None:
        try:
            self._delete_session(self._get_store_id(sid))
        except (sqlite3.Error, OSError) as error:
            # Its sign-in has ended or never began, so the row is worthless until it expires.
            _log.error("a session could not be removed: %s", error)

    def open_session(self, app: Flask, request: Request) -> BrowserSession | UnreadableSession:
        """Return the session of the browser's cookie, a new one, or an :class:`UnreadableSession`."""
        try:
            sid = request.cookies.get(self.get_cookie_name(app), "")
            data = self._retrieve_session_data(self._get_store_id(sid)) if 0 < len(sid) <= _MAX_COOKIE else None
        except (sqlite3.Error, OSError) as error:
            # An exception here, before the request is dispatched, would bypass every error page.
            _log.error("the session store cannot be read: %s", error)
            return UnreadableSession()
        # An unknown id is replaced: the browser must not choose it.
        return (
            BrowserSession(sid=self._generate_sid(self.sid_length)) if data is None else BrowserSession(data, sid=sid)
        )

    def save_session(self, app: Flask, session: BrowserSession, response: Response) -> None:
        """Write *session* and set its cookie, if it changed."""
        if session.accessed:
            response.vary.add("Cookie")
        if not session.modified:
            return
        response.vary.add("Cookie")
        if not session:
            self._remove(app, session, response)
            return
        try:
            is_written = session.is_written or self._write(session)
        except (sqlite3.Error, OSError) as error:
            _log.error("the session store cannot be written: %s", error)
            _become_unavailable(response)
            return
        if is_written:
            response.set_cookie(
                self.get_cookie_name(app),
                session.sid,
                expires=self.get_expiration_time(app, session),
                **self._attributes(app),
            )

    def _remove(self, app: Flask, session: BrowserSession, response: Response) -> None:
        # With all its attributes: browsers ignore the removal of a __Host- cookie without Secure.
        response.delete_cookie(self.get_cookie_name(app), **self._attributes(app))
        if not session.new:
            self._try_to_delete(session.sid)

    def _attributes(self, app: Flask) -> dict[str, Any]:
        return {
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
        }

    def _write(self, session: BrowserSession) -> bool:
        """Write *session*; return ``False`` if it was removed meanwhile and therefore is not written."""
        return self._upsert_session(self.app.permanent_session_lifetime, session, self._get_store_id(session.sid))

    def _get_store_id(self, sid: str) -> str:
        return sha256(sid.encode("utf-8", "replace")).hexdigest()

    def _retrieve_session_data(self, store_id: str) -> dict[str, str] | None:
        with self._connection() as connection:
            row = connection.execute(
                "SELECT data FROM sessions WHERE id = ? AND expires_at > ?", (store_id, self._clock())
            ).fetchone()
        return None if row is None else _parse(row[0])

    def _delete_session(self, store_id: str) -> None:
        with self._connection() as connection:
            connection.execute("DELETE FROM sessions WHERE id = ?", (store_id,))

    def _upsert_session(self, session_lifetime: timedelta, session: BrowserSession, store_id: str) -> bool:
        data = json.dumps(dict(session))
        now = self._clock()
        values = (data, now + int(session_lifetime.total_seconds()), store_id)
        with self._connection() as connection:
            if not session.new:
                # Another request may have signed out or rotated it: writing it back would revive the old
                # cookie, and sending it would replace the browser's new one.
                update = "UPDATE sessions SET data = ?, expires_at = ? WHERE id = ?"
                return connection.execute(update, values).rowcount == 1
            connection.execute("INSERT INTO sessions (data, expires_at, id) VALUES (?, ?, ?)", values)
        if self._swept_at is None or not 0 <= now - self._swept_at < _SWEEP:
            self._swept_at = now
            self._delete_expired_sessions()
        return True

    def _delete_expired_sessions(self) -> None:
        with self._connection() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= ? LIMIT ?)",
                (self._clock(), _SWEPT),
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection, opened = self._usable()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append((connection, opened))

    def _usable(self) -> tuple[sqlite3.Connection, tuple[int, int] | None]:
        present = identity_of(self._path)
        while self._idle:
            try:
                connection, opened = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if opened == present and present is not None:
                return connection, opened
            connection.close()  # its file was deleted or replaced
        connection = self._connect()
        return connection, identity_of(self._path)

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._open()
        except StoreUnusable as error:  # like other errors of a file, so that an error page answers
            raise PermissionError(str(error)) from error

    def _open(self) -> sqlite3.Connection:
        with prepare_file(self._path, make_folder=not self._has_folder):
            self._has_folder = True
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            try:
                # Losing a session costs one sign-in and revives none, so nothing waits for the disk.
                connection.execute("PRAGMA synchronous = NORMAL")
                for statement in _SCHEMA:
                    connection.execute(statement)
            except BaseException:
                connection.close()
                raise
        return connection

    def ping(self) -> None:
        """Check that sessions can be written, by writing one that no cookie can name.

        Raises:
            StoreUnavailable: they cannot.
        """
        try:
            with self._connection() as connection:
                connection.execute("INSERT OR REPLACE INTO sessions (data, expires_at, id) VALUES ('{}', 0, 'ping')")
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the session store cannot be written: {error}") from error

    def close(self) -> None:
        """Close all connections that are not in use."""
        _close_all(self._idle)

    def leave_connections(self) -> None:
        """Drop all connections without closing them: they belong to the parent process."""
        _inherited.extend(connection for connection, _ in self._idle)
        self._idle.clear()


def _forget(session: BrowserSession) -> None:
    """Empty *session*, so that neither the error page nor the end of the request uses it."""
    session.clear()
    session.modified = False


def _parse(data: object) -> dict[str, str] | None:
    """Return the strings in *data*; ``None`` for anything else, whoever wrote it."""
    try:
        value = json.loads(data) if type(data) is str else None
    except (ValueError, RecursionError):
        return None
    if type(value) is not dict or not all(type(one) is str for one in value.values()):
        return None
    return value


def _become_unavailable(response: Response) -> None:
    """Replace *response* by an error, so that no page claims that the session was saved."""
    response.headers.remove("Location")
    response.headers.remove("Set-Cookie")
    response.headers["Cache-Control"] = "no-store"
    response.status_code = StoreUnavailable.status
    response.mimetype = "text/plain"
    response.set_data(_UNAVAILABLE)


def _close_all(connections: deque[tuple[sqlite3.Connection, tuple[int, int] | None]]) -> None:
    while connections:
        connections.pop()[0].close()
