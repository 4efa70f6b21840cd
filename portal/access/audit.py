"""The audit: who signed in, opened an app or was refused, and whose access ended.

Each event is a row, for the admins of its tenant, and one line of JSON in the log.  The log identifies
people by the identity's id.  Neither has a secret, token or session id.
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
"""Most refused tickets of one app that a process records per minute: with a known person, and without."""
MOST_OF_ONE: Final = 30
"""Most events of one kind of one person in a tenant that a process records within :data:`WINDOW`."""
MOST_UNNAMED: Final = 300
"""Most events of one kind without a person."""
WINDOW: Final = 600
"""In seconds."""
_MINUTE: Final = 60
MAX_DETAIL: Final = 500
"""Longest detail, in characters."""


class AuditEvent(StrEnum):
    """The events.  Their values are part of the log's contract; keep alphabetized."""

    API_USED = "api-used"
    """An app used the portal's API on behalf of a person."""
    APP_DENIED = "app-denied"
    """The policy does not open the app to the person, or no longer does."""
    APP_OPENED = "app-opened"
    """A ticket was redeemed."""
    EVENTS_LEFT_OUT = "events-left-out"
    """One person caused too many events of one kind to record each."""
    ROLES_CHANGED = "roles-changed"
    """A refresh brought other roles."""
    SIGN_IN_ENDED = "sign-in-ended"
    """A sign-in ended without the person's doing: an admin ended it, or it expired."""
    SIGN_IN_REFUSED = "sign-in-refused"
    """A sign-in failed: the provider, the callback or a rule refused it."""
    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    TENANT_SWITCHED = "tenant-switched"
    TICKET_REFUSED = "ticket-refused"
    """An app presented a ticket that is not valid."""
    TICKETS_LEFT_OUT = "tickets-left-out"
    """An app presented too many such tickets to record each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One recorded event."""

    id: int
    """Increases over all tenants, so it must not leave the portal."""
    at: int
    event: str
    name: str | None
    email: str | None
    """Only a verified one."""
    tenant: str | None
    app: str | None
    detail: str
    reference: str
    """The reference on the error page, if there was one."""


_WITHOUT_LIMIT: Final = frozenset({AuditEvent.EVENTS_LEFT_OUT, AuditEvent.TICKET_REFUSED, AuditEvent.TICKETS_LEFT_OUT})


@dataclass(frozen=True, slots=True)
class _Author:
    """The author of events of one kind."""

    event: AuditEvent
    identity_id: str | None
    issuer: str | None
    tenant: str | None
    name: str | None
    email: str | None


class Audit:
    """Writes and reads events; limited, because a person who causes many could fill the disk."""

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
        """Record *event*, unless there were too many of its kind; with *connection*, as part of its transaction.

        Raises:
            StoreUnavailable: only the line in the log was written.
        """
        author = _Author(
            event=event,
            identity_id=identity.id if identity else None,
            issuer=identity.issuer if identity else None,
            tenant=_cut(tenant),
            name=_cut(_name_of(identity)) if identity else None,
            email=_cut(identity.verified_email) if identity else None,
        )
        limiter = self._unnamed if identity is None else self._of_one
        if event in _WITHOUT_LIMIT or limiter.take(author, now=now):
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
        insert = sa.insert(tables.audit).values({name: storable(value) for name, value in row.items()})
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
        """Record that a ticket of *app* was refused, unless there were too many: an app could fill the disk with junk.

        Tickets without a known person count separately, so that junk does not hide a person's ticket.

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
        """Record how many events were left out in the windows that have ended.

        Raises:
            StoreUnavailable: as :meth:`record`.
        """
        for (app, _), number in self._refusals.report_excess(now=now).items():
            self.record(AuditEvent.TICKETS_LEFT_OUT, now=now, app=app, detail=str(number), connection=connection)
        for limiter in (self._of_one, self._unnamed):
            for author, number in limiter.report_excess(now=now).items():
                summed = replace(author, event=AuditEvent.EVENTS_LEFT_OUT)
                self._write(summed, now=now, detail=f"{number} {author.event.value}", connection=connection)

    def recent(
        self, *, issuer: str, tenant: str, limit: int, before: int | None = None, without: Collection[str] = ()
    ) -> list[AuditEntry]:
        """Return the latest events of *tenant* of *issuer*, newest first, at most *limit*.

        *before*: only those older than the entry with this :attr:`AuditEntry.id`; *without*: events to leave out.
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
        conditions = [table.c.issuer == issuer, table.c.tenant == tenant]
        if before is not None:
            conditions.append(table.c.id < before)
        if without:
            conditions.append(table.c.event.not_in(sorted(without)))
        query = sa.select(*columns).where(*conditions).order_by(table.c.id.desc()).limit(max(0, limit))
        with self._database.read() as connection:
            return [AuditEntry(**row) for row in connection.execute(query).mappings()]


def _name_of(identity: Identity) -> str | None:
    """Return a name for *identity*: its own, else its address, marked if it is not verified."""
    if identity.name or not identity.email or identity.email_verified:
        return identity.name
    return f"{identity.email} (not verified)"


def _cut(text: str | None, *, longest: int = 512) -> str | None:
    """Return *text*, shortened to the length of its column."""
    return None if text is None else shorten(text, longest=longest)


def storable(value: object) -> object:
    """Return *value* without the characters that a database refuses: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return value
