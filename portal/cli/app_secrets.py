"""``portal apps secret`` and ``secrets``: the client secrets of apps, printed or written into files."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from portal.access.app_credentials import AppCredentials
from portal.cli import options
from portal.cli.apps import app_named
from portal.cli.messages import examples, print_warning
from portal.cli.opened_database import opened_database
from portal.cli.operators import record_command
from portal.clock import system_clock
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.settings import Secret, Settings
from portal.web.services import app_credentials

_PRIVATE: Final = 0o600


@click.command(epilog=examples("portal apps secret forecast", "portal apps secret forecast --rotate"))
@options.name
@click.option("--rotate", is_flag=True, help="Make a new secret; the old one stops working at once.")
@options.config
def show(*, name: str, rotate: bool, config: Path | None) -> int:
    """Print the client secret of an app that runs elsewhere."""
    settings, _ = configured(config)
    app = app_named(settings, name)
    with _credentials(settings) as credentials:
        secret = credentials.rotate(app.slug) if rotate else credentials.secret_of(app.slug)
    record_command(settings, "apps secret --rotate" if rotate else "apps secret", app=app.slug)
    click.echo(secret.reveal())
    if rotate:
        fix = "Start the app again with the new one." if app.source is None else "Run `portal reload`."
        print_warning(f"the old secret of {app.slug} does not work any more. {fix}")
    return 0


@click.command(epilog=examples("portal apps secrets --into secrets"))
@click.option("--into", "folder", type=options.PATH, required=True, metavar="FOLDER", help="The folder for them.")
@options.config
def write(*, folder: Path, config: Path | None) -> int:
    """Write the client secrets of all apps that run elsewhere."""
    settings, _ = configured(config)
    apps = [app.slug for app in settings.catalogue if app.source is None]
    if not apps:
        click.echo("No app runs elsewhere. An app that has a source gets its secret when it starts.")
        return 0
    with _credentials(settings) as credentials:
        current = {slug: credentials.secret_of(slug) for slug in apps}
    written: dict[Path, bool] = {}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for slug, secret in current.items():
            written[folder / slug] = write_secret(folder / slug, secret)
    except OSError as error:
        raise CommandFailed(f"Cannot write to {folder}: {error.strerror}.", exit_code=ENDED) from error
    record_command(settings, "apps secrets")
    for file, is_new in written.items():
        click.echo(f"{file} {'was written' if is_new else 'is up to date'}.")
    return 0


def write_secret(file: Path, secret: Secret) -> bool:
    """Write *secret* to *file*, readable by its owner only; return whether the file had to change.

    The file is replaced atomically: no link is followed, and nothing is written into an existing file.
    """
    with suppress(OSError, ValueError):
        mode = stat.S_IMODE(file.lstat().st_mode)
        if mode == _PRIVATE and not file.is_symlink() and file.read_text(encoding="utf-8") == secret.reveal():
            return False
    trial = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(secret.reveal())
        trial.replace(file)
    except OSError:
        trial.unlink(missing_ok=True)
        raise
    return True


@contextmanager
def _credentials(settings: Settings) -> Iterator[AppCredentials]:
    """Open the database of the secrets, up to date; see :func:`opened_database`."""
    with opened_database(settings) as database:
        database.upgrade()
        yield app_credentials(settings, database, clock=system_clock)
