"""``portal doctor``: through the real front, what breaks Gradio before a person does, each with its fix."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from portal.access.probe_tokens import ProbeTokens
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
from portal.web.services import signing_keys

SILENCE: Final = 65
"""Seconds of silence that must not be cut: a little more than the minute after which web servers do."""
_SECONDS: Final = WholeNumber("a number of seconds", 1, 80)


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser(
        "doctor",
        help="look at portal and apps through the web server in front, and say what to fix",
        description="Look at portal and apps through the web server in front, as a browser would; say what to fix.",
    )
    parser.add_argument(
        "url", nargs="?", metavar="URL", help="only what a stranger sees of this portal; needs no configuration"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="an authority that browsers know here, PEM")
    parser.add_argument("--quick", action="store_true", help="leave the long silence out")
    parser.add_argument(
        "--silence", type=_SECONDS, default=SILENCE, metavar="S", help=f"how long it is (default {SILENCE} seconds)"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what was found; return 1 where there is a problem.

    Raises:
        CommandFailed: the configuration, the address or the authority cannot be used.
    """
    if options.url is not None:
        url = _checked(options.url)
        addresses = {PORTAL: url}
        findings = asyncio.run(examine_from_outside(url, _means(options, read_egress(os.environ))))
    else:
        settings, _ = configured(options.config)
        addresses = {PORTAL: settings.url, **{app.slug: app.url for app in settings.catalogue}}
        leave, why_not = _leave(settings)
        means = _means(options, settings.egress, leave=leave, no_leave=why_not)
        if not options.json and means.silence is not None:
            sys.stderr.write(f"Looking; this takes {means.silence} seconds (--quick leaves the long silence out).\n")
        findings = asyncio.run(examine(settings, build_providers(settings), means))
    if options.json:
        print(json.dumps(as_object(findings), indent=2))
    else:
        print("\n".join(as_text(findings, addresses=addresses)))
    return ENDED if count(findings, "problem") else 0


def _means(
    options: argparse.Namespace, egress: Egress, *, leave: Leave | None = None, no_leave: str | None = None
) -> Tools:
    try:
        handshakes, requests = trusting(egress, options.ca), trusting(egress, options.ca)
    except NotABundle as error:
        raise CommandFailed(f"The authorities cannot be used: a file or folder of them {error}.") from error
    return Tools(
        for_handshakes=handshakes,
        for_requests=requests,
        clock=system_clock,
        silence=None if options.quick else options.silence,
        leave=leave,
        no_leave=no_leave,
    )


def _leave(settings: Settings) -> tuple[Leave | None, str | None]:
    """Return how to get leave from the portal's own keys, or why that cannot be."""
    try:
        database = Database(settings.database_url)
        if database.file is not None and not database.file.is_file():
            return None, f"there is no database at {database.file}"
        tokens = ProbeTokens(signing_keys(settings, database), issuer=settings.url)
        tokens.make(audience=None, now=system_clock())
    except StoreUnavailable as error:
        return None, f"the database cannot be used ({error})"
    return lambda audience: tokens.make(audience=audience, now=system_clock()), None


def _checked(url: str) -> str:
    """Return *url* as the configuration would have it.

    Raises:
        CommandFailed: it is no address of a portal.
    """
    mistaken = CommandFailed(f"{url!r} is no address of a portal. Give one like https://portal.example.com.")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise mistaken from error
    is_plain = parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain or not url.isascii():
        raise mistaken
    return f"{parts.scheme}://{parts.netloc}"
