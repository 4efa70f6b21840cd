"""``portal config``: writes configuration files for nginx, Caddy and systemd from ``portal.toml``."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from portal.cli import options
from portal.cli.configuration_file import configuration_file
from portal.cli.listening_port import port_of
from portal.cli.messages import examples, print_warning
from portal.deployment.caddy import CURRENT, caddy_configuration
from portal.deployment.nginx import bucket_needed, long_names, nginx_configuration
from portal.deployment.sites import CannotConfigure, sites_of
from portal.deployment.systemd import PORTALS_OWN, Commands, systemd_units
from portal.machine.environments import OWN_INTERPRETER
from portal.machine.exposure import env_file_problems, files_of
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured, format_problems
from portal.machine.programs import PATIENT, portal_program
from portal.machine.users import SystemUsers, accounts_of
from portal.settings import Settings

_SERVE: Final = ("-P", "-m", "gradio_apps.serve")


_OUTPUT: Final = click.option(
    "--output", type=options.PATH, metavar="FILE", help="Write to this file, not to standard output."
)


@click.command(epilog=examples("portal config nginx --certificate fullchain.pem --key key.pem --output portal.conf"))
@click.option("--certificate", type=options.PATH, required=True, metavar="FILE", help="Certificate and its chain, PEM.")
@click.option("--key", type=options.PATH, required=True, metavar="FILE", help="The certificate's key, PEM.")
@_OUTPUT
@options.port
@options.config
def nginx(*, certificate: Path, key: Path, output: Path | None, port: int | None, config: Path | None) -> int:
    """Write a file for /etc/nginx/conf.d."""
    settings, _ = configured(config)
    listening = port or port_of(settings)
    with _problems():
        text = nginx_configuration(settings, port=listening, certificate=certificate.absolute(), key=key.absolute())
        if (bucket := bucket_needed(sites_of(settings, port=listening))) is not None:
            print_warning("\n".join(long_names(bucket)))
        _write(text, output)
    return 0


@click.command(epilog=examples("portal config caddy --output Caddyfile"))
@click.option("--certificate", type=options.PATH, metavar="FILE", help="Certificate and its chain, PEM.")
@click.option("--key", type=options.PATH, metavar="FILE", help="The certificate's key, PEM.")
@_OUTPUT
@options.port
@options.config
def caddy(
    *, certificate: Path | None, key: Path | None, output: Path | None, port: int | None, config: Path | None
) -> int:
    """Write a Caddyfile."""
    settings, _ = configured(config)
    if (certificate is None) != (key is None):
        raise CommandFailed("Give both --certificate and --key, or neither.")
    with _problems():
        text = caddy_configuration(
            settings,
            port=port or port_of(settings),
            version=version_of_caddy(),
            certificate=certificate and certificate.absolute(),
            key=key and key.absolute(),
        )
        _write(text, output)
    return 0


@click.command(epilog=examples("portal config systemd --output /etc/systemd/system"))
@click.option("--output", type=options.PATH, metavar="FOLDER", help="Write into this folder, not to standard output.")
@options.workers
@options.threads
@options.port
@options.config
def systemd(*, output: Path | None, workers: int, threads: int, port: int | None, config: Path | None) -> int:
    """Write units for the portal and one for each app."""
    settings, variables = configured(config)
    listening = port or port_of(settings)
    file = configuration_file(config, variables)
    with _problems():
        _require_env_files(settings, file=file, variables=variables)
        commands = _commands(port=listening, workers=workers, threads=threads)
        _write_units(systemd_units(settings, port=listening, config=file, commands=commands), output)
    return 0


@contextmanager
def _problems() -> Iterator[None]:
    """Turn what the block raises into a message.

    Raises:
        CommandFailed: the configuration does not allow this, or a file cannot be written.
    """
    try:
        yield
    except (CannotConfigure, ValueError) as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        if error.filename is None:  # standard output
            raise
        raise CommandFailed(f"{error.filename} cannot be written: {error.strerror}.", exit_code=ENDED) from error


def version_of_caddy() -> tuple[int, int]:
    """Return the version of this machine's Caddy; without one, the oldest whose syntax is the current one."""
    program = shutil.which("caddy")
    if program is None:
        return CURRENT
    try:
        output = subprocess.run([program, "version"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603 - the Caddy of PATH
    except (OSError, subprocess.SubprocessError):
        return CURRENT
    match = re.match(r"v?(\d+)\.(\d+)", output)
    return CURRENT if match is None else (int(match[1]), int(match[2]))


def _require_env_files(settings: Settings, *, file: Path, variables: Mapping[str, str]) -> None:
    """Check each ``env_file``, which systemd reads as root; the users of the units need not exist yet.

    Raises:
        CommandFailed: someone other than root could replace one, another app could read it, or it is the portal's own.
    """
    accounts, _ = accounts_of(settings, place=str(file), directory=SystemUsers())
    files = files_of(file, here=Path.cwd(), variables=variables)
    files = replace(files, secret=(*files.secret, PORTALS_OWN))
    problems = env_file_problems(settings, accounts, files, by_units=True)
    if problems:
        raise CommandFailed(format_problems(problems))


def _commands(*, port: int, workers: int, threads: int) -> Commands:
    portal = portal_program(
        port=port,
        environ={},
        cwd=Path.cwd(),
        log=None,
        workers=workers,
        threads=threads,
        grace=PATIENT,
    )
    needed = [Path(folder) for folder in (sys.prefix, sys.base_prefix, Path(__file__).resolve().parent)]
    return Commands(portal=portal.argv, app=(sys.executable, *_SERVE), own_interpreter=OWN_INTERPRETER, needed=needed)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def _write_units(units: Mapping[str, str], folder: Path | None) -> None:
    if folder is None:
        click.echo("\n".join(f"# {name}\n{text}" for name, text in units.items()), nl=False)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in units.items():
        (folder / name).write_text(text, encoding="utf-8")
    click.echo(f"Wrote {len(units)} units into {folder}{os.sep}.")
