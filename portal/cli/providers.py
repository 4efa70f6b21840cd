"""``portal providers``: which identity providers are on, and whether they can be used."""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from portal.cli.provider_report import ProviderReport, report_on
from portal.clock import system_clock
from portal.errors import ProviderUnavailable, choices
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.abilities import format_proof
from portal.sign_in.providers.base import Provider
from portal.sign_in.providers.registry import build_providers

_AT_ONCE: Final = 8


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser(
        "providers",
        help="say which identity providers are on, and whether they answer",
        usage="portal providers [-h] [--json] [--config FILE] [test NAME]",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(title="more", metavar="", prog="portal providers")
    test = actions.add_parser("test", help="ask one of them what it is, and whether it knows the portal")
    test.add_argument("name", metavar="NAME", help="its id")
    # What stands before the word "test" must not be lost to a default that stands after it.
    test.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON")
    test.add_argument(
        "--config",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="instead of portal.toml or PORTAL_CONFIG",
    )
    test.set_defaults(run=run_test)


def run(options: argparse.Namespace) -> int:
    """Print every provider; 1 if one of them cannot be used.

    Raises:
        CommandFailed: the configuration has problems.
    """
    settings, _ = configured(options.config)
    providers = tuple(build_providers(settings).values())
    # Side by side: each may take as long as a provider gets, and several may be away.
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        reports = tuple(pool.map(lambda one: report_on(one, settings, trying_client=False), providers))
    if options.json:
        print(json.dumps({"providers": [one.to_json() for one in reports]}, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join((*one.lines(), *_missing(one, blocking_only=True))) for one in reports))
    return 0 if all(one.usable for one in reports) else ENDED


def run_test(options: argparse.Namespace) -> int:
    """Print all there is to know of one provider; 1 if nobody can sign in there.

    Raises:
        CommandFailed: the configuration has problems, or there is no such provider.
    """
    settings, _ = configured(options.config)
    providers = build_providers(settings)
    provider = providers.get(options.name)
    if provider is None:
        raise CommandFailed(f"no provider is called {options.name!r}. {choices(options.name, providers)}")
    report = report_on(provider, settings, trying_client=True)
    url = _authorization_url(provider, report)
    if options.json:
        print(json.dumps({**report.to_json(), "authorization_url": url}, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_tested(report, url)))
    return 0 if report.usable else ENDED


def _authorization_url(provider: Provider, report: ProviderReport) -> str | None:
    if report.diagnostics.problem is not None:
        return None
    try:
        url, _ = provider.begin(redirect_uri=report.callback, return_to="/", now=system_clock())
    except ProviderUnavailable:  # it went away since it was asked
        return None
    return url


def _tested(report: ProviderReport, url: str | None) -> Iterator[str]:
    yield from report.lines()
    yield ""
    yield f"Who came is proved by {format_proof(type_of(report.spec))}."
    yield from report.details()
    yield from _missing(report, blocking_only=False)
    if url is not None:
        yield ""
        yield "Open this in a browser and sign in:"
        yield f"  {url}"
        yield "It knows client, callback and scopes if it leads back to the portal, which then says that this"
        yield "sign-in was not begun there: begun in a terminal, it signs nobody in."
    yield ""
    yield _verdict(report)


def _verdict(report: ProviderReport) -> str:
    if not report.usable:
        return "No one can sign in there now."
    if report.diagnostics.callback_known:
        return "Nothing was found that keeps people from signing in."
    return "Nothing was found that keeps people from signing in; whether the callback is registered was not seen."


def _missing(report: ProviderReport, *, blocking_only: bool) -> Iterator[str]:
    for one in report.limitations:
        # That it cannot be reached stands among the lines already.
        if one.what == report.diagnostics.problem or (blocking_only and not one.blocks):
            continue
        yield ""
        yield f"  {'MISSING' if one.blocks else 'Note'}: {one.what}"
        yield f"    {one.fix}"
