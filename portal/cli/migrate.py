"""``portal migrate``: bring the database up to date, before the new version serves."""

import argparse
from pathlib import Path
from typing import Any

from portal.cli.failure import ENDED, CommandFailed
from portal.cli.problems import configured
from portal.database import Database
from portal.errors import StoreUnavailable


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("migrate", help="bring the database up to date")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Say what was done; a second call at the same time waits for the first.

    Raises:
        CommandFailed: the configuration has problems, or the database cannot be used.
    """
    settings, _ = configured(options.config)
    database = Database(settings.database_url)
    try:
        before, after = database.upgrade()
    except StoreUnavailable as error:
        raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error
    finally:
        database.close()
    if before is None:
        print(f"The database was empty; its tables are now those of revision {after}.")
    elif before == after:
        print(f"The database is up to date, at revision {after}.")
    else:
        print(f"The database was at revision {before} and is now at {after}.")
    return 0
