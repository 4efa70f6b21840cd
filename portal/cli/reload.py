"""``portal reload``: has a running ``portal serve`` apply ``portal.toml``; no request fails."""

import json
from pathlib import Path
from typing import Final

import click

from portal.cli import options
from portal.cli.messages import examples
from portal.cli.operators import record_command
from portal.contract.local_sockets import connect_to
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.supervisor_socket import reload_socket

_PATIENCE: Final = 4000.0
"""Seconds that a reload may take: an app may need an hour to start."""
_LARGEST: Final = 1024 * 1024


@click.command(epilog=examples("portal reload", "portal reload --apps"))
@click.option("--apps", is_flag=True, help="Start new processes for all apps, changed or not.")
@options.config
def reload(*, apps: bool, config: Path | None) -> int:
    """Apply portal.toml to a running portal, without a gap.

    The portal, and each app whose configuration changed, gets new processes. The old ones finish their requests.
    A configuration with problems changes nothing.
    """
    settings, _ = configured(config)
    path = reload_socket(settings)
    try:
        with connect_to(path, timeout=_PATIENCE) as connection:
            connection.sendall(json.dumps({"every_app": apps}).encode() + b"\n")
            click.echo("The configuration has no problems. The old processes answer until the new ones are ready.")
            with connection.makefile("rb") as reader:
                answer = json.loads(reader.readline(_LARGEST))
        lines, exit_code = [str(line) for line in answer["lines"]], int(answer["exit_code"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CommandFailed(
            f"No `portal serve` answers at {path}. Is it running, with this configuration and as this user? "
            "With the units of `portal config systemd`, use: systemctl reload gradio-portal.",
            exit_code=ENDED,
        ) from error
    if exit_code and len(lines) == 1:
        raise CommandFailed(lines[0], exit_code=exit_code)
    click.echo("\n".join(lines))
    record_command(settings, "reload --apps" if apps else "reload")
    return exit_code
