"""Revoking access: app sessions are marked ended and their notifications put in the outbox, in one transaction.

The caller holds the lock on the sign-in's row, which every redemption takes first. So no app session
is opened between reading and marking.
"""

import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from portal.storage import tables

LEASE: Final = 10
"""How long one worker holds a notification before another may take it, in seconds."""


class RevocationReason(StrEnum):
    """Why a sign-in or an app session ended.  Guards and the audit get the values; keep alphabetized."""

    ALREADY_REDEEMED = "already-redeemed"
    """Its ticket was presented a second time; one of the two was not the person's."""
    DENIED = "denied"
    """The policy no longer opens the app to the person."""
    NOT_ADMITTED = "not-admitted"
    """The conditions for coming in, or the company's hook, refuse the person now."""
    PROVIDER_SIGNED_OUT = "provider-signed-out"
    """The provider said that its session has ended."""
    REFRESH_REFUSED = "refresh-refused"
    """The provider does not renew the sign-in any more."""
    RESTORED = "restored"
    """The database was restored from a backup, which ends every sign-in in it."""
    SIGN_IN_ENDED = "sign-in-ended"
    """An admin ended the sign-in."""
    SIGN_IN_EXPIRED = "sign-in-expired"
    """The sign-in was not used for too long, or is too old."""
    SIGNED_OUT = "signed-out"
    SUPERSEDED = "superseded"
    """The person has opened the app, or signed in, too many times since: the least recently used ends."""
    TENANT_SWITCHED = "tenant-switched"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingNotification:
    """One app session has ended and its app does not know yet."""

    id: str
    app: str
    """The app's slug."""
    session: str


class Revocation:
    """One transaction that revokes access, and the notifications to deliver once it is committed."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.notifications: list[PendingNotification] = []

    def revoke_app_sessions(self, *conditions: sa.ColumnElement[bool], reason: RevocationReason, now: int) -> None:
        """End the living app sessions that meet *conditions*."""
        table = tables.app_sessions
        query = sa.select(table.c.id, table.c.app, table.c.redeemed_at, table.c.ticket_expires_at)
        rows = self.connection.execute(query.where(table.c.ended_at.is_(None), *conditions)).all()
        if not rows:
            return
        living = sa.update(table).where(table.c.id.in_([row.id for row in rows]), table.c.ended_at.is_(None))
        self.connection.execute(living.values(ended_at=now, end_reason=reason.value))
        # No guard knows a ticket that was never redeemed and has expired.
        known = [(row.app, row.id) for row in rows if row.redeemed_at is not None or row.ticket_expires_at > now]
        self.notifications += enqueue(self.connection, known, now=now)


def enqueue(
    connection: sa.Connection, sessions: Iterable[tuple[str, str]], *, now: int
) -> tuple[PendingNotification, ...]:
    """Put a notification for each (app, session) of *sessions* in the outbox, leased to the caller."""
    notifications = tuple(
        PendingNotification(id=secrets.token_urlsafe(16), app=app, session=session) for app, session in sessions
    )
    rows = [asdict(one) | {"created_at": now, "due_at": now + LEASE, "attempts": 1} for one in notifications]
    if rows:
        connection.execute(sa.insert(tables.outbox), rows)
    return notifications
