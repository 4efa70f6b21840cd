"""``portal serve``: the portal and the apps of ``portal.toml``, on one machine."""

import argparse
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from portal.cli import together
from portal.cli.browser import show
from portal.cli.failure import ENDED, CommandFailed
from portal.cli.ports import DEFAULT, require_free
from portal.cli.problems import configured
from portal.cli.processes import Processes
from portal.cli.programs import harmless
from portal.demo.loopback import is_loopback_url
from portal.errors import StoreUnavailable
from portal.settings import Settings


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("serve", help="run the portal and the apps of portal.toml on this machine")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.add_argument("--port", type=int, metavar="N", help=f"on 127.0.0.1 (default: as configured, else {DEFAULT})")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes of the portal (default 2)")
    parser.add_argument("--threads", type=int, default=16, metavar="N", help="threads of each (default 16)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until somebody asks for the end.

    Raises:
        CommandFailed: the configuration has problems, a port is taken, or the database cannot be used.
    """
    settings, variables = configured(options.config)
    port = options.port or port_of(settings)
    purposes = {port: "the portal"} | {
        app.port: f"the app {app.slug}" for app in settings.catalogue if app.source is not None and app.port
    }
    require_free(purposes, mend="Choose others: --port for the portal, portal.apps_port or apps.<slug>.port for apps.")
    environ = dict(os.environ)
    if options.config is not None:
        environ["PORTAL_CONFIG"] = str(options.config.absolute())
    launch = together.Launch(
        settings=settings,
        port=port,
        environ=environ,
        app_environ=harmless(os.environ),
        secrets_from=variables,
        cwd=Path.cwd(),
        logs=None,
        workers=options.workers,
        threads=options.threads,
    )
    with Processes().until_told() as processes:
        try:
            together.start(processes, launch)
        except StoreUnavailable as error:
            raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error

        def announce() -> None:
            print(f"The portal runs at {settings.url}, listening on 127.0.0.1:{port}.", flush=True)
            show(settings.url, wanted=is_loopback_url(settings.url) and not options.no_browser)

        doors = (together.portal_door(launch),)
        return together.stay(processes, together.Watchman(settings, doors=doors, announce=announce))


def port_of(settings: Settings) -> int:
    """Return where to listen: the port of the portal's address on this machine, if it has one."""
    for url in (settings.internal_url, settings.url):
        if url is not None and is_loopback_url(url) and (port := urlsplit(url).port):
            return port
    return DEFAULT
