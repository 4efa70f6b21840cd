"""``portal restore FILE``: replaces the database with a backup, and ends every sign-in."""

from pathlib import Path

import click

from portal.cli import options
from portal.cli.backup import embedded_database
from portal.cli.configuration_file import configuration_file
from portal.cli.messages import examples
from portal.cli.operators import record_command
from portal.clock import system_clock
from portal.machine import restoring
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.privilege_drop import acting_for
from portal.machine.problems import configured
from portal.storage.backups import BackupFailed


@click.command(epilog=examples("portal restore before-the-upgrade.backup"))
@click.argument("file", type=options.PATH, metavar="FILE", help="An archive that `portal backup` wrote.")
@options.config
def restore(*, file: Path, config: Path | None) -> int:
    """Restore a backup; stop the portal first."""
    settings, variables = configured(config)
    database = embedded_database(settings, instead="pg_restore --clean")
    try:
        # Opened before root is put aside: the portal's user could not read a backup that root made.
        with file.open("rb") as opened, acting_for(settings):
            done = restoring.restore(
                file.absolute(), database=database, settings=settings, now=system_clock(), opened=opened
            )
    except BackupFailed as error:
        raise CommandFailed(f"Nothing was changed. {error}", exit_code=ENDED) from error
    except OSError as error:
        raise CommandFailed(
            f"Nothing was changed. {file} cannot be read: {error.strerror}.", exit_code=ENDED
        ) from error
    click.echo(f"The database is that of {done.manifest.made_at}, made by version {done.manifest.portal}.")
    ended = "One sign-in was" if done.ended == 1 else f"{done.ended} sign-ins were"
    click.echo(f"{ended} ended, and every browser must sign in again.")
    record_command(settings, "restore", made_at=done.manifest.made_at)
    if done.kept is not None:
        click.echo(f"The database that was replaced is {done.kept}; remove it when you do not need it.")
    current = configuration_file(config, variables)
    if done.configuration is not None and (not current.is_file() or current.read_bytes() != done.configuration):
        click.echo(f"The portal.toml in the backup differs. To see it: tar -xzOf {file} portal.toml")
    return 0
