"""``portal config``: what nginx, Caddy or systemd must be told, written from ``portal.toml``."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from portal.cli.serve import port_of
from portal.configuration.loading import FILE_NAME
from portal.contract.argument_types import PORT, THREADS, WORKERS
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


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("config", help="write the configuration of nginx, Caddy or systemd")
    kinds = parser.add_subparsers(title="for", required=True, metavar="PROGRAM")
    nginx = kinds.add_parser("nginx", help="a file for /etc/nginx/conf.d")
    caddy = kinds.add_parser("caddy", help="a Caddyfile")
    systemd = kinds.add_parser("systemd", help="units for the portal and one per app")
    for each in (nginx, caddy, systemd):
        each.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
        each.add_argument("--port", type=PORT, metavar="N", help="where the portal listens (default: as configured)")
    for each in (nginx, caddy):
        required = each is nginx
        each.add_argument("--certificate", type=Path, required=required, metavar="FILE", help="with its chain, PEM")
        each.add_argument("--key", type=Path, required=required, metavar="FILE", help="the certificate's key, PEM")
        each.add_argument("--output", type=Path, metavar="FILE", help="where to write it (default: standard output)")
    systemd.add_argument("--output", type=Path, metavar="FOLDER", help="where to write them, like /etc/systemd/system")
    systemd.add_argument("--workers", type=WORKERS, default=2, metavar="N", help="processes of the portal (default 2)")
    systemd.add_argument("--threads", type=THREADS, default=16, metavar="N", help="threads of each (default 16)")
    nginx.set_defaults(run=run, kind="nginx")
    caddy.set_defaults(run=run, kind="caddy")
    systemd.set_defaults(run=run, kind="systemd")


def run(options: argparse.Namespace) -> int:
    """Write what was asked for.

    Raises:
        CommandFailed: the configuration has problems, allows no such thing, or the place cannot be written to.
    """
    settings, variables = configured(options.config)
    port = options.port or port_of(settings)
    try:
        if options.kind == "systemd":
            _require_env_files(settings, file=_file(options, variables), variables=variables)
            units = systemd_units(
                settings, port=port, config=_file(options, variables), commands=_commands(options, port=port)
            )
            _write_units(units, options.output)
        else:
            _write(_web_server(settings, options, port=port), options.output)
    except (CannotConfigure, ValueError) as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        if error.filename is None:  # standard output: for every command the same
            raise
        raise CommandFailed(f"{error.filename} cannot be written: {error.strerror}.", exit_code=ENDED) from error
    return 0


def _web_server(settings: Settings, options: argparse.Namespace, *, port: int) -> str:
    certificate, key = options.certificate, options.key
    if (certificate is None) != (key is None):
        raise CommandFailed("Give both --certificate and --key, or neither.")
    if options.kind == "nginx":
        written = nginx_configuration(settings, port=port, certificate=certificate.absolute(), key=key.absolute())
        bucket = bucket_needed(sites_of(settings, port=port))
        if bucket is not None:
            sys.stderr.write("\n".join(("portal: " + long_names(bucket)[0], *long_names(bucket)[1:], "")))
        return written
    paths = {"certificate": None, "key": None}
    if certificate is not None:
        paths = {"certificate": certificate.absolute(), "key": key.absolute()}
    return caddy_configuration(settings, port=port, version=version_of_caddy(), **paths)


def version_of_caddy() -> tuple[int, int]:
    """Return the version of this machine's Caddy; where it has none, that from which on nothing is spelt otherwise."""
    program = shutil.which("caddy")
    if program is None:
        return CURRENT
    try:
        said = subprocess.run([program, "version"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603 - the Caddy of PATH
    except (OSError, subprocess.SubprocessError):
        return CURRENT
    found = re.match(r"v?(\d+)\.(\d+)", said)
    return CURRENT if found is None else (int(found[1]), int(found[2]))


def _file(options: argparse.Namespace, variables: Mapping[str, str]) -> Path:
    chosen = options.config or Path(variables.get("PORTAL_CONFIG", "").strip() or FILE_NAME)
    return Path.cwd() / chosen


def _require_env_files(settings: Settings, *, file: Path, variables: Mapping[str, str]) -> None:
    """Look at the files of variables, which systemd reads as root; the users of the units need not be there yet.

    Raises:
        CommandFailed: one could be exchanged by somebody else than root, read by another app, or is the portal's own.
    """
    accounts, _ = accounts_of(settings, place=str(file), directory=SystemUsers())
    files = files_of(file, here=Path.cwd(), variables=variables)
    files = replace(files, secret=(*files.secret, PORTALS_OWN))
    problems = env_file_problems(settings, accounts, files, by_units=True)
    if problems:
        raise CommandFailed(format_problems(problems))


def _commands(options: argparse.Namespace, *, port: int) -> Commands:
    portal = portal_program(
        port=port,
        environ={},
        cwd=Path.cwd(),
        log=None,
        workers=options.workers,
        threads=options.threads,
        grace=PATIENT,
    )
    needed = [Path(folder) for folder in (sys.prefix, sys.base_prefix, Path(__file__).resolve().parent)]
    return Commands(portal=portal.argv, app=(sys.executable, *_SERVE), own_interpreter=OWN_INTERPRETER, needed=needed)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")


def _write_units(units: Mapping[str, str], folder: Path | None) -> None:
    if folder is None:
        sys.stdout.write("\n".join(f"# {name}\n{text}" for name, text in units.items()))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in units.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"Wrote {len(units)} units into {folder}{os.sep}.")
