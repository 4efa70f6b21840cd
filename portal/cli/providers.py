"""``portal providers``: the configured identity providers, and whether they can be used."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import click

from portal.cli import options
from portal.cli.messages import examples, print_report
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


@click.group(
    invoke_without_command=True,
    epilog=examples("portal providers", "portal providers --json", "portal providers test company"),
)
@options.as_json
@options.config
@click.pass_context
def providers(context: click.Context, *, as_json: bool, config: Path | None) -> int:
    """List the identity providers and whether they answer.

    The exit code is 1 if one of them cannot be used.
    """
    if context.invoked_subcommand is not None:
        context.default_map = {context.invoked_subcommand: context.params}
        return 0
    settings, _ = configured(config)
    built = tuple(build_providers(settings).values())
    # In parallel: several providers may not answer, and each then takes its whole time limit.
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        reports = tuple(pool.map(lambda one: report_on(one, settings, trying_client=False), built))
    if as_json:
        click.echo(json.dumps({"providers": [one.to_json() for one in reports]}, indent=2, ensure_ascii=False))
    else:
        print_report(["\n\n".join("\n".join((*one.lines(), *_missing(one, blocking_only=True))) for one in reports)])
    return 0 if all(one.usable for one in reports) else ENDED


@providers.command(epilog=examples("portal providers test company", "portal providers test company --json"))
@click.argument("name", metavar="NAME", help="The provider's id.")
@options.as_json
@options.config
def test(*, name: str, as_json: bool, config: Path | None) -> int:
    """Test one provider, and whether it knows the portal.

    The exit code is 1 if no one can sign in there.
    """
    settings, _ = configured(config)
    built = build_providers(settings)
    provider = built.get(name)
    if provider is None:
        raise CommandFailed(f"no provider is called {name!r}. {choices(name, built)}")
    report = report_on(provider, settings, trying_client=True)
    url = _authorization_url(provider, report)
    if as_json:
        click.echo(json.dumps({**report.to_json(), "authorization_url": url}, indent=2, ensure_ascii=False))
    else:
        print_report(_test_report(report, url))
    return 0 if report.usable else ENDED


def _authorization_url(provider: Provider, report: ProviderReport) -> str | None:
    if report.diagnostics.problem is not None:
        return None
    try:
        url, _ = provider.begin(redirect_uri=report.callback, return_to="/", now=system_clock())
    except ProviderUnavailable:  # it stopped answering in between
        return None
    return url


def _test_report(report: ProviderReport, url: str | None) -> Iterator[str]:
    yield from report.lines()
    yield ""
    yield f"It proves who signs in by {format_proof(type_of(report.spec))}."
    yield from report.details()
    yield from _missing(report, blocking_only=False)
    if url is not None:
        yield ""
        yield "To test client, callback and scopes, open this in a browser and sign in:"
        yield f"  {url}"
        yield "If they are right, the browser returns to the portal, which refuses the sign-in: it did not start there."
    yield ""
    yield _verdict(report)


def _verdict(report: ProviderReport) -> str:
    if not report.usable:
        return "No one can sign in there now."
    if report.diagnostics.callback_known:
        return "No problem was found: people can sign in."
    return "No problem was found. Whether the callback is registered is not known."


def _missing(report: ProviderReport, *, blocking_only: bool) -> Iterator[str]:
    for one in report.limitations:
        # The lines already say that it cannot be reached.
        if one.what == report.diagnostics.problem or (blocking_only and not one.blocks):
            continue
        yield ""
        yield f"  {'MISSING' if one.blocks else 'Note'}: {one.what}"
        yield f"    {one.fix}"
