"""How access ends: app sessions are marked ended and their pushes put in the outbox, in one transaction.

The caller holds the lock on the sign-in's row, which every redemption takes first; so no app session
is opened between the look and the mark.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from portal.storage import tables

LEASE: Final = 10
"""How long a worker has a push for itself before another may take it up, in seconds."""


class RevocationReason(StrEnum):
    """Why a sign-in or an app session ended.  Values reach guards and the audit; keep alphabetized."""

    ALREADY_REDEEMED = "already-redeemed"
    """Its ticket was presented a second time; one of the two was not the person's."""
    DENIED = "denied"
    """Policy does not open the app to the person any more."""
    RESTORED = "restored"
    """The database was restored from a backup; what was signed in then is not any more."""
    SIGN_IN_ENDED = "sign-in-ended"
    """An admin ended the sign-in."""
    SIGN_IN_EXPIRED = "sign-in-expired"
    """The sign-in was not used for too long, or is too old."""
    SIGNED_OUT = "signed-out"
    SUPERSEDED = "superseded"
    """The person opened the app, or signed in, too many times since; what was not used for longest makes room."""
    TENANT_SWITCHED = "tenant-switched"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingNotification:
    """One app session has ended and its app does not know yet."""

    id: str
    app: str
    """The app's slug."""
    session: str


def revoke_app_sessions(
    connection: sa.Connection, *conditions: sa.ColumnElement[bool], reason: RevocationReason, now: int
) -> tuple[PendingNotification, ...]:
    """End the living app sessions that meet *conditions*; return the pushes due, leased to the caller."""
    table = tables.app_sessions
    query = sa.select(table.c.id, table.c.app, table.c.redeemed_at, table.c.ticket_expires_at)
    rows = connection.execute(query.where(table.c.ended_at.is_(None), *conditions)).all()
    if not rows:
        return ()
    ended = sa.update(table).where(table.c.id.in_([row.id for row in rows]), table.c.ended_at.is_(None))
    connection.execute(ended.values(ended_at=now, end_reason=reason.value))
    # A ticket that was never redeemed and no longer can be is known to no guard.
    return enqueue(
        connection,
        [(row.app, row.id) for row in rows if row.redeemed_at is not None or row.ticket_expires_at > now],
        now=now,
    )


def enqueue(
    connection: sa.Connection, ended: Iterable[tuple[str, str]], *, now: int
) -> tuple[PendingNotification, ...]:
    """Put a push for each (app, session) of *ended* in the outbox, leased to the caller."""
    pushes = tuple(
        PendingNotification(id=secrets.token_urlsafe(16), app=app, session=session) for app, session in ended
    )
    rows = [
        {
            "id": push.id,
            "app": push.app,
            "session": push.session,
            "created_at": now,
            "due_at": now + LEASE,
            "attempts": 1,
        }
        for push in pushes
    ]
    if rows:
        connection.execute(sa.insert(tables.outbox), rows)
    return pushes
