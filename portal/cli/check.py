"""``portal check``: every problem of the configuration at once, or else the effective configuration."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import click

from portal.cli import egress_report, options
from portal.cli.listening_port import port_of
from portal.cli.messages import duration, examples, print_report
from portal.cli.provider_report import describe_refresh
from portal.configuration.consistency import organisations_passed_over
from portal.configuration.space_readme import sign_in_of
from portal.deployment.sites import CannotConfigure, PortConflict, sites_of
from portal.deployment.systemd import PORTAL_USER
from portal.errors import SettingsError
from portal.machine.failure import CommandFailed
from portal.machine.hook_trial import require_hook
from portal.machine.isolation import ELSEWHERE, isolation_of, level_of
from portal.machine.privilege_drop import portal_account, require_readable, users_of
from portal.machine.problems import configured
from portal.rules.catalogue import AppSpec
from portal.rules.policy import RoleRule
from portal.settings import ProviderSpec, Settings
from portal.sign_in.provider_types.scopes import missing_scopes, unavailable_groups
from portal.sign_in.providers.diagnostics import cautions_on
from portal.sign_in.providers.listed_scopes import offered_scopes
from portal.sign_in.wanted_claims import claims_read_by_settings
from portal.storage.private_files import describe_folder, refusal


@click.command(epilog=examples("portal check", "portal check --config /etc/gradio-portal/portal.toml --json"))
@options.config
@options.as_json
def check(*, config: Path | None, as_json: bool) -> int:
    """List the problems of the configuration, or show what it sets."""
    try:
        settings = _load(config)
    except CommandFailed as failure:
        if not as_json:
            raise
        click.echo(json.dumps({"problems": _problems_of(failure)}, indent=2))
        return failure.exit_code
    offered = offered_scopes(settings)
    if as_json:
        click.echo(json.dumps({"problems": [], **as_object(settings, offered=offered)}, indent=2))
    else:
        click.secho("The configuration has no problems.\n", fg="green")
        print_report(summary(settings, offered=offered))
    return 0


def _load(config: Path | None) -> Settings:
    """Return the settings, after every check.

    Raises:
        CommandFailed: lists every problem.
    """
    settings, variables = configured(config)
    accounts = users_of(settings, config=config, variables=variables)
    require_readable(settings, accounts)
    _require_data_folder(settings)
    require_hook(settings, account=accounts.portal)
    return settings


def _problems_of(failure: CommandFailed) -> list[dict[str, str | None]]:
    """Return the problems for ``--json``; of those that are one text, only ``what``."""
    if isinstance(failure.__cause__, SettingsError):
        return [{"place": p.place, "key": p.key, "what": p.what, "fix": p.fix} for p in failure.__cause__.problems]
    return [{"place": None, "key": None, "what": str(failure), "fix": None}]


def _require_data_folder(settings: Settings) -> None:
    account = portal_account(settings)
    # systemd gives a folder under /var/lib to the portal's user.
    runs_as = None if account is None or settings.apps_run_by == "systemd" else account.uid
    problem = refusal(settings.data_dir, runs_as=runs_as)
    if problem is not None:
        raise CommandFailed(f"{problem[0].upper()}{problem[1:]}.")


def summary(settings: Settings, *, offered: Mapping[str, frozenset[str]] = MappingProxyType({})) -> Iterator[str]:
    """Yield the effective configuration as lines, without secrets.

    *offered* are the scopes in the metadata of providers, by provider id.
    """
    account = portal_account(settings)
    yield f"{settings.title} at {settings.url}"
    idle, absolute = duration(settings.idle_lifetime), duration(settings.absolute_lifetime)
    yield f"  a sign-in ends after {idle} without use, and after {absolute} in any case"
    uid = None if account is None else account.uid
    yield f"  data in {settings.data_dir}: {describe_folder(settings.data_dir, runs_as=uid)}"
    yield ""
    yield from _isolation(settings)
    if (problem := _port_problem(settings)) is not None:
        yield f"  note: {problem}"
    yield ""
    yield "Outgoing calls"
    yield from (f"  {line}" for line in egress_report.format_egress(settings))
    yield ""
    yield "Providers"
    for spec in settings.providers:
        yield from _of_provider(spec, settings, offered=offered.get(spec.id))
    if settings.sign_in_hook is not None:
        yield f"  then {settings.sign_in_hook} decides who may sign in"
    yield ""
    yield "Roles"
    for rule in settings.roles:
        yield f"  {rule.role}: {_condition(rule)}"
    for role, rights in sorted(settings.rights_of_roles.items()):
        if rights:
            yield f"  {role} may use, through apps that list it: {', '.join(sorted(rights))}"
    yield ""
    yield "Apps"
    for app in settings.catalogue:
        yield from _of_app(app, settings)


def _of_provider(spec: ProviderSpec, settings: Settings, *, offered: frozenset[str] | None) -> Iterator[str]:
    yield f"  {spec.id}: {spec.label} ({spec.provider_type}), {_issuer(spec)}"
    yield f"    callback {settings.callback_of(spec)}"
    yield f"    claims   {describe_refresh(spec, settings)}"
    if spec.domains:
        only = " only" if spec.hidden else ""
        yield f"    for addresses in {', '.join(sorted(spec.domains))}{only}"
    for what, *fixes in _notes_on_provider(spec, settings, offered=offered):
        yield f"    note: {what}"
        yield from (f"      {fix}" for fix in fixes)


def _notes_on_provider(
    spec: ProviderSpec, settings: Settings, *, offered: frozenset[str] | None
) -> Iterator[tuple[str, ...]]:
    """Yield what is wrong, and then how to fix it."""
    wanted = claims_read_by_settings(settings, spec)
    yield from ((one.what, one.fix) for one in cautions_on(spec))
    yield from ((what,) for what in unavailable_groups(spec, wanted))
    for one in missing_scopes(spec, wanted, offered=offered):
        test = () if one.certain else (f"To find out: portal providers test {spec.id}",)
        yield (one.what, one.fix, *test)


def _of_app(app: AppSpec, settings: Settings) -> Iterator[str]:
    yield f"  {app.slug}: {app.url}"
    yield f"    open to {_access(app)}"
    yield "    runs elsewhere" if app.source is None else f"    runs here, on port {app.port}, from {app.source}"
    level = level_of(app, settings)
    user = f", {app.user}" if app.user is not None and level is not ELSEWHERE else ""
    yield f"    isolation {level.word}: {level.runs}{user}"
    yield from (f"    note: {note}" for note in _notes_on_space(app, settings))
    if app.portal_api:
        yield f"    may use of the portal's API: {', '.join(sorted(app.portal_api))}"


def as_object(settings: Settings, *, offered: Mapping[str, frozenset[str]]) -> dict[str, object]:
    """Return the effective configuration for ``--json``, without secrets."""
    isolation = isolation_of(settings)
    return {
        "title": settings.title,
        "url": settings.url,
        "idle_lifetime": settings.idle_lifetime,
        "absolute_lifetime": settings.absolute_lifetime,
        "lifetime_without_refresh": settings.lifetime_without_refresh,
        "refresh_interval": settings.refresh_interval,
        "audit_retention": settings.audit_retention,
        "data_dir": str(settings.data_dir),
        "user": settings.user,
        "isolation": {"browser": isolation.level, "machine": isolation.machine.word, "shared": isolation.shared},
        "port_problem": _port_problem(settings),
        "egress": list(egress_report.format_egress(settings)),
        "providers": [
            {
                "id": spec.id,
                "label": spec.label,
                "type": spec.provider_type,
                "issuer": None if spec.issuer_of_token else spec.issuer,
                "callback": settings.callback_of(spec),
                "refresh": spec.refresh,
                "domains": sorted(spec.domains),
                "hidden": spec.hidden,
                "notes": [" ".join(note) for note in _notes_on_provider(spec, settings, offered=offered.get(spec.id))],
            }
            for spec in settings.providers
        ],
        "sign_in_hook": settings.sign_in_hook,
        "roles": [asdict(rule) | {"groups": sorted(rule.groups)} for rule in settings.roles],
        "rights": {role: sorted(rights) for role, rights in settings.rights_of_roles.items()},
        "apps": [
            {
                "app": app.slug,
                "url": app.url,
                "open_to": sorted(app.open_to),
                "people": sorted(app.people),
                "tenants": None if app.tenants is None else sorted(app.tenants),
                "source": app.source,
                "port": app.port,
                "isolation": level_of(app, settings).word,
                "portal_api": sorted(app.portal_api),
                "notes": list(_notes_on_space(app, settings)),
            }
            for app in settings.catalogue
        ],
    }


def _port_problem(settings: Settings) -> str | None:
    try:
        sites_of(settings, port=port_of(settings))
    except PortConflict as error:
        return str(error)
    except CannotConfigure:  # no reverse proxy is possible, such as on loopback
        pass
    return None


def _isolation(settings: Settings) -> Iterator[str]:
    isolation = isolation_of(settings)
    yield f"Isolation: {isolation.level}"
    yield f"  in the browser, {isolation.in_the_browser}"
    if isolation.shared is not None:
        yield f"    note: portal and apps share {isolation.shared}: a hostile app's scripts can set cookies for all of"
        yield "    it, so many that portal and apps refuse a person until they are cleared. To prevent it, give"
        yield "    apps another domain in portal.apps_url: docs/security-model.md, In the browser"
    yield f"  on the machine, {isolation.machine.word}: a hostile app reaches {isolation.machine.reaches}"
    yield f"  the portal runs as {_who(settings)}"


def _issuer(spec: ProviderSpec) -> str:
    if spec.issuer_of_token:
        return f"the user pool in the ID tokens of {spec.issuer}"
    return f"the issuer in {spec.discovery}" if spec.issuer_of_document else spec.issuer


def _who(settings: Settings) -> str:
    if settings.user is not None:
        return settings.user
    return f"{PORTAL_USER}, as in its unit" if settings.apps_run_by == "systemd" else "whoever starts it"


def _condition(rule: RoleRule) -> str:
    conditions = [f"when {rule.when}"] if rule.when else []
    conditions += [f"group {group}" for group in sorted(rule.groups)]
    source = f", from {rule.provider} only" if rule.provider else ""
    return (" or ".join(conditions) or "if the sign-in hook gives it") + source


def _access(app: AppSpec) -> str:
    names = [*sorted(app.open_to), *sorted(app.people)]
    if not names:
        return "nobody: open_to and people are empty"
    tenants = f" in {', '.join(sorted(app.tenants))}" if app.tenants is not None else ""
    return ", ".join(names) + tenants


def _notes_on_space(app: AppSpec, settings: Settings) -> Iterator[str]:
    """Yield what the README of a Space asks for and the portal does not do."""
    readme = sign_in_of(app.source)
    if readme is None:
        return
    if readme.scopes:
        yield f"hf_oauth_scopes ({', '.join(readme.scopes)}) of its README have no effect: no app gets such a token"
    names = organisations_passed_over(app, settings)
    if names:
        yield (
            f"its README lets in {', '.join(names)} only (hf_oauth_authorized_org), but here everyone gets in. List "
            "roles in open_to, or set allowed_organisations of the provider. Except on loopback this is a problem"
        )
    if readme.minutes_problem is not None:
        yield f"hf_oauth_expiration_minutes ({readme.minutes}) of its README {readme.minutes_problem}"
    if readme.minutes is not None:
        yield f"hf_oauth_expiration_minutes ({readme.minutes}) of its README has no effect: the portal decides"
