"""``portal reload``: what ``portal.toml`` says now, without a request that fails."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from portal.contract.local_sockets import connected
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.machine.serving import reload_socket

_PATIENCE: Final = 4000.0
"""Seconds that a reload may take: an app has up to an hour to come up."""
_LARGEST: Final = 1024 * 1024


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser(
        "reload",
        help="have a running portal serve follow portal.toml, without a gap",
        description="New processes of the portal, and of the apps whose configuration changed, take the place of the "
        "old ones, which finish what runs in them. A configuration with problems changes nothing.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.add_argument("--apps", action="store_true", help="new processes for all apps, changed or not")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask for a reload, and say what came of it.

    Raises:
        CommandFailed: nobody is there to ask, or the configuration has problems.
    """
    settings, _ = configured(options.config)
    path = reload_socket(settings)
    try:
        with connected(path, patience=_PATIENCE) as connection:
            connection.sendall(json.dumps({"every_app": options.apps}).encode() + b"\n")
            print("The configuration has no problems. What is running answers until the new is there.", flush=True)
            with connection.makefile("rb") as reader:
                answer = json.loads(reader.readline(_LARGEST))
        lines, exit_code = [str(line) for line in answer["lines"]], int(answer["exit_code"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CommandFailed(
            f"No `portal serve` answers at {path}. Does it run, with this configuration and as this user? "
            "Under the units of `portal config systemd`: systemctl reload gradio-portal.",
            exit_code=ENDED,
        ) from error
    if exit_code and len(lines) == 1:
        raise CommandFailed(lines[0], exit_code=exit_code)
    print("\n".join(lines))
    return exit_code
