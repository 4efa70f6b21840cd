"""``portal migrate``: bring the database up to date, before the new version serves, or an old secret key goes."""

import argparse
from pathlib import Path
from typing import Any

from portal.errors import StoreUnavailable
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.privilege_drop import acting_for
from portal.machine.problems import configured
from portal.storage.database import Database
from portal.storage.resealing import Resealed, reseal


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
    try:
        with acting_for(settings):
            database = Database(settings.database_url)
            try:
                before, after = database.upgrade()
                sealed = reseal(database, settings.secret_keys)
            finally:
                database.close()
    except StoreUnavailable as error:
        raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error
    if before is None:
        print(f"The database was empty; its tables are now those of revision {after}.")
    elif before == after:
        print(f"The database is up to date, at revision {after}.")
    else:
        print(f"The database was at revision {before} and is now at {after}.")
    _tell(sealed, keys=len(settings.secret_keys))
    return 0


def _tell(sealed: Resealed, *, keys: int) -> None:
    if sealed.lost:
        values = "One value" if sealed.lost == 1 else f"{sealed.lost} values"
        print(f"{values} of the database cannot be read under PORTAL_SECRET_KEY. Add the key they were sealed under.")
    elif keys > 1:
        anew = "One value was" if sealed.anew == 1 else f"{sealed.anew} values were"
        print(f"{anew} sealed anew under the first secret key. The others are no longer needed for the database.")
