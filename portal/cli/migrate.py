"""``portal migrate``: brings tables to the newest revision, and sealed values under the first secret key."""

from pathlib import Path

import click

from portal.cli import options
from portal.cli.messages import examples
from portal.cli.opened_database import opened_database
from portal.cli.operators import record_command
from portal.machine.problems import configured
from portal.storage.resealing import ResealResult, reseal


@click.command(epilog=examples("portal migrate"))
@options.config
def migrate(*, config: Path | None) -> int:
    """Bring the database up to date.

    A second call at the same time waits for the first.
    """
    settings, _ = configured(config)
    with opened_database(settings) as database:
        before, after = database.upgrade()
        resealed = reseal(database, settings.secret_keys)
    if before is None:
        click.echo(f"The database was empty; its tables are now those of revision {after}.")
    elif before == after:
        click.echo(f"The database is up to date, at revision {after}.")
    else:
        click.echo(f"The database was at revision {before} and is now at {after}.")
    if before not in {None, after} or resealed.anew:
        record_command(settings, "migrate")
    _report(resealed, keys=len(settings.secret_keys))
    return 0


def _report(resealed: ResealResult, *, keys: int) -> None:
    if resealed.lost:
        values = "One value" if resealed.lost == 1 else f"{resealed.lost} values"
        click.echo(
            f"{values} of the database cannot be decrypted. Add the key that encrypted them to PORTAL_SECRET_KEY."
        )
    elif keys > 1:
        anew = "One value was" if resealed.anew == 1 else f"{resealed.anew} values were"
        click.echo(f"{anew} encrypted again with the first secret key. The database does not need the others any more.")
