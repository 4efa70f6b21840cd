"""``portal apps secrets``: the client secrets of the apps that run elsewhere, each in a file of its own."""

import argparse
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from portal.clock import system_clock
from portal.errors import StoreUnavailable
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.privilege_drop import acting_for
from portal.machine.problems import configured
from portal.settings import Secret, Settings
from portal.storage.database import Database
from portal.web.services import app_credentials

_PRIVATE: Final = 0o600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes to *parser*."""
    parser.add_argument(
        "--into", type=Path, required=True, metavar="FOLDER", help="where to write them, one file named like each app"
    )


def run(options: argparse.Namespace) -> int:
    """Write what is not there yet or was rotated, and say so; what is right stays untouched.

    Raises:
        CommandFailed: the database cannot be used, or the folder cannot be written to.
    """
    settings, _ = configured(options.config)
    if all(app.source is not None for app in settings.catalogue):
        print("No app runs elsewhere: those that have a source are handed their secrets at their start.")
        return 0
    try:
        with acting_for(settings):
            known = dict(_secrets_of(settings))
    except StoreUnavailable as error:
        raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error
    folder: Path = options.into
    written: dict[Path, bool] = {}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for slug, secret in known.items():
            written[folder / slug] = write_secret(folder / slug, secret)
    except OSError as error:
        raise CommandFailed(f"{folder} cannot be written to: {error.strerror}.", exit_code=ENDED) from error
    for file, is_new in written.items():
        print(f"{file} {'was written' if is_new else 'is right already'}.")
    return 0


def write_secret(file: Path, secret: Secret) -> bool:
    """Have *file* hold *secret*, for its owner alone; return whether that had to be written.

    Whatever is there under that name is replaced at once and as a whole, never written through or into.
    """
    with suppress(OSError, ValueError):
        mode = stat.S_IMODE(file.lstat().st_mode)
        if mode == _PRIVATE and not file.is_symlink() and file.read_text(encoding="utf-8") == secret.reveal():
            return False
    trial = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(secret.reveal())
        trial.replace(file)
    except OSError:
        trial.unlink(missing_ok=True)
        raise
    return True


def _secrets_of(settings: Settings) -> Iterator[tuple[str, Secret]]:
    database = Database(settings.database_url)
    try:
        database.upgrade()
        known = app_credentials(settings, database, clock=system_clock)
        for app in settings.catalogue:
            if app.source is None:
                yield app.slug, known.secret_of(app.slug)
    finally:
        database.close()
