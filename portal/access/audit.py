"""The audit: who signed in, opened an app or was refused, and whose access ended.

Each event is a row, for the admins of its tenant, and one line of JSON in the log.  The log identifies
people by the identity's id.  Neither has a secret, token or session id.
"""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from portal.access.audit_events import DECLARATIONS, AuditEvent, events_of
from portal.access.audit_log import AuditLog
from portal.clock import rfc3339
from portal.contract.truncation import shorten
from portal.rules.fixed_window import FixedWindowLimiter
from portal.rules.identity import Identity
from portal.storage import tables
from portal.storage.database import Database, after_commit

_log: Final = logging.getLogger("portal.audit")
MOST_REFUSED: Final = 20
"""Most refused tickets of one app that a process records per minute: with a known person, and without."""
MOST_OF_ONE: Final = 30
"""Most events of one kind of one person in a tenant that a process records within :data:`WINDOW`."""
MOST_REFUSALS_OF_ONE: Final = 40
"""Most refusals of all kinds of one person, in all tenants."""
MOST_OF_ADDRESS: Final = 20
"""Most events without a person from one address."""
MOST_UNNAMED: Final = 300
"""Most events of one kind without a person, from all addresses."""
WINDOW: Final = 600
"""In seconds."""
_MINUTE: Final = 60
MAX_DETAIL: Final = 500
"""Longest detail, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One recorded event."""

    id: int
    """Increases over all tenants, so it must not leave the portal."""
    at: int
    event: str
    identity_id: str | None
    name: str | None
    email: str | None
    """Only a verified one."""
    issuer: str | None
    tenant: str | None
    app: str | None
    detail: str
    """A text for people; :attr:`fields` has the same for programs."""
    reference: str
    """The reference on the error page, if there was one."""
    fields: Mapping[str, object]
    """Those of the event, :data:`portal.access.audit_events.DECLARATIONS`; none in an event of an older version."""

    def members(self) -> dict[str, object]:
        """Return what programs read of it; what has no value is left out."""
        members = {
            "id": self.id,
            "at": rfc3339(self.at),
            "event": self.event,
            "identity_id": self.identity_id,
            "name": self.name,
            "email": self.email,
            "issuer": self.issuer,
            "tenant": self.tenant,
            "app": self.app,
            "reference": self.reference,
            "detail": self.detail,
            "fields": self.fields,
        }
        return {name: value for name, value in members.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """The events that meet every condition that is set; without any, all."""

    since: int | None = None
    until: int | None = None
    """Before this moment."""
    person: str | None = None
    """The id of an identity, or an e-mail address, verified or not, in any case of ASCII letters."""
    app: str | None = None
    tenant: str | None = None
    events: tuple[str, ...] = ()

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on a row."""
        table = tables.audit
        equal = {table.c.app: self.app, table.c.tenant: self.tenant}
        conditions = [column == value for column, value in equal.items() if value is not None]
        if self.since is not None:
            conditions.append(table.c.at >= self.since)
        if self.until is not None:
            conditions.append(table.c.at < self.until)
        if self.person is not None:
            address = self.person.lower()
            unverified = sa.func.lower(table.c.name) == not_verified(address)
            of_address = sa.or_(sa.func.lower(table.c.email) == address, unverified)
            conditions.append(of_address if "@" in address else table.c.identity_id == self.person)
        if self.events:
            conditions.append(table.c.event.in_(self.events))
        return conditions


_REFUSALS: Final = events_of("refusals")


@dataclass(frozen=True, slots=True)
class _Author:
    """The author of events of one kind; a name that a person can change does not make another."""

    event: AuditEvent
    identity_id: str | None
    issuer: str | None
    tenant: str | None
    name: str | None = field(compare=False)
    email: str | None = field(compare=False)


class Audit:
    """Writes and reads events; limited, because a person who causes many could fill the disk."""

    def __init__(self, database: Database, *, log: AuditLog | None = None) -> None:
        """Read and write *database*; what is committed there is written to *log* too."""
        self._database = database
        self._collected = log
        self._refusals: FixedWindowLimiter[tuple[str, bool]] = FixedWindowLimiter(most=MOST_REFUSED, window=_MINUTE)
        self._of_one: FixedWindowLimiter[_Author] = FixedWindowLimiter(most=MOST_OF_ONE, window=WINDOW)
        self._refusals_of_one: FixedWindowLimiter[str] = FixedWindowLimiter(most=MOST_REFUSALS_OF_ONE, window=WINDOW)
        self._unnamed: FixedWindowLimiter[_Author] = FixedWindowLimiter(most=MOST_UNNAMED, window=WINDOW)
        self._of_address: FixedWindowLimiter[str] = FixedWindowLimiter(most=MOST_OF_ADDRESS, window=WINDOW)

    def record(
        self,
        event: AuditEvent,
        *,
        now: int,
        identity: Identity | None = None,
        tenant: str | None = None,
        app: str | None = None,
        detail: str = "",
        fields: Mapping[str, object] | None = None,
        reference: str = "",
        address: str | None = None,
        connection: sa.Connection | None = None,
    ) -> None:
        """Record *event*, unless there were too many of its kind; with *connection*, as part of its transaction.

        *address*: where it came from, if no person is known; it only counts.

        Raises:
            StoreUnavailable: only the line in the log was written.
            ValueError: *fields* are not those of *event*.
        """
        author = _author(event, identity=identity, tenant=tenant)
        if self._has_room(author, address=address, now=now):
            self._write(
                author,
                now=now,
                app=app,
                detail=detail,
                fields=fields or {},
                reference=reference,
                connection=connection,
            )

    def _has_room(self, author: _Author, *, address: str | None, now: int) -> bool:
        """Return whether one more event of *author* is recorded, and count it.

        The wider bound is asked only where the narrower has room, so that neither is used up by what is left out, and
        there are never more addresses in memory than events that they caused.
        """
        if author.identity_id is None:
            narrow = self._unnamed
            is_bounded = address is not None and narrow.has_room(author, now=now)
            has_room = not is_bounded or self._of_address.take(str(address), now=now)
        else:
            narrow = self._of_one
            is_bounded = author.event in _REFUSALS and narrow.has_room(author, now=now)
            has_room = not is_bounded or self._refusals_of_one.take(author.identity_id, now=now)
        if not has_room:
            narrow.leave_out(author, now=now)
        return has_room and narrow.take(author, now=now)

    def _write(
        self,
        author: _Author,
        *,
        now: int,
        detail: str,
        fields: Mapping[str, object],
        app: str | None = None,
        reference: str = "",
        connection: sa.Connection | None = None,
    ) -> None:
        row: dict[str, object] = {
            "at": now,
            "event": author.event.value,
            "identity_id": author.identity_id,
            "issuer": author.issuer,
            "tenant": author.tenant,
            "app": _cut(app, longest=63),
            "detail": _cut(detail, longest=MAX_DETAIL),
            "reference": _cut(reference, longest=64),
        }
        checked = DECLARATIONS[author.event].checked(fields)
        line = {name: value for name, value in row.items() if value not in {None, ""}} | {"at": rfc3339(now)}
        # ASCII also keeps line breaks and terminal escapes out of the log.
        _log.info("%s", json.dumps({**line, "fields": checked}))
        row |= {"name": author.name, "email": author.email, "fields": json.dumps(checked)}
        stored = {name: storable(value) for name, value in row.items()}
        if connection is not None:
            self._insert(stored, connection)
            return
        with self._database.write() as own:
            self._insert(stored, own)

    def _insert(self, row: Mapping[str, object], connection: sa.Connection) -> None:
        result = connection.execute(sa.insert(tables.audit).values(row))
        log = self._collected
        if log is not None and result.inserted_primary_key is not None:
            members = _entry({**row, "id": result.inserted_primary_key[0]}).members()
            after_commit(connection, partial(log.write, members))

    def refused_ticket(
        self,
        *,
        now: int,
        app: str,
        reason: str,
        identity: Identity | None = None,
        tenant: str | None = None,
        connection: sa.Connection | None = None,
    ) -> None:
        """Record that a ticket of *app* was refused, unless there were too many: an app could fill the disk with junk.

        Tickets without a known person count separately, so that junk does not hide a person's ticket; and a person is
        bounded first, so that one does not hide the others'.

        Raises:
            StoreUnavailable: as :meth:`record`.
        """
        self.record_left_out(now, connection=connection)
        author = _author(AuditEvent.TICKET_REFUSED, identity=identity, tenant=tenant)
        if identity is not None and not self._has_room(author, address=None, now=now):
            return
        if self._refusals.take((app, identity is not None), now=now):
            self._write(author, now=now, app=app, detail=reason, fields={"reason": reason}, connection=connection)

    def record_left_out(self, now: int, *, is_last: bool = False, connection: sa.Connection | None = None) -> None:
        """Record how many events were left out in the windows that have ended; with *is_last*, in all.

        Raises:
            StoreUnavailable: as :meth:`record`.
        """
        until = now + WINDOW if is_last else now
        tickets = _author(AuditEvent.TICKETS_LEFT_OUT, identity=None, tenant=None)
        for (app, _), number in self._refusals.report_excess(now=until).items():
            fields: dict[str, object] = {"count": number}
            self._write(tickets, now=now, app=app, detail=str(number), fields=fields, connection=connection)
        for wider in (self._refusals_of_one, self._of_address):
            wider.report_excess(now=until)  # what they left out is counted with the narrower ones
        for limiter in (self._of_one, self._unnamed):
            for author, number in limiter.report_excess(now=until).items():
                summed, kind = replace(author, event=AuditEvent.EVENTS_LEFT_OUT), author.event.value
                fields = {"count": number, "of": kind}
                self._write(summed, now=now, detail=f"{number} {kind}", fields=fields, connection=connection)

    def recent(
        self,
        *,
        issuer: str,
        tenant: str,
        limit: int,
        before: int | None = None,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> list[AuditEntry]:
        """Return the latest events of *tenant* of *issuer*, newest first, at most *limit*.

        *before*: only those older than the entry with this :attr:`AuditEntry.id`; *only*: the events to return;
        *without*: events to leave out.
        """
        table = tables.audit
        conditions = [table.c.issuer == issuer, table.c.tenant == tenant]
        if before is not None:
            conditions.append(table.c.id < before)
        if only is not None:
            conditions.append(table.c.event.in_(sorted(only)))
        if without:
            conditions.append(table.c.event.not_in(sorted(without)))
        query = sa.select(*_COLUMNS).where(*conditions).order_by(table.c.id.desc()).limit(max(0, limit))
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def matching(self, wanted: AuditFilter, *, after: int = 0, limit: int) -> list[AuditEntry]:
        """Return events of all tenants that *wanted* selects, oldest first, at most *limit*.

        *after*: only those with a greater :attr:`AuditEntry.id`.
        """
        table = tables.audit
        query = sa.select(*_COLUMNS).where(table.c.id > after, *wanted.conditions()).order_by(table.c.id).limit(limit)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def last_id(self) -> int:
        """Return the :attr:`AuditEntry.id` of the latest event; 0 if there is none."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(tables.audit.c.id))).scalar() or 0


_COLUMNS: Final = tuple(tables.audit.c[one.name] for one in dataclass_fields(AuditEntry))


def _entry(row: Mapping[Any, Any]) -> AuditEntry:
    return AuditEntry(**{**row, "fields": {} if row["fields"] is None else json.loads(row["fields"])})


def _author(event: AuditEvent, *, identity: Identity | None, tenant: str | None) -> _Author:
    return _Author(
        event=event,
        identity_id=identity.id if identity else None,
        issuer=identity.issuer if identity else None,
        tenant=_cut(tenant),
        name=_cut(_name_of(identity)) if identity else None,
        email=_cut(identity.verified_email) if identity else None,
    )


def _name_of(identity: Identity) -> str | None:
    """Return a name for *identity*: its own, else its address, marked if it is not verified."""
    if identity.name or not identity.email or identity.email_verified:
        return identity.name
    return not_verified(identity.email)


def not_verified(address: str) -> str:
    """Return *address* as the name of a person whose provider did not verify it."""
    return f"{address} (not verified)"


def _cut(text: str | None, *, longest: int = 512) -> str | None:
    """Return *text*, shortened to the length of its column."""
    return None if text is None else shorten(text, longest=longest)


def storable(value: object) -> object:
    """Return *value* without the characters that a database refuses: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return value
