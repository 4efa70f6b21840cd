"""What happened: who signed in, opened what, was refused, and whose access ended.

Each event is a row, for the admins of its tenant, and one line of JSON in the log.  The log names
people by the identity's id; no secret, token or session id stands in either.
"""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from portal.contract.truncation import shorten
from portal.rules.fixed_window import FixedWindowLimiter
from portal.rules.identity import Identity
from portal.storage import tables
from portal.storage.database import Database

_log: Final = logging.getLogger("portal.audit")
MOST_REFUSED: Final = 20
"""Most refused tickets of one app recorded in a minute, by each process; of tickets that name nobody, and of others."""
MOST_OF_ONE: Final = 30
"""Most events of one kind that one person leaves in a tenant's record within :data:`WINDOW`, by each process."""
MOST_UNNAMED: Final = 300
"""Most of one kind that name no person."""
WINDOW: Final = 600
"""Seconds."""
_MINUTE: Final = 60
MAX_DETAIL: Final = 500
"""Longest detail kept, in characters."""


class AuditEvent(StrEnum):
    """What is recorded.  Values are part of the log's contract; keep alphabetized."""

    API_USED = "api-used"
    """An app used the portal's API in somebody's name."""
    APP_DENIED = "app-denied"
    """Somebody asked for an app that policy does not open to them, or whose role was withdrawn."""
    APP_OPENED = "app-opened"
    """A ticket was redeemed."""
    EVENTS_LEFT_OUT = "events-left-out"
    """One person caused so many events of one kind that not each was recorded."""
    SIGN_IN_ENDED = "sign-in-ended"
    """A sign-in ended otherwise than by its person: by an admin, or by its age."""
    SIGN_IN_REFUSED = "sign-in-refused"
    """Nobody was signed in: the provider, the callback or a rule said no."""
    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    TENANT_SWITCHED = "tenant-switched"
    TICKET_REFUSED = "ticket-refused"
    """An app presented a ticket that opens nothing."""
    TICKETS_LEFT_OUT = "tickets-left-out"
    """An app presented so many such tickets that not each was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One recorded event."""

    id: int
    """Grows from entry to entry, over all tenants: for the portal itself only."""
    at: int
    event: str
    name: str | None
    email: str | None
    """Only if the provider vouched for it."""
    tenant: str | None
    app: str | None
    detail: str
    reference: str
    """The reference shown to the person, where there was a page."""


_COUNTED_ELSEWHERE: Final = frozenset(
    {AuditEvent.EVENTS_LEFT_OUT, AuditEvent.TICKET_REFUSED, AuditEvent.TICKETS_LEFT_OUT}
)


@dataclass(frozen=True, slots=True)
class _Author:
    """Who causes events of one kind."""

    event: AuditEvent
    identity_id: str | None
    issuer: str | None
    tenant: str | None
    name: str | None
    email: str | None


class Audit:
    """Writes and reads the record of events; bounded, because a person who causes many could fill the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refusals: FixedWindowLimiter[tuple[str, bool]] = FixedWindowLimiter(most=MOST_REFUSED, window=_MINUTE)
        self._of_one: FixedWindowLimiter[_Author] = FixedWindowLimiter(most=MOST_OF_ONE, window=WINDOW)
        self._unnamed: FixedWindowLimiter[_Author] = FixedWindowLimiter(most=MOST_UNNAMED, window=WINDOW)

    def record(
        self,
        event: AuditEvent,
        *,
        now: int,
        identity: Identity | None = None,
        tenant: str | None = None,
        app: str | None = None,
        detail: str = "",
        reference: str = "",
        connection: sa.Connection | None = None,
    ) -> None:
        """Record *event*, unless there were many of its kind; with *connection*, as part of its transaction.

        Raises:
            StoreUnavailable: the row could not be written; the line in the log was.
        """
        author = _Author(
            event=event,
            identity_id=identity.id if identity else None,
            issuer=identity.issuer if identity else None,
            tenant=_cut(tenant),
            name=_cut(_name_of(identity)) if identity else None,
            email=_cut(identity.verified_email) if identity else None,
        )
        allowance = self._unnamed if identity is None else self._of_one
        if event in _COUNTED_ELSEWHERE or allowance.take(author, now=now):
            self._write(author, now=now, app=app, detail=detail, reference=reference, connection=connection)

    def _write(
        self,
        author: _Author,
        *,
        now: int,
        detail: str,
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
        # ensure_ascii also keeps line breaks and terminal escapes out of the log.
        _log.info("%s", json.dumps({name: value for name, value in row.items() if value not in {None, ""}}))
        row |= {"name": author.name, "email": author.email}
        insert = sa.insert(tables.audit).values({name: _storable(value) for name, value in row.items()})
        if connection is not None:
            connection.execute(insert)
            return
        with self._database.write() as own:
            own.execute(insert)

    def refused_ticket(
        self,
        *,
        now: int,
        app: str,
        detail: str,
        identity: Identity | None = None,
        tenant: str | None = None,
        connection: sa.Connection | None = None,
    ) -> None:
        """Record that a ticket of *app* was refused, unless many were: an app could fill the disk with junk.

        Tickets that name nobody are counted by themselves, so that no junk hides the ticket of a person.

        Raises:
            StoreUnavailable: as :meth:`record`.
        """
        self.record_left_out(now, connection=connection)
        if self._refusals.take((app, identity is not None), now=now):
            self.record(
                AuditEvent.TICKET_REFUSED,
                now=now,
                identity=identity,
                tenant=tenant,
                app=app,
                detail=detail,
                connection=connection,
            )

    def record_left_out(self, now: int, *, connection: sa.Connection | None = None) -> None:
        """Record how many events were left out of the times that are over.

        Raises:
            StoreUnavailable: as :meth:`record`.
        """
        for (app, _), number in self._refusals.report_excess(now=now).items():
            self.record(AuditEvent.TICKETS_LEFT_OUT, now=now, app=app, detail=str(number), connection=connection)
        for allowance in (self._of_one, self._unnamed):
            for author, number in allowance.report_excess(now=now).items():
                summed = replace(author, event=AuditEvent.EVENTS_LEFT_OUT)
                self._write(summed, now=now, detail=f"{number} {author.event.value}", connection=connection)

    def recent(
        self, *, issuer: str, tenant: str, limit: int, before: int | None = None, without: Collection[str] = ()
    ) -> list[AuditEntry]:
        """Return the latest events of *tenant* of *issuer*, newest first, at most *limit*.

        *before*: only those older than the entry with this :attr:`AuditEntry.id`; *without*: none of these events.
        """
        table = tables.audit
        columns = (
            table.c.id,
            table.c.at,
            table.c.event,
            table.c.name,
            table.c.email,
            table.c.tenant,
            table.c.app,
            table.c.detail,
            table.c.reference,
        )
        wanted = [table.c.issuer == issuer, table.c.tenant == tenant]
        if before is not None:
            wanted.append(table.c.id < before)
        if without:
            wanted.append(table.c.event.not_in(sorted(without)))
        query = sa.select(*columns).where(*wanted).order_by(table.c.id.desc()).limit(max(0, limit))
        with self._database.read() as connection:
            return [AuditEntry(**row) for row in connection.execute(query).mappings()]


def _name_of(identity: Identity) -> str | None:
    """Return what to call *identity*; an address that nobody vouches for is marked, and stands for a name only."""
    if identity.name or not identity.email or identity.email_verified:
        return identity.name
    return f"{identity.email} (not verified)"


def _cut(text: str | None, *, longest: int = 512) -> str | None:
    """Return *text*, ended by an ellipsis where it is longer than its column."""
    return None if text is None else shorten(text, longest=longest)


def _storable(value: object) -> object:
    """Return *value* without what a database refuses: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return value
