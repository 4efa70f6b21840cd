"""``portal backup FILE``: the database and what tells how to read it, while the portal runs."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portal.clock import system_clock
from portal.configuration.loading import FILE_NAME
from portal.errors import StoreUnusable
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.settings import Settings
from portal.storage.backups import BackupFailed, make_backup
from portal.storage.database import Database


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("backup", help="write the database into one file, while the portal runs")
    parser.add_argument("file", type=Path, metavar="FILE", help="the archive to make; must not be there")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the backup, and say what reads it.

    Raises:
        CommandFailed: it was not made.
    """
    settings, variables = configured(options.config)
    database = embedded_database(settings, instead="pg_dump --format=custom")
    try:
        manifest = make_backup(
            database,
            options.file.absolute(),
            secret_keys=settings.secret_keys,
            configuration=configuration_file(options.config, variables),
            now=system_clock(),
        )
    except BackupFailed as error:
        raise CommandFailed(str(error), exit_code=ENDED) from error
    print(f"{options.file} holds the database at revision {manifest.revision}, and portal.toml.")
    print(
        "It does not hold the secret key, without which it cannot be read: keep PORTAL_SECRET_KEY elsewhere. "
        f"Its fingerprint is {manifest.keys[0]}."
    )
    return 0


def embedded_database(settings: Settings, *, instead: str) -> Path:
    """Return the file of the database.

    Raises:
        CommandFailed: there is none, because it is PostgreSQL.
    """
    try:
        database = Database(settings.database_url)
    except StoreUnusable as error:
        raise CommandFailed(f"The database cannot be used: {error}.", exit_code=ENDED) from error
    try:
        if database.file is None:
            raise CommandFailed(
                f"The database is no file of the portal's, so PostgreSQL's own programs do this: {instead}. "
                "docs/operate.md says how, and what else to do."
            )
        return database.file
    finally:
        database.close()


def configuration_file(chosen: Path | None, variables: Mapping[str, str] = os.environ) -> Path:
    """Return the file that the settings were read from; there may be none."""
    return chosen or Path(variables.get("PORTAL_CONFIG", "").strip() or FILE_NAME)
