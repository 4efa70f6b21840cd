"""``portal backup FILE``: the database and the configuration, in one archive."""

from pathlib import Path

import click

from portal.cli import options
from portal.cli.configuration_file import configuration_file
from portal.cli.messages import examples
from portal.cli.operators import record_command
from portal.clock import system_clock
from portal.errors import StoreUnusable
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.settings import Settings
from portal.storage.backups import BackupFailed, make_backup
from portal.storage.database import Database


@click.command(epilog=examples("portal backup before-the-upgrade.backup"))
@click.argument("file", type=options.PATH, metavar="FILE", help="The archive to write; it must not exist yet.")
@options.config
def backup(*, file: Path, config: Path | None) -> int:
    """Write the database into one file, while the portal runs."""
    settings, variables = configured(config)
    database = embedded_database(settings, instead="pg_dump --format=custom")
    try:
        manifest = make_backup(
            database,
            file.absolute(),
            secret_keys=settings.secret_keys,
            configuration=configuration_file(config, variables),
            now=system_clock(),
        )
    except BackupFailed as error:
        raise CommandFailed(str(error), exit_code=ENDED) from error
    record_command(settings, "backup")
    click.echo(f"{file} holds the database at revision {manifest.revision}, and portal.toml.")
    click.echo(
        "It does not hold the secret key, which restoring needs: keep a copy of PORTAL_SECRET_KEY somewhere else. "
        f"Its fingerprint is {manifest.keys[0]}."
    )
    return 0


def embedded_database(settings: Settings, *, instead: str) -> Path:
    """Return the path of the SQLite database.

    Raises:
        CommandFailed: the database is in PostgreSQL, or cannot be used.
    """
    try:
        database = Database(settings.database_url)
    except StoreUnusable as error:
        raise CommandFailed(f"The database cannot be used: {error}.", exit_code=ENDED) from error
    try:
        if database.file is None:
            raise CommandFailed(
                f"The database is in PostgreSQL, so use PostgreSQL's own program: {instead}. See docs/operate.md for "
                "the other steps."
            )
        return database.file
    finally:
        database.close()
