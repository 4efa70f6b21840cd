"""``portal check``: every problem of the configuration at once, or else what it says."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from portal.cli import egress_report
from portal.cli.serve import port_of
from portal.configuration.consistency import organisations_passed_over
from portal.configuration.space_readme import sign_in_of
from portal.deployment.sites import CannotConfigure, PortTaken, sites_of
from portal.deployment.systemd import PORTAL_USER
from portal.machine.failure import CommandFailed
from portal.machine.hook_trial import require_hook
from portal.machine.isolation import ELSEWHERE, isolation_of, level_of
from portal.machine.privilege_drop import portal_account, require_reach, users_of
from portal.machine.problems import configured
from portal.machine.terminal import plain
from portal.rules.catalogue import AppSpec
from portal.rules.policy import RoleRule
from portal.settings import ProviderSpec, Settings
from portal.sign_in.provider_types.scopes import missing_scopes, unavailable_groups
from portal.sign_in.providers.diagnostics import cautions_on
from portal.sign_in.providers.listed_scopes import offered_scopes
from portal.sign_in.wanted_claims import claims_read_by_settings
from portal.storage.private_files import refusal, told


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
    settings, variables = configured(options.config)
    accounts = users_of(settings, config=options.config, variables=variables)
    require_reach(settings, accounts)
    _require_data_folder(settings)
    require_hook(settings, account=accounts.portal)
    print(plain("\n".join(summary(settings, offered=offered_scopes(settings)))))
    return 0


def _require_data_folder(settings: Settings) -> None:
    account = portal_account(settings)
    # What the units name under /var/lib is given to the portal's user by systemd.
    runs_as = None if account is None or settings.apps_run_by == "systemd" else account.uid
    refused = refusal(settings.data_dir, runs_as=runs_as)
    if refused is not None:
        raise CommandFailed(f"{refused[0].upper()}{refused[1:]}.")


def summary(settings: Settings, *, offered: Mapping[str, frozenset[str]] = MappingProxyType({})) -> Iterator[str]:
    """Yield lines that say what *settings* turn on; no secret among them.

    *offered* are the scopes that providers list, by their ids, as far as they were asked.
    """
    account = portal_account(settings)
    yield "The configuration has no problems."
    yield ""
    yield f"{settings.title} at {settings.url}"
    idle, absolute = _duration(settings.idle_lifetime), _duration(settings.absolute_lifetime)
    yield f"  a sign-in ends after {idle} without use, and after {absolute} in any case"
    yield f"  data in {settings.data_dir}: {told(settings.data_dir, runs_as=None if account is None else account.uid)}"
    yield ""
    yield from _apart(settings)
    if (taken := _port_taken(settings)) is not None:
        yield f"  note: {taken}"
    yield ""
    yield "Calls to others"
    yield from (f"  {line}" for line in egress_report.format_egress(settings))
    yield ""
    yield "Providers"
    for spec in settings.providers:
        yield from _of_provider(spec, settings, offered=offered.get(spec.id))
    if settings.sign_in_hook is not None:
        yield f"  then {settings.sign_in_hook} says who comes in"
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
        yield from _of_app(app, settings)


def _of_provider(spec: ProviderSpec, settings: Settings, *, offered: frozenset[str] | None) -> Iterator[str]:
    yield f"  {spec.id}: {spec.label} ({spec.provider_type}), {_issuer(spec)}"
    yield f"    callback {settings.callback_of(spec)}"
    if spec.domains:
        only = ", and in no other way" if spec.hidden else ""
        yield f"    addresses in {', '.join(sorted(spec.domains))} lead there{only}"
    for caution in cautions_on(spec):
        yield f"    note: {caution.what}"
        yield f"      {caution.fix}"
    wanted = claims_read_by_settings(settings, spec)
    yield from (f"    note: {one}" for one in unavailable_groups(spec, wanted))
    for one in missing_scopes(spec, wanted, offered=offered):
        yield f"    note: {one.what}"
        yield f"      {one.fix}"
        if not one.certain:
            yield f"      To ask it: portal providers test {spec.id}"


def _of_app(app: AppSpec, settings: Settings) -> Iterator[str]:
    yield f"  {app.slug}: {app.url}"
    yield f"    open to {_openness(app)}"
    yield f"    runs {_whereabouts(app)}"
    yield f"    {_standing(app, settings)}"
    yield from (f"    {line}" for line in _of_space(app, settings))
    if app.portal_api:
        yield f"    may use of the portal's API: {', '.join(sorted(app.portal_api))}"


def _port_taken(settings: Settings) -> str | None:
    try:
        sites_of(settings, port=port_of(settings))
    except PortTaken as error:
        return str(error)
    except CannotConfigure:  # there is no web server to be, such as on loopback
        pass
    return None


def _apart(settings: Settings) -> Iterator[str]:
    isolation = isolation_of(settings)
    yield f"Isolation: {isolation.level}"
    yield f"  in the browser, {isolation.in_the_browser}"
    if isolation.shared is not None:
        yield f"    note: portal and apps share {isolation.shared}: a hostile app's scripts can set cookies for all of"
        yield "    it, and so many that portal and apps refuse a person until they are cleared. A domain of its own in"
        yield "    portal.apps_url keeps the portal out of reach: docs/security-model.md, In the browser"
    yield f"  on the machine, {isolation.machine.word}: a hostile app reaches {isolation.machine.reaches}"
    yield f"  the portal runs as {_who(settings)}"


def _issuer(spec: ProviderSpec) -> str:
    if spec.issuer_of_token:
        return f"the user pool that ID tokens from {spec.issuer} name"
    return f"the issuer that {spec.discovery} names" if spec.issuer_of_document else spec.issuer


def _who(settings: Settings) -> str:
    if settings.user is not None:
        return settings.user
    return f"{PORTAL_USER}, as its unit says" if settings.apps_run_by == "systemd" else "whoever starts it"


def _duration(seconds: int) -> str:
    for name, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {name}"
    return f"{seconds} seconds"


def _condition(rule: RoleRule) -> str:
    ways = [f"when {rule.when}"] if rule.when else []
    ways += [f"group {group}" for group in sorted(rule.groups)]
    return (" or ".join(ways) or "where the sign-in hook gives it") + (
        f", from {rule.provider} only" if rule.provider else ""
    )


def _openness(app: AppSpec) -> str:
    whom = [*sorted(app.open_to), *sorted(app.people)]
    if not whom:
        return "nobody: open_to and people are empty"
    where = f" in {', '.join(sorted(app.tenants))}" if app.tenants is not None else ""
    return ", ".join(whom) + where


def _standing(app: AppSpec, settings: Settings) -> str:
    level = level_of(app, settings)
    user = f", {app.user}" if app.user is not None and level is not ELSEWHERE else ""
    return f"isolation {level.word}: {level.runs}{user}"


def _of_space(app: AppSpec, settings: Settings) -> Iterator[str]:
    """Yield what the README of a Space asks for and the portal does not do."""
    asked = sign_in_of(app.source)
    if asked is None:
        return
    if asked.scopes:
        yield f"hf_oauth_scopes ({', '.join(asked.scopes)}) of its README have no effect: no app is given a token"
    names = organisations_passed_over(app, settings)
    if names:
        yield f"note: its README lets in {', '.join(names)} only (hf_oauth_authorized_org), and here everyone. List"
        yield "  roles in open_to, or give the provider allowed_organisations: beyond loopback everyone is refused"
    if asked.minutes_problem is not None:
        yield f"note: hf_oauth_expiration_minutes ({asked.minutes}) of its README {asked.minutes_problem}"
    if asked.minutes is not None:
        yield f"hf_oauth_expiration_minutes ({asked.minutes}) of its README has no effect: sign-ins end as said above"


def _whereabouts(app: AppSpec) -> str:
    return "elsewhere" if app.source is None else f"here, on port {app.port}, from {app.source}"
