"""Backups of the SQLite database: one archive, made while the portal runs.

A gzipped tar with up to four members: ``manifest.json``, ``manifest.mac``, ``portal.toml`` if there is one, and
``portal.db``.  It has no secret key; fingerprints in the manifest say which keys can read it.  ``manifest.mac`` is the
HMAC-SHA256 (RFC 2104) of the manifest, under a key derived from the portal's secret key.  The manifest has digest and
size of the other members.  So a restore uses only what a portal with that key wrote, and checks that first.
"""

import gzip
import hashlib
import hmac
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from portal.clock import rfc3339
from portal.settings import Secret
from portal.storage.sealing import derive_key
from portal.storage.sqlite_files import BUSY_TIMEOUT

FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
MAC: Final = "manifest.mac"
DATABASE: Final = "portal.db"
CONFIGURATION: Final = "portal.toml"
_PURPOSE: Final = "backups"
_LARGEST_TEXT: Final = 4 * 1024 * 1024
_LARGEST_READ: Final = 8 * 1024 * 1024
"""Most bytes read from the archive at once: a damaged tar header may state any size."""
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{16}")


class BackupFailed(Exception):
    """No backup was made or restored; ``str(error)`` says why, for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The description of a backup in its archive."""

    format: int
    portal: str
    """Version of the portal that made it."""
    made_at: str
    revision: str
    """Alembic's revision of the tables."""
    keys: tuple[str, ...]
    """Fingerprints of the secret keys that read it; the first one is the key that sealed."""
    sha256: Mapping[str, str]
    """Digests of ``portal.toml`` and ``portal.db``, by their names, in hexadecimal."""
    sizes: Mapping[str, int]
    """Their sizes, in bytes."""


def fingerprint(key: Secret) -> str:
    """Return 16 hexadecimal digits that identify a secret key and disclose nothing of it."""
    return derive_key(key, "fingerprint").hex()[:16]


def make_backup(
    database: Path, file: Path, *, secret_keys: Sequence[Secret], configuration: Path | None, now: int
) -> Manifest:
    """Write a backup of *database* to the new file *file*, readable by its owner alone.

    Raises:
        BackupFailed: no backup was made, and no file is left behind.
    """
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".portal-backup-") as name:  # mode 0700
            folder = Path(name)
            copy = folder / DATABASE
            revision = _copy(database, copy)
            texts = (
                {}
                if configuration is None or not configuration.is_file()
                else {CONFIGURATION: configuration.read_bytes()}
            )
            manifest = Manifest(
                format=FORMAT,
                portal=_version(),
                made_at=rfc3339(now),
                revision=revision,
                keys=tuple(map(fingerprint, secret_keys)),
                sha256={name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
                | {DATABASE: _digest(copy)},
                sizes={name: len(text) for name, text in texts.items()} | {DATABASE: copy.stat().st_size},
            )
            stated = json.dumps(asdict(manifest), indent=2).encode()
            archive = folder / "archive"
            _pack(
                archive,
                {MANIFEST: stated, MAC: _mac(stated, secret_keys[0]), **texts},
                copy,
                now=now,
            )
            os.link(archive, file)  # never overwrites a file, and never leaves half of one
    except FileExistsError as error:
        raise BackupFailed(f"{file} exists already, and a backup does not overwrite it. Name another file.") from error
    except OSError as error:
        raise BackupFailed(f"{file} cannot be written: {error.strerror or error}.") from error
    except sqlite3.Error as error:
        raise BackupFailed(f"The database cannot be read: {error}.") from error
    return manifest


def unpack(
    file: Path, *, to: Path, secret_keys: Sequence[Secret], opened: IO[bytes] | None = None
) -> tuple[Manifest, bytes | None]:
    """Write the database in *file* to the new file *to*; return the manifest, and ``portal.toml`` if it is there.

    *opened* is the open file, if the caller opened it as another user; it stays open.

    Raises:
        BackupFailed: it is not a backup, incomplete, not readable, or not from a portal with one of *secret_keys*.
    """
    try:
        with _open_archive(file if opened is None else opened) as archive:
            text = _text(archive, MANIFEST, size=None)
            manifest = _verify_manifest(text, _text(archive, MAC, size=None), secret_keys, file)
            configuration = None
            if CONFIGURATION in manifest.sizes:
                configuration = _text(archive, CONFIGURATION, size=manifest.sizes[CONFIGURATION])
                _require(hashlib.sha256(configuration).hexdigest() == manifest.sha256[CONFIGURATION], file)
            content = _content(archive, DATABASE, size=manifest.sizes[DATABASE])
            with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
                shutil.copyfileobj(content, out)
                out.flush()
                os.fsync(out.fileno())
            _require(_digest(to) == manifest.sha256[DATABASE] and archive.next() is None, file)
    except (
        tarfile.TarError,
        zlib.error,
        gzip.BadGzipFile,
        EOFError,
        LookupError,
        ValueError,
        TypeError,
        RecursionError,
    ) as error:
        raise BackupFailed(f"{file} is not a backup of a portal, or is incomplete.") from error
    except OSError as error:
        raise BackupFailed(f"{file} cannot be read: {error.strerror or error}.") from error
    return manifest, configuration


class _BoundedStream:
    """A stream for tarfile that reads no more into memory than a backup needs."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.tell = stream.tell
        self.seek = stream.seek

    def read(self, size: int) -> bytes:
        """Return up to *size* bytes.

        Raises:
            ValueError: *size* is larger than a backup needs.
        """
        if not 0 <= size <= _LARGEST_READ:
            raise ValueError("a read larger than a backup needs")
        return self._stream.read(size)


@contextmanager
def _open_archive(file: Path | IO[bytes]) -> Iterator[tarfile.TarFile]:
    with gzip.open(file) as stream, tarfile.TarFile(fileobj=_BoundedStream(stream)) as archive:  # type: ignore[arg-type] # read, tell and seek are all it takes
        yield archive


def _content(archive: tarfile.TarFile, name: str, *, size: int | None) -> IO[bytes]:
    """Return the next member of *archive*, which must be *name*, of the known *size* or else small.

    Only known members in their order are read, and none is extracted by its own path.
    """
    member = archive.next()
    if member is None or member.name != name or member.type != tarfile.REGTYPE:
        raise ValueError(f"there is no {name}")
    if member.size != size if size is not None else member.size > _LARGEST_TEXT:
        raise ValueError(f"{name} has another size")
    content = archive.extractfile(member)
    if content is None:
        raise ValueError(f"{name} is not a file")
    return content


def _text(archive: tarfile.TarFile, name: str, *, size: int | None) -> bytes:
    return _content(archive, name, size=size).read(_LARGEST_TEXT)


def _require(unchanged: bool, file: Path) -> None:  # noqa: FBT001 - the condition
    if not unchanged:
        raise BackupFailed(_change_message(file))


def _change_message(file: Path) -> str:
    return f"{file} was changed or damaged after the portal wrote it."


def _mac(manifest: bytes, key: Secret) -> bytes:
    return hmac.new(derive_key(key, _PURPOSE), manifest, hashlib.sha256).hexdigest().encode()


def _verify_manifest(text: bytes, mac: bytes, secret_keys: Sequence[Secret], file: Path) -> Manifest:
    """Return the manifest in *text*, if *mac* is right under one of *secret_keys*.

    Raises:
        BackupFailed: it is not; the manifest's text then only serves the error message.
    """
    matches = [hmac.compare_digest(mac, _mac(text, key)) for key in secret_keys]
    stated = json.loads(text)
    if type(stated) is not dict or stated.get("format") != FORMAT or type(stated["format"]) is not int:
        raise BackupFailed("Another version of the portal made this backup, in an unknown format.")
    if not any(matches):
        ours, theirs = tuple(map(fingerprint, secret_keys)), stated.get("keys")
        if type(theirs) is not list or not all(type(one) is str and _FINGERPRINT.fullmatch(one) for one in theirs):
            raise BackupFailed(_change_message(file))
        if theirs and theirs[0] not in ours:
            raise BackupFailed(_wrong_key(theirs[0], ours))
        raise BackupFailed(_change_message(file))
    return Manifest(**{**stated, "keys": tuple(stated["keys"])})


def _wrong_key(theirs: str, ours: Sequence[str]) -> str:
    return (
        f"This backup was made with another secret key. Its fingerprint is {theirs}; "
        f"that of PORTAL_SECRET_KEY is {', '.join(ours)}. Set the one it was made with, alone or after a comma."
    )


def _copy(database: Path, copy: Path) -> str:
    """Copy *database* while the portal runs; return the revision of its tables."""
    if not database.is_file():
        raise BackupFailed(f"There is no database at {database}.")
    with (
        closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a write-ahead log
        if target.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise BackupFailed("The database is damaged, so no backup was made.")
        row = target.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def _pack(archive: Path, texts: Mapping[str, bytes], copy: Path, *, now: int) -> None:
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
