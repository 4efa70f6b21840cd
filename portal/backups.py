"""Backups of the embedded database: one archive, made while the portal runs.

A gzipped tar with three members: ``manifest.json``, ``portal.db`` and, where there is one,
``portal.toml``.  No secret key is in it; the manifest tells by fingerprints which one reads it.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from time import gmtime, strftime
from typing import Final, cast

from portal.sealing import derive_key
from portal.settings import Secret
from portal.sqlite_files import BUSY_TIMEOUT

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DATABASE: Final = "portal.db"
CONFIGURATION: Final = "portal.toml"
_LARGEST_TEXT: Final = 4 * 1024 * 1024


class BackupFailed(Exception):
    """``str(error)`` says why, for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    portal: str
    """Version of the portal that made it."""
    made_at: str
    revision: str
    """Of the database's tables."""
    keys: tuple[str, ...]
    """Fingerprints of the secret keys it can be read with; the first one sealed last."""
    sha256: str
    """Of the database file, in hexadecimal."""


def fingerprint(key: Secret) -> str:
    """Return 16 hexadecimal digits that tell one secret key from another, and nothing of it."""
    return derive_key(key, "fingerprint").hex()[:16]


def make_backup(
    database: Path, file: Path, *, secret_keys: Sequence[Secret], configuration: Path | None, now: int
) -> Manifest:
    """Write a backup of *database* to *file*, which must not be there; readable by its owner alone.

    Raises:
        BackupFailed: it was not made, and nothing is left of it.
    """
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".portal-backup-") as name:  # mode 0700
            folder = Path(name)
            copy = folder / DATABASE
            revision = _copy(database, copy)
            manifest = Manifest(
                format=FORMAT,
                portal=_version(),
                made_at=strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(now)),
                revision=revision,
                keys=tuple(map(fingerprint, secret_keys)),
                sha256=_digest(copy),
            )
            archive = folder / "archive"
            _pack(archive, manifest, copy, configuration, now=now)
            os.link(archive, file)  # never over a file, and never half of one
    except FileExistsError as error:
        raise BackupFailed(f"{file} is there already; a backup overwrites nothing.") from error
    except OSError as error:
        raise BackupFailed(f"{file} cannot be written: {error.strerror or error}.") from error
    except sqlite3.Error as error:
        raise BackupFailed(f"The database cannot be read: {error}.") from error
    return manifest


def unpack(file: Path, *, to: Path) -> tuple[Manifest, bytes | None]:
    """Write the database in *file* to *to*, which must not be there; return manifest and ``portal.toml``.

    Raises:
        BackupFailed: it is no backup, not whole, or not readable.
    """
    texts: dict[str, bytes] = {}
    digest = None
    try:
        with tarfile.open(file, "r:gz") as archive:
            # Only members of known names and kinds, and nothing is extracted by its own path.
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.name in texts:
                    raise BackupFailed(f"{file} is no backup of a portal.")
                if member.name == DATABASE and digest is None:
                    with os.fdopen(
                        os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
                    ) as out:
                        shutil.copyfileobj(content, out)
                        out.flush()
                        os.fsync(out.fileno())
                    digest = _digest(to)
                elif member.name in {MANIFEST, CONFIGURATION} and member.size <= _LARGEST_TEXT:
                    texts[member.name] = content.read()
                else:
                    raise BackupFailed(f"{file} is no backup of a portal.")
        manifest = _manifest(json.loads(texts[MANIFEST]))
    except OSError as error:
        raise BackupFailed(f"{file} cannot be read: {error.strerror or error}.") from error
    except (tarfile.TarError, EOFError, KeyError, ValueError, TypeError) as error:
        raise BackupFailed(f"{file} is no backup of a portal, or not whole.") from error
    if digest != manifest.sha256:
        raise BackupFailed(f"{file} is damaged: its database is not the one that was backed up.")
    return manifest, texts.get(CONFIGURATION)


def _copy(database: Path, copy: Path) -> str:
    """Copy *database* as it is at this moment, while others write; return the revision of its tables."""
    if not database.is_file():
        raise BackupFailed(f"There is no database at {database}.")
    with (
        closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        if target.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise BackupFailed("The database is damaged; what can be read of it is no backup.")
        row = target.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def _pack(archive: Path, manifest: Manifest, copy: Path, configuration: Path | None, *, now: int) -> None:
    said = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    texts = {MANIFEST: json.dumps(said, indent=2).encode()}
    if configuration is not None and configuration.is_file():
        texts[CONFIGURATION] = configuration.read_bytes()
    with os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz") as packed:
            for name, text in texts.items():
                packed.addfile(_member(name, len(text), now=now), BytesIO(text))
            with copy.open("rb") as content:
                packed.addfile(_member(DATABASE, copy.stat().st_size, now=now), content)
        file.flush()
        os.fsync(file.fileno())


def _member(name: str, size: int, *, now: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, now
    return member


def _version() -> str:
    try:
        return version("gradio-portal")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unknown"


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _manifest(said: dict[str, object]) -> Manifest:
    if type(said) is not dict or said.get("format") != FORMAT:
        raise BackupFailed("This backup was made by another version of the portal, in a format that is not known here.")
    keys = said["keys"]
    texts = {name: said[name] for name in ("portal", "made_at", "revision", "sha256")}
    if type(keys) is not list or not all(type(one) is str for one in (*texts.values(), *keys)):
        raise ValueError("the manifest's shapes are wrong")
    return Manifest(format=FORMAT, keys=tuple(keys), **cast("dict[str, str]", texts))
