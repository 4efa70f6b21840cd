"""The portal's database: SQLite in WAL mode, or PostgreSQL through psycopg.

Reads and writes are separate.  A write is one transaction.  On SQLite it takes the write lock at the
start (``BEGIN IMMEDIATE``), so that it never waits for it half-way.  On PostgreSQL the stores lock
the rows they decide on (``FOR UPDATE``).
"""

import secrets
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, make_url

from portal.errors import StoreUnavailable, StoreUnusable
from portal.settings import Secret
from portal.storage import tables
from portal.storage.sqlite_files import BUSY_TIMEOUT, call_after_fork, identity_of, prepare_file

_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_MIGRATION_LOCK: Final = 0x67726164696F  # the same for all portals: advisory locks of PostgreSQL are per database
_PING_PATIENCE: Final = 2
_WRITE: Final = "portal_write"
_OPENED: Final = "portal_file"
_AFTER_COMMIT: Final = "portal_after_commit"
_NO_DRIVER: Final = (
    "psycopg, the driver for PostgreSQL, cannot be loaded; install it with pip install 'gradio-portal[postgresql]'"
)
_inherited: Final[list[sa.Pool]] = []
"""Pools of a parent process, which must neither be used nor closed here."""
_UNUSABLE: Final = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)


class Database:
    """One database, shared by the threads of a process and by processes.

    Raises:
        StoreUnusable: the driver of PostgreSQL is not installed.
    """

    def __init__(self, url: Secret) -> None:
        self._url = _normal(make_url(url.reveal()))
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        try:
            self._engine = _sqlite_engine(self._url) if self._is_sqlite else _postgresql_engine(self._url)
        except ImportError as error:  # psycopg is not installed, or finds no libpq
            raise StoreUnusable(_NO_DRIVER) from error
        self._writing = self._engine.execution_options(**{_WRITE: True})
        weakref.finalize(self, self._engine.dispose)
        call_after_fork(self.leave_connections)

    def upgrade(self) -> tuple[str | None, str]:
        """Bring the tables up to date; several processes may do so at once.

        Returns the revisions before and after; ``None`` for a database without tables.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        path = self.file
        if path is None:
            return self._migrate()
        try:
            with prepare_file(path):
                return self._migrate()
        except (OSError, sqlite3.Error) as error:
            kind = StoreUnusable if type(error) is sqlite3.DatabaseError else StoreUnavailable
            raise kind(f"the database file cannot be used: {error}") from error

    @property
    def file(self) -> Path | None:
        """The SQLite file; ``None`` where the database is in memory, or PostgreSQL."""
        return _file_of(self._url) if self._is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection for reading; each statement sees what is committed when it begins.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with _translate_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in one transaction, committed at the end, rolled back by any exception.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        tasks: list[Callable[[], None]] = []
        with _translate_errors(), self._writing.begin() as connection:
            connection.info[_AFTER_COMMIT] = tasks
            yield connection
        for task in tasks:
            task()

    def ping(self) -> None:
        """Check that the database answers and can be written to, by writing a number that nothing reads.

        Waits for other writers for two seconds, less than real work does.

        Raises:
            StoreUnavailable: it is locked, full, read-only or missing.
        """
        if not self._is_sqlite:
            with self.write() as connection:
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_PING_PATIENCE}s'"))
                connection.execute(sa.text(f"SET LOCAL statement_timeout = '{_PING_PATIENCE}s'"))
                # PostgreSQL writes a row even if nothing in it changes.
                same = tables.signing_keys.c.signs_from
                connection.execute(sa.update(tables.signing_keys).values(signs_from=same))
            return
        with self.read() as connection:
            usual = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {min(usual, _PING_PATIENCE * 1000)}")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                # SQLite skips writes that change nothing.
                connection.exec_driver_sql(f"PRAGMA user_version = {secrets.randbits(31)}")
                connection.exec_driver_sql("COMMIT")  # a full disk shows here
            finally:
                connection.rollback()
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {usual}")

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._engine.dispose()

    def leave_connections(self) -> None:
        """Drop all connections without closing them: they belong to the parent process."""
        _inherited.append(self._engine.pool)
        self._engine.dispose(close=False)

    def _migrate(self) -> tuple[str | None, str]:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.write() as connection:
            if not self._is_sqlite:
                # A second process waits for the first; a step over large tables may take long.
                connection.execute(sa.text("SET LOCAL lock_timeout = '120s'"))
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            present = MigrationContext.configure(connection).get_current_revision()
            head = str(ScriptDirectory.from_config(config).get_current_head())
            if present != head:
                config.attributes["connection"] = connection
                try:
                    command.upgrade(config, "head")
                except CommandError as error:
                    raise StoreUnusable(f"another version of the portal made the database: {error}") from error
            return present, head


def after_commit(connection: sa.Connection, task: Callable[[], None]) -> None:
    """Have *task* called once the transaction of *connection*, of :meth:`Database.write`, is committed.

    It must not raise: what was written is written.
    """
    connection.info[_AFTER_COMMIT].append(task)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _UNUSABLE as error:
        raise StoreUnavailable(f"{type(error).__name__}: {_cause(error)}") from error
    except exc.DatabaseError as error:
        # A file that is damaged or not a database is a plain DatabaseError; a broken constraint is a bug.
        if type(error) is exc.DatabaseError:
            raise StoreUnusable(_cause(error)) from error
        raise


def _cause(error: Exception) -> str:
    """Return the driver's message, without the statement and its values, which may be personal data."""
    return str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]


def _normal(url: URL) -> URL:
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        return url
    raise ValueError(f"the portal supports sqlite and postgresql, not {url.drivername}")


def _file_of(url: URL) -> Path | None:
    return None if url.database in {None, "", ":memory:"} else Path(str(url.database))


def _sqlite_engine(url: URL) -> sa.Engine:
    # An in-memory database has one connection, which threads use in turn.
    pool = {"pool_size": 1, "max_overflow": 0} if _file_of(url) is None else {"pool_size": 8, "max_overflow": 56}
    engine = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        hide_parameters=True,  # values are personal data, and errors are logged
        pool_timeout=BUSY_TIMEOUT,
        connect_args={"check_same_thread": False} | ({} if "timeout" in url.query else {"timeout": BUSY_TIMEOUT}),
        **pool,
    )

    path = _file_of(url)

    @event.listens_for(engine, "do_connect")
    def refuse_to_make(*_: object) -> None:
        # SQLite would make an empty database in place of one that is missing; only upgrade() may make one.
        if path is not None and identity_of(path) is None:
            raise sqlite3.OperationalError("the database file is missing")

    @event.listens_for(engine, "checkout")
    def refuse_the_deleted(_connection: object, record: Any, _proxy: object) -> None:
        if path is not None and record.info.get(_OPENED) != identity_of(path):
            raise exc.DisconnectionError("the database file was replaced")  # the pool connects again

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        if path is not None:
            record.info[_OPENED] = identity_of(path)
        # Transactions begin in begin() below, not in the driver.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        # A sign-out that was confirmed must survive a power cut.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # Reading needs no BEGIN: each statement is a transaction.
        if connection.get_execution_options().get(_WRITE):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgresql_engine(url: URL) -> sa.Engine:
    waits: dict[str, object] = {
        "connect_timeout": 5,
        "options": "-c lock_timeout=5s -c statement_timeout=15s -c idle_in_transaction_session_timeout=30s",
    }
    # The operator's URL wins.
    waits = {name: value for name, value in waits.items() if name not in url.query}
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_size=8,
        max_overflow=24,
        pool_timeout=BUSY_TIMEOUT,
        pool_pre_ping=True,
        connect_args=waits,
    )
