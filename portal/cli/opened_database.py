"""The portal's database, for commands that change it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from portal.errors import StoreUnavailable
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.privilege_drop import acting_for
from portal.settings import Settings
from portal.storage.database import Database


@contextmanager
def opened_database(settings: Settings) -> Iterator[Database]:
    """Open the database as the portal's user, and close it after the block.

    Raises:
        CommandFailed: the database cannot be used.
    """
    try:
        with acting_for(settings), closing(Database(settings.database_url)) as database:
            yield database
    except StoreUnavailable as error:
        raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error
