"""``portal doctor``: tests the deployment through its reverse proxy, and says how to fix what breaks Gradio."""

import asyncio
import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from portal.access.probe_tokens import ProbeTokens
from portal.cli import options
from portal.cli.messages import examples, print_report
from portal.clock import system_clock
from portal.contract.argument_types import WholeNumber
from portal.contract.egress import Egress, NotABundle, read_egress
from portal.doctor.connection_probes import trusting
from portal.doctor.examination import Leave, Tools, examine, examine_from_outside
from portal.doctor.findings import PORTAL
from portal.doctor.report import as_object, as_text, count
from portal.errors import StoreUnavailable
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.settings import Settings
from portal.sign_in.providers.registry import build_providers
from portal.storage.database import Database
from portal.web.services import open_audit, signing_keys

SILENCE: Final = 65
"""Seconds that a silent connection must last: a little more than the usual time-out of reverse proxies, a minute."""
_SECONDS: Final = WholeNumber("a number of seconds", 1, 80)


@click.command(
    epilog=examples("portal doctor", "portal doctor --quick --json", "portal doctor https://portal.example.com")
)
@click.argument(
    "url",
    required=False,
    metavar="[URL]",
    help="Test only the public side of this portal; needs no configuration.",
)
@click.option("--ca", type=options.PATH, metavar="FILE", help="A certificate authority that your browsers trust, PEM.")
@click.option("--quick", is_flag=True, help="Skip the test of a long silence.")
@click.option("--silence", type=options.Number(_SECONDS), default=SILENCE, metavar="S", help="Seconds of that silence.")
@options.as_json
@options.config
def doctor(*, url: str | None, ca: Path | None, quick: bool, silence: int, as_json: bool, config: Path | None) -> int:
    """Test portal and apps through the reverse proxy.

    It connects as a browser does, and says how to fix each problem. The exit code is 1 if there is a problem.
    """
    seconds = None if quick else silence
    if url is not None:
        addresses = {PORTAL: _origin_of(url)}
        tools = _tools(read_egress(os.environ), ca, silence=seconds)
        findings = asyncio.run(examine_from_outside(addresses[PORTAL], tools))
    else:
        settings, _ = configured(config)
        addresses = {PORTAL: settings.url, **{app.slug: app.url for app in settings.catalogue}}
        leave, no_leave = _leave(settings)
        tools = _tools(settings.egress, ca, silence=seconds, leave=leave, no_leave=no_leave)
        if not as_json and seconds is not None:
            click.echo(f"This takes {seconds} seconds (--quick skips the long silence).", err=True)
        findings = asyncio.run(examine(settings, build_providers(settings), tools))
    if as_json:
        click.echo(json.dumps(as_object(findings), indent=2))
    else:
        print_report(as_text(findings, addresses=addresses))
    return ENDED if count(findings, "problem") else 0


def _tools(
    egress: Egress, ca: Path | None, *, silence: int | None, leave: Leave | None = None, no_leave: str | None = None
) -> Tools:
    try:
        handshakes, requests = trusting(egress, ca), trusting(egress, ca)
    except NotABundle as error:
        raise CommandFailed(f"The certificate authorities cannot be used: a file or folder of them {error}.") from error
    return Tools(
        for_handshakes=handshakes,
        for_requests=requests,
        clock=system_clock,
        silence=silence,
        leave=leave,
        no_leave=no_leave,
    )


def _leave(settings: Settings) -> tuple[Leave | None, str | None]:
    """Return how to sign probe tokens with the portal's own keys, or why that is not possible."""
    try:
        database = Database(settings.database_url)
        if database.file is not None and not database.file.is_file():
            return None, f"there is no database at {database.file}"
        audit = open_audit(settings.of_command, database, clock=system_clock)
        tokens = ProbeTokens(signing_keys(settings, database, audit), issuer=settings.url)
        tokens.make(audience=None, now=system_clock())
    except StoreUnavailable as error:
        return None, f"the database cannot be used ({error})"
    return lambda audience: tokens.make(audience=audience, now=system_clock()), None


def _origin_of(url: str) -> str:
    """Return *url* as scheme and host.

    Raises:
        CommandFailed: it is not the address of a portal.
    """
    mistaken = CommandFailed(f"{url!r} is not the address of a portal. Give one like https://portal.example.com.")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not a number
    except ValueError as error:
        raise mistaken from error
    is_plain = parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain or not url.isascii():
        raise mistaken
    return f"{parts.scheme}://{parts.netloc}"
