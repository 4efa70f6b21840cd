"""``portal keys``: the portal's signing keys."""

import json
from pathlib import Path
from typing import Final

import click

from portal.access.signing_keys import KeyState, KeyStatus, UnknownKey
from portal.cli import options
from portal.cli.messages import examples, print_report
from portal.cli.opened_services import opened_services
from portal.cli.operators import operator
from portal.clock import rfc3339, system_clock
from portal.errors import choices
from portal.machine.failure import CommandFailed
from portal.machine.problems import configured

_SIGNED: Final = "tickets, logout notifications and the doctor's probe tokens"
_UNREADABLE: Final = "  The private key cannot be read with PORTAL_SECRET_KEY as it is now."


@click.command("list", epilog=examples("portal keys list", "portal keys list --json"))
@options.as_json
@options.config
def list_keys(*, as_json: bool, config: Path | None) -> int:
    """List the signing keys, the newest first."""
    settings, _ = configured(config)
    with opened_services(settings) as built:
        keys = built.keys.statuses(system_clock())
    if as_json:
        click.echo(json.dumps({"keys": [_as_json(one) for one in keys]}, indent=2))
    else:
        none = ["No keys yet: the portal makes the first one when it starts."]
        print_report([line for one in keys for line in _lines(one)] or none)
    return 0


@click.command(epilog=examples("portal keys rotate", "portal keys rotate --now"))
@click.option("--now", "at_once", is_flag=True, help="Have the new key sign at once, without announcing it.")
@options.as_json
@options.config
def rotate(*, at_once: bool, as_json: bool, config: Path | None) -> int:
    """Replace the signing key.

    Apps learn the new one for a quarter of an hour before it signs. What the former one signed stays valid: revoke a
    key that others may know.
    """
    settings, _ = configured(config)
    by = operator()
    with opened_services(settings) as built:
        now = system_clock()
        done = built.keys.rotate(now, at_once=at_once, by=by)
    if as_json:
        click.echo(json.dumps({"kid": done.kid, "signs_from": rfc3339(done.signs_from), "changed": done.changed}))
    elif done.signs_from > now:
        announced = "is announced" if done.changed else "was announced before"
        click.echo(f"{done.kid} {announced}, and signs from {rfc3339(done.signs_from)}.")
    elif done.changed:
        click.echo(f"{done.kid} signs. Apps fetch it when they need it, within 30 seconds.")
    else:
        click.echo(f"{done.kid} has just begun to sign. Nothing was changed.")
    return 0


@click.command(epilog=examples("portal keys revoke Jx3cVn0qkHn8mKp2sYd4tRw6zLb9aFe1uGh5iOj7xQc"))
@click.argument("kids", metavar="KID...", nargs=-1, required=True)
@options.as_json
@options.config
def revoke(*, kids: tuple[str, ...], as_json: bool, config: Path | None) -> int:
    """Revoke keys that others may know.

    A new key signs at once, and apps forget the revoked ones. KID is from `portal keys list`. A key that is announced
    is revoked with any other.
    """
    settings, _ = configured(config)
    by = operator()
    with opened_services(settings) as built:
        now = system_clock()
        apps = [app.slug for app in settings.catalogue]
        try:
            done = built.keys.revoke(kids, apps=apps, now=now, by=by)
        except UnknownKey as error:
            known = [one.kid for one in built.keys.statuses(now)]
            raise CommandFailed(f"no key is called {str(error)!r}. {choices(str(error), known)}") from error
        built.outbox.deliver(done.notifications, now=now)
    if as_json:
        click.echo(json.dumps({"revoked": list(done.kids), "signing": done.signing}))
    elif done.kids:
        print_report([*(f"{kid} is revoked." for kid in done.kids), f"{done.signing} signs."])
    else:
        click.echo("Revoked before. Nothing was changed.")
    return 0


def _as_json(one: KeyStatus) -> dict[str, object]:
    return {
        "kid": one.kid,
        "state": one.state.value,
        "since": rfc3339(one.since),
        "until": rfc3339(one.until),
        "readable": one.readable,
    }


def _lines(one: KeyStatus) -> list[str]:
    since, until = rfc3339(one.since), rfc3339(one.until)
    uses = {
        KeyState.NEXT: f"is published; signs {_SIGNED} from {since}",
        KeyState.SIGNING: f"signs {_SIGNED} since {since}, until {until}",
        KeyState.RETIRED: f"signs no more; what it signed since {since} is accepted until {until}",
        KeyState.REVOKED: f"revoked {until}; began to sign {since}; nothing that it signed is accepted",
    }
    unreadable = not one.readable and one.state is not KeyState.REVOKED
    return [f"{one.kid}  {one.state.value}", f"  {uses[one.state]}", *([_UNREADABLE] if unreadable else [])]
