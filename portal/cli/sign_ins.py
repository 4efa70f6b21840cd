"""``portal sign-ins``: who is signed in, and ending it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from portal.access.revocation import RevocationReason
from portal.access.sign_ins import Selection, SignIn, SignIns
from portal.cli import options
from portal.cli.messages import examples, print_report
from portal.cli.opened_services import opened_services
from portal.cli.operators import operator
from portal.clock import rfc3339, system_clock
from portal.errors import choices
from portal.machine.failure import CommandFailed
from portal.machine.problems import configured
from portal.settings import Settings
from portal.web.browser_names import browser_name

_Command = TypeVar("_Command", bound=Callable[..., Any])


_FILTERS: Final = (
    click.option("--id", "sign_in_id", type=options.NAME, metavar="ID", help="Only the sign-in with this id."),
    click.option(
        "--person",
        type=options.NAME,
        metavar="ADDRESS",
        help="Only those that are listed with this e-mail address, verified or not, or with this id of a person.",
    ),
    click.option("--provider", type=options.NAME, metavar="ID", help="Only those with this provider."),
    click.option("--tenant", type=options.NAME, metavar="NAME", help="Only those in this tenant now, of any provider."),
)
_NO_SELECTION: Final = "Missing option: --id, --person, --provider or --tenant; or --all for everyone's sign-ins."
_CONTRADICTION: Final = "--all ends everyone's sign-ins. Leave it out, or leave out the other options."


def _filters(command: _Command) -> _Command:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.command("list", epilog=examples("portal sign-ins list", "portal sign-ins list --person ana@example.com --json"))
@_filters
@options.as_json
@options.config
def list_sign_ins(*, as_json: bool, config: Path | None, **filters: str | None) -> int:
    """List who is signed in, the latest first."""
    settings, _ = configured(config)
    with opened_services(settings) as built:
        sign_ins, now = built.sign_ins, system_clock()
        found = sign_ins.selected(_selection(settings, sign_ins, now=now, everyone=True, **filters), now=now)
        listed = [(_as_json if as_json else _lines)(one) for one in found]  # much smaller than their claims
    if as_json:
        click.echo(json.dumps({"sign_ins": listed}, indent=2))
    else:
        print_report([*map("\n".join, listed), f"{_counted(len(listed))}."])
    return 0


@click.command(
    epilog=examples("portal sign-ins revoke --person ana@example.com", "portal sign-ins revoke --provider company")
)
@_filters
@click.option("--all", "everyone", is_flag=True, help="Everyone's.")
@options.as_json
@options.config
def revoke(*, everyone: bool, as_json: bool, config: Path | None, **filters: str | None) -> int:
    """End sign-ins, with all that is open in apps.

    All conditions must be met. The exit code is 0 also where none was left to end.
    """
    is_some = any(value is not None for value in filters.values())
    if is_some == everyone:
        raise CommandFailed(_CONTRADICTION if everyone else _NO_SELECTION)
    settings, _ = configured(config)
    by = operator()
    with opened_services(settings) as built:
        sign_ins, now = built.sign_ins, system_clock()
        selection = _selection(settings, sign_ins, now=now, everyone=everyone, **filters)
        count = sign_ins.revoke_selected(selection, reason=RevocationReason.SIGN_IN_ENDED, now=now, by=by)
    click.echo(json.dumps({"revoked": count}) if as_json else f"{_counted(count)} ended.")
    return 0


def _selection(
    settings: Settings,
    sign_ins: SignIns,
    *,
    now: int,
    everyone: bool,
    sign_in_id: str | None,
    person: str | None,
    provider: str | None,
    tenant: str | None,
) -> Selection:
    """Return what the options select.

    Raises:
        CommandFailed: there is no such provider, and no sign-in with one of that name from before.
    """
    known = [spec.id for spec in settings.providers]
    if provider is not None and provider not in known:
        former = sign_ins.selected(Selection(provider=provider), now=now)
        if next(former, None) is None:
            raise CommandFailed(f"no provider is called {provider!r}. {choices(provider, known)}")
    return Selection(everyone=everyone, id=sign_in_id, person=person, provider=provider, tenant=tenant)


def _as_json(one: SignIn) -> dict[str, object]:
    return {
        "id": one.id,
        "person": one.identity.id,
        "name": one.identity.name,
        "email": one.identity.email,
        "email_verified": one.identity.email_verified,
        "provider": one.identity.provider,
        "tenant": one.tenant or None,
        "browser": one.browser,
        "since": rfc3339(one.created_at),
        "last_seen": rfc3339(one.last_seen_at),
        "until": rfc3339(one.expires_at),
        "refreshed": one.is_refreshed,
    }


def _lines(one: SignIn) -> list[str]:
    """Return three lines, whatever the names contain."""
    tenant = f"tenant {one.tenant}" if one.tenant else "no tenant"
    details = (one.identity.provider, tenant, browser_name(one.browser))
    times = (f"since {rfc3339(one.created_at)}", f"last seen {rfc3339(one.last_seen_at)}")
    lines = (
        f"{one.id}  {_person(one)}",
        f"  {', '.join(details)}",
        f"  {', '.join(times)}, until {rfc3339(one.expires_at)} at the latest",
    )
    return [" ".join(line.splitlines()) for line in lines]


def _person(one: SignIn) -> str:
    name, email = one.identity.name, one.identity.email
    address = f"{email}{'' if one.identity.email_verified else ' (not verified)'}" if email else ""
    return f"{name} <{address}>" if name and address else name or address or one.identity.id


def _counted(count: int) -> str:
    return "One sign-in" if count == 1 else f"{count or 'No'} sign-ins"
