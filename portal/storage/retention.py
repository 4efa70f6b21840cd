"""Deletes rows that are too old to keep, in small steps."""

from typing import Final

import sqlalchemy as sa

from portal.settings import DAY, HOUR
from portal.storage import tables
from portal.storage.database import Database

SIGN_IN_RETENTION: Final = 90 * DAY
REVOKED_KEY_RETENTION: Final = 90 * DAY
APP_SESSION_RETENTION: Final = 7 * DAY
"""For ended app sessions: long enough for every guard to have asked for the reason."""
TICKET_RETENTION: Final = HOUR
"""For tickets that were not redeemed."""
_STEP: Final = 500
"""Most rows deleted from a table at once, so that no writer waits long."""
_LOGOUT_STEP: Final = 5000
"""The same for provider logouts, whose rows are small: more than the rate limit of their address lets in per minute."""


def purge(database: Database, *, audit_retention: int, now: int) -> int:
    """Delete rows that are too old to keep, up to a limit per call; return their number."""
    sign_ins, app_sessions, audit = tables.sign_ins, tables.app_sessions, tables.audit
    logouts, revoked_keys = tables.provider_logouts, tables.revoked_keys
    too_old = (
        (
            app_sessions,
            sa.and_(app_sessions.c.redeemed_at.is_(None), app_sessions.c.ticket_expires_at < now - TICKET_RETENTION),
            _STEP,
        ),
        (app_sessions, app_sessions.c.ended_at < now - APP_SESSION_RETENTION, _STEP),
        (sign_ins, sign_ins.c.ended_at < now - SIGN_IN_RETENTION, _STEP),
        (sign_ins, sign_ins.c.expires_at < now - SIGN_IN_RETENTION, _STEP),
        (audit, audit.c.at < now - audit_retention, _STEP),
        (logouts, logouts.c.until < now, _LOGOUT_STEP),
        (revoked_keys, revoked_keys.c.revoked_at < now - REVOKED_KEY_RETENTION, _STEP),
    )
    return sum(_delete(database, table, condition, step=step) for table, condition, step in too_old)


def _delete(database: Database, table: sa.Table, condition: sa.ColumnElement[bool], *, step: int) -> int:
    (primary,) = table.primary_key
    with database.read() as connection:  # without rows to delete, take no write lock
        ids = list(connection.execute(sa.select(primary).where(condition).limit(step)).scalars())
    if not ids:
        return 0
    with database.write() as connection:
        # The condition again: a ticket may have been redeemed in between.
        return connection.execute(sa.delete(table).where(primary.in_(ids), condition)).rowcount
