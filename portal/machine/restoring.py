"""Restoring a backup: it is checked completely beside the database, then replaces it.

Old sign-ins must not come back: every sign-in of the backup is revoked with its app sessions, and browser sessions are
deleted.  Neither must signing keys that were revoked since.  The previous database is kept.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import gmtime, strftime
from typing import IO, Final

import sqlalchemy as sa

from portal.access.revocation import RevocationReason
from portal.errors import StoreUnavailable, StoreUnusable
from portal.settings import Secret, Settings
from portal.storage import tables
from portal.storage.backups import BackupFailed, Manifest, fingerprint, unpack
from portal.storage.instance_lock import exclusive_lock
from portal.web.browser_sessions import FILE as SESSIONS
from portal.web.services import Services, build_services

_BESIDE: Final = ("-wal", "-shm", "")
"""Suffixes of a SQLite database's files; the database last, so that a log never remains without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Result of a restore."""

    manifest: Manifest
    ended: int
    """Number of revoked sign-ins."""
    kept: Path | None
    """Where the previous database is now, if there was one."""
    configuration: bytes | None
    """The ``portal.toml`` in the backup."""


def restore(file: Path, *, database: Path, settings: Settings, now: int, opened: IO[bytes] | None = None) -> Restored:
    """Replace the portal's *database*, an SQLite file, by the backup *file*; *opened* is passed to :func:`unpack`.

    Raises:
        BackupFailed: says why; nothing was changed.
    """
    staged = database.with_name(f"{database.name}.restoring")
    try:
        with exclusive_lock(settings.data_dir) as alone:
            if not alone:
                raise BackupFailed(f"A portal runs with the data folder {settings.data_dir}. Stop it, then restore.")
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove(staged)  # of a restore that was interrupted
            try:
                manifest, configuration = unpack(file, to=staged, secret_keys=settings.secret_keys, opened=opened)
                ended = _prepare(staged, manifest, settings, revoked=_revoked_in(database), now=now)
                kept = _set_aside(database, now=now)
                staged.replace(database)
            finally:
                _remove(staged)
            _remove(settings.data_dir / SESSIONS)
            for folder in {database.parent, settings.data_dir}:
                _sync(folder)
    except StoreUnusable as error:
        raise BackupFailed(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    except OSError as error:
        raise BackupFailed(f"{error.filename or database.parent} cannot be used: {error.strerror}.") from error
    return Restored(manifest=manifest, ended=ended, kept=kept, configuration=configuration)


def _revoked_in(database: Path) -> list[tuple[str, int, int]]:
    """Return the signing keys that were revoked in *database*, if it can be read and lists such keys."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as connection:
        return connection.execute("SELECT kid, signs_from, revoked_at FROM revoked_keys").fetchall()
    return []


def _prepare(
    staged: Path, manifest: Manifest, settings: Settings, *, revoked: Sequence[tuple[str, int, int]], now: int
) -> int:
    """Upgrade *staged*, check that it can be read, and revoke its sign-ins and *revoked* keys.

    Returns how many sign-ins those are.

    Raises:
        BackupFailed: it is damaged, of another version, or encrypted with other secret keys.
    """
    try:
        with closing(sqlite3.connect(staged)) as connection:
            # The portal creates none; a foreign one could undo revocations.
            foreign = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()
        if foreign is not None:
            raise BackupFailed("The database in the backup was changed: it contains a trigger or a view.")
        # Nothing of it has happened until the backup is in place, so that the audit log gets nothing yet.
        of_staged = replace(settings, database_url=Secret(f"sqlite:///{staged}"), audit_log=None)
        built = build_services(of_staged, clock=lambda: now, providers={})
        try:
            if not built.keys.is_readable() or built.credentials.unreadable():
                raise BackupFailed(_wrong_keys(manifest, settings))
            built.keys.carry_over(revoked)
            ended = _end_all(built, now=now)
            built.audit.record_left_out(now, is_last=True)
        finally:
            built.database.close()
        with closing(sqlite3.connect(staged)) as connection:
            sound = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            connection.execute("PRAGMA journal_mode = DELETE")  # so that no part of it is in a separate log
    except (StoreUnavailable, sqlite3.Error) as error:
        raise BackupFailed(f"The database in the backup cannot be used: {error}.") from error
    if not sound:
        raise BackupFailed("The database in the backup is damaged.")
    return ended


def _wrong_keys(manifest: Manifest, settings: Settings) -> str:
    ours = ", ".join(map(fingerprint, settings.secret_keys))
    return (
        "PORTAL_SECRET_KEY cannot decrypt all the keys in this backup. The backup was made with the secret keys of "
        f"fingerprint {', '.join(manifest.keys)}; the current one is {ours}. Set all of them, separated by commas."
    )


def _end_all(built: Services, *, now: int) -> int:
    living = sa.select(tables.sign_ins.c.id).where(tables.sign_ins.c.ended_at.is_(None))
    # The guards may still hold sessions of that time: the outbox notifies them once the portal runs.
    with built.outbox.transaction() as revocation:
        ids = list(revocation.connection.execute(living).scalars())
        for sign_in_id in ids:
            built.sign_ins.revoke_in(revocation, sign_in_id, reason=RevocationReason.RESTORED, now=now)
    return len(ids)


def _set_aside(database: Path, *, now: int) -> Path | None:
    if not database.exists():
        return None
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a damaged database is kept as it is
    stem = f"{database.name}.before-{strftime('%Y%m%dT%H%M%SZ', gmtime(now))}"
    kept, number = database.with_name(stem), 1
    while kept.exists():
        number += 1
        kept = database.with_name(f"{stem}-{number}")
    for end in _BESIDE:
        with suppress(FileNotFoundError):
            Path(f"{database}{end}").rename(f"{kept}{end}")
    return kept


def _remove(database: Path) -> None:
    for end in (*_BESIDE, ".lock"):
        Path(f"{database}{end}").unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Write the entries of *folder* to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
