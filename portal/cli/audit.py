"""``portal audit``: the events of the audit, for operators and for programs that collect them."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from portal.access.audit import Audit, AuditEntry, AuditFilter
from portal.access.audit_events import AuditEvent
from portal.cli import options
from portal.cli.messages import examples
from portal.cli.opened_database import opened_database
from portal.clock import rfc3339, system_clock
from portal.errors import choices
from portal.machine.failure import CommandFailed
from portal.machine.problems import configured
from portal.machine.terminal import plain

_PAGE: Final = 500
"""Events in memory at once."""
_OVERLAP: Final = 1000
"""Ids that are read again while following: PostgreSQL commits rows in another order than it numbers them."""
_PAUSE: Final = 1.0
"""In seconds."""
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?")


class Moment(click.ParamType[int, Any]):
    """A moment: a day or a time in UTC, or how long ago."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return Unix time."""
        if isinstance(value, int):
            return value
        at = moment_of(str(value), now=system_clock())
        if at is None:
            self.fail(f"{value!r} is not a time like 2030-01-02T03:04:05Z, 2030-01-02 or 24h.", param, ctx)
        return at


def moment_of(text: str, *, now: int) -> int | None:
    """Return the Unix time that *text* names: RFC 3339 in UTC, a day's beginning, or a time before *now*."""
    if match := _AGO.fullmatch(text):
        return now - int(timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds())
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return int(datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


@click.command(
    epilog=examples(
        "portal audit --since 24h --person ana@example.com",
        "portal audit --since 2030-01-02 --event sign-in-refused --event app-denied --json",
        "portal audit --follow",
    )
)
@click.option(
    "--since", type=Moment(), metavar="TIME", help="Only from 2030-01-02T03:04:05Z, 2030-01-02 or 24h ago on."
)
@click.option("--until", type=Moment(), metavar="TIME", help="Only before this time.")
@click.option(
    "--person", type=options.NAME, metavar="ADDRESS", help="Only those of this e-mail address, or id of a person."
)
@click.option("--app", type=options.NAME, metavar="NAME", help="Only those of this app.")
@click.option("--tenant", type=options.NAME, metavar="NAME", help="Only those in this tenant, of any provider.")
@click.option(
    "--event", "events", type=options.NAME, multiple=True, metavar="EVENT", help="Only this event; may be repeated."
)
@click.option(
    "-f", "--follow", is_flag=True, help="Print what is recorded next, until Ctrl-C; what was before, with --since."
)
@options.as_json
@options.config
def audit(
    *,
    since: int | None,
    until: int | None,
    person: str | None,
    app: str | None,
    tenant: str | None,
    events: tuple[str, ...],
    follow: bool,
    as_json: bool,
    config: Path | None,
) -> int:
    """Print the events of the audit, one line each.

    The oldest come first. With --json each line is an object.
    """
    known = [event.value for event in AuditEvent]
    for event in events:
        if event not in known:
            raise CommandFailed(f"no event is called {event!r}. {choices(event, known)}")
    if follow and until is not None:
        raise CommandFailed("--until has no effect with --follow. Leave one of them out.")
    wanted = AuditFilter(since=since, until=until, person=person, app=app, tenant=tenant, events=events)
    settings, _ = configured(config)
    with opened_database(settings) as database:
        database.upgrade()
        record = Audit(database)
        try:
            for entry in _following(record, wanted) if follow else _matching(record, wanted):
                click.echo(json.dumps(entry.members()) if as_json else as_text(entry))
        except KeyboardInterrupt:  # ends --follow
            pass
    return 0


def _matching(record: Audit, wanted: AuditFilter, *, after: int = 0) -> Iterator[AuditEntry]:
    """Yield the events that are there, a page at a time."""
    while page := record.matching(wanted, after=after, limit=_PAGE):
        yield from page
        after = page[-1].id


def _following(
    record: Audit, wanted: AuditFilter, *, pause: Callable[[float], object] = time.sleep
) -> Iterator[AuditEntry]:
    """Yield the events that come, each once, also if rows become visible in another order than that of their ids."""
    last = record.last_id()
    seen = {entry.id for entry in _matching(record, AuditFilter(), after=last - _OVERLAP) if entry.id <= last}
    if wanted.since is not None:
        for entry in _matching(record, wanted):
            if entry.id > last - _OVERLAP:
                seen.add(entry.id)
            yield entry
    while True:
        newest = record.last_id()
        for entry in _matching(record, wanted, after=last - _OVERLAP):
            if entry.id not in seen:
                seen.add(entry.id)
                yield entry
        last = max(last, newest)
        seen = {one for one in seen if one > last - _OVERLAP}
        pause(_PAUSE)


def as_text(entry: AuditEntry) -> str:
    """Return *entry* as one line, whatever the names in it contain."""
    named = " ".join(part for part in (entry.name, f"<{entry.email}>" if entry.email else "") if part)
    parts = (
        rfc3339(entry.at),
        entry.event,
        named or entry.identity_id,
        f"tenant {entry.tenant}" if entry.tenant else "",
        f"app {entry.app}" if entry.app else "",
        entry.detail,
        f"reference {entry.reference}" if entry.reference else "",
    )
    return plain(" ".join("  ".join(part for part in parts if part).splitlines()))
