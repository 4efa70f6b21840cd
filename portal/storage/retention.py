"""What is kept, and for how long; the rest is dropped in small steps."""

from typing import Final

import sqlalchemy as sa

from portal.settings import DAY, HOUR
from portal.storage import tables
from portal.storage.database import Database

SIGN_INS_KEPT: Final = 90 * DAY
AUDIT_KEPT: Final = 90 * DAY
APP_SESSIONS_KEPT: Final = 7 * DAY
"""Ended app sessions: long enough for every guard to have asked why."""
TICKETS_KEPT: Final = HOUR
"""Tickets nobody redeemed."""
_STEP: Final = 500
"""Most rows dropped from a table at once, so that no writer waits long."""


def purge(database: Database, *, now: int) -> int:
    """Drop a bounded number of rows that are too old to keep; return how many."""
    sign_ins, app_sessions, audit = tables.sign_ins, tables.app_sessions, tables.audit
    too_old = (
        (
            app_sessions,
            sa.and_(app_sessions.c.redeemed_at.is_(None), app_sessions.c.ticket_expires_at < now - TICKETS_KEPT),
        ),
        (app_sessions, app_sessions.c.ended_at < now - APP_SESSIONS_KEPT),
        (sign_ins, sign_ins.c.ended_at < now - SIGN_INS_KEPT),
        (sign_ins, sign_ins.c.expires_at < now - SIGN_INS_KEPT),
        (audit, audit.c.at < now - AUDIT_KEPT),
    )
    return sum(_drop(database, table, condition) for table, condition in too_old)


def _drop(database: Database, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    with database.read() as connection:  # nothing to drop, no write lock
        ids = list(connection.execute(sa.select(table.c.id).where(condition).limit(_STEP)).scalars())
    if not ids:
        return 0
    with database.write() as connection:
        # The condition again: a ticket may have been redeemed in between.
        return connection.execute(sa.delete(table).where(table.c.id.in_(ids), condition)).rowcount
