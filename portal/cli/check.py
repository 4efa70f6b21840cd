"""``portal check``: every problem of the configuration at once, or else what it says."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portal.catalogue import AppSpec
from portal.cli.isolation import isolation_of
from portal.cli.problems import configured
from portal.policy import RoleRule
from portal.settings import Settings


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("check", help="say what is wrong with the configuration, or what it says")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what is on.

    Raises:
        CommandFailed: tells every problem at once.
    """
    settings, _ = configured(options.config)
    print("\n".join(summary(settings)))
    return 0


def summary(settings: Settings) -> Iterator[str]:
    """Yield lines that say what *settings* turn on; no secret among them."""
    isolation = isolation_of(settings)
    yield "The configuration has no problems."
    yield ""
    yield f"{settings.title} at {settings.url}"
    idle, absolute = _duration(settings.idle_lifetime), _duration(settings.absolute_lifetime)
    yield f"  a sign-in ends after {idle} without use, and after {absolute} in any case"
    yield f"  data in {settings.data_dir}"
    yield ""
    yield f"Isolation: {isolation.level}"
    yield f"  in the browser, {isolation.in_the_browser}"
    yield f"  on the machine, {isolation.on_the_machine}"
    yield ""
    yield "Providers"
    for spec in settings.providers:
        yield f"  {spec.id}: {spec.label} ({spec.kind}), {spec.issuer}"
        yield f"    callback {spec.redirect_uri or f'{settings.url}/auth/oauth/{spec.id}/callback'}"
    yield ""
    yield "Roles"
    for rule in settings.roles:
        yield f"  {rule.role}: {_condition(rule)}"
    for role, rights in sorted(settings.rights_of_roles.items()):
        if rights:
            yield f"  {role} may, through apps that list it: {', '.join(sorted(rights))}"
    yield ""
    yield "Apps"
    for app in settings.catalogue:
        yield f"  {app.slug}: {app.url}"
        yield f"    open to {_openness(app)}"
        yield f"    runs {_whereabouts(app)}"
        if app.portal_api:
            yield f"    may use of the portal's API: {', '.join(sorted(app.portal_api))}"


def _duration(seconds: int) -> str:
    for name, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {name}"
    return f"{seconds} seconds"


def _condition(rule: RoleRule) -> str:
    ways = [f"when {rule.when}"] if rule.when else []
    ways += [f"group {group}" for group in sorted(rule.groups)]
    return " or ".join(ways) + (f", from {rule.provider} only" if rule.provider else "")


def _openness(app: AppSpec) -> str:
    whom = [*sorted(app.open_to), *sorted(app.people)]
    if not whom:
        return "nobody: open_to and people are empty"
    where = f" in {', '.join(sorted(app.tenants))}" if app.tenants is not None else ""
    return ", ".join(whom) + where


def _whereabouts(app: AppSpec) -> str:
    return "elsewhere" if app.source is None else f"here, on port {app.port}, from {app.source}"
