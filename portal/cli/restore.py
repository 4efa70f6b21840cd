"""``portal restore FILE``: a backup becomes the database again, and nobody is signed in."""

import argparse
from pathlib import Path
from typing import Any

from portal.cli.backup import configuration_file, embedded_database
from portal.clock import system_clock
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.privilege_drop import acting_for
from portal.machine.problems import configured
from portal.machine.restoring import restore
from portal.storage.backups import BackupFailed


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("restore", help="put a backup back; the portal must be stopped")
    parser.add_argument("file", type=Path, metavar="FILE", help="what portal backup made")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Restore, and say what was done.

    Raises:
        CommandFailed: nothing was changed.
    """
    settings, variables = configured(options.config)
    database = embedded_database(settings, instead="pg_restore --clean")
    try:
        # Opened by whoever asks, who made it: where root does, the portal's user could not read it.
        with options.file.open("rb") as opened, acting_for(settings):
            done = restore(
                options.file.absolute(), database=database, settings=settings, now=system_clock(), opened=opened
            )
    except BackupFailed as error:
        raise CommandFailed(f"Nothing was changed. {error}", exit_code=ENDED) from error
    except OSError as error:
        raise CommandFailed(
            f"Nothing was changed. {options.file} cannot be read: {error.strerror}.", exit_code=ENDED
        ) from error
    print(f"The database is that of {done.manifest.made_at}, made by version {done.manifest.portal}.")
    ended = "One sign-in was" if done.ended == 1 else f"{done.ended} sign-ins were"
    print(f"{ended} ended, and every browser must sign in again.")
    if done.kept is not None:
        print(f"What was there before is kept as {done.kept}; remove it when you do not need it.")
    file = configuration_file(options.config, variables)
    if done.configuration is not None and (not file.is_file() or file.read_bytes() != done.configuration):
        print(f"The portal.toml of that time is another one: tar -xzOf {options.file} portal.toml")
    return 0
