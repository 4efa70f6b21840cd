"""App sessions: tickets issued, redeemed once, renewed while they are in use, and ended.

Every answer to an app is worked out anew from the sign-in's row, the stored identity and the current
rules.  A redemption is one transaction that locks the sign-in's row first, so that neither a second
redemption nor a sign-out in between opens a door.
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

import sqlalchemy as sa

from portal.access.audit import Audit, AuditEvent
from portal.access.outbox import Outbox
from portal.access.revocation import PendingNotification, RevocationReason, revoke_app_sessions
from portal.access.session_validation import SESSION_WITH_SIGN_IN, EndedSession, Judgement, SessionValidator
from portal.access.sign_ins import TOUCH, Row, SignIn, SignIns
from portal.access.signing_keys import SigningKeys
from portal.access.stored_identity import read_identity
from portal.access.tickets import Tickets, person_of
from portal.contract import Active, Inactive, Introspection, Rejected, Rejection, Ticket
from portal.errors import StoreUnavailable
from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, Standing
from portal.settings import Settings
from portal.storage import tables
from portal.storage.database import Database

__all__ = ["AppSessions", "LiveSession", "Refusal", "RevocationReason"]

MOST_LIVING: Final = 8
"""Most living sessions of one sign-in with one app; the least recently used make room for the next."""
_MAX_SID: Final = 64


class Refusal(StrEnum):
    """Why a ticket or a session is good for nothing, where nothing has ended.  Keep alphabetized."""

    BAD_TICKET = "bad-ticket"
    EXPIRED = "expired"
    UNKNOWN_SESSION = "unknown-session"
    """No session of this app; whether another app has it is not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """An app session that lives, whose it is, and what they may do."""

    sid: str
    app: AppSpec
    sign_in_id: str
    standing: Standing

    def __bool__(self) -> Literal[True]:
        return True


class AppSessions:
    """The app sessions of the portal."""

    def __init__(
        self,
        database: Database,
        *,
        keys: SigningKeys,
        sign_ins: SignIns,
        audit: Audit,
        outbox: Outbox,
        settings: Settings,
    ) -> None:
        self._database = database
        self._sign_ins = sign_ins
        self._audit = audit
        self._outbox = outbox
        self._tickets = Tickets(keys, issuer=settings.url)
        self._judge = SessionValidator(settings.roles, sign_ins=sign_ins)

    def issue(self, allowed: Allowed, *, sign_in: SignIn, next: str, now: int) -> str:  # noqa: A002 - the ticket's word
        """Return a signed ticket to the allowed app, which opens it at the path *next*.

        Raises:
            ValueError: *allowed* speaks of another person or tenant than *sign_in*, or *next* is no local path.
            StoreUnavailable: no ticket.
        """
        standing, app = allowed.standing, allowed.app
        if standing.identity.id != sign_in.identity.id or standing.tenant != sign_in.tenant:
            raise ValueError("the decision is about somebody else")
        ticket, token = self._tickets.make(allowed, next=next, expires_at=sign_in.expires_at, now=now)
        row = {
            "id": ticket.session,
            "sign_in_id": sign_in.id,
            "app": app.slug,
            "tenant": standing.tenant,
            "ticket_hash": _hash(ticket.id),
            "ticket_expires_at": ticket.expires_at,
            "last_seen_at": now,
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(tables.app_sessions).values(row))
        return token

    def redeem(self, token: object, *, app: AppSpec, now: int) -> Introspection:
        """Open the app session of a ticket that *app* presents, once.

        Raises:
            StoreUnavailable: nothing was redeemed; the ticket is good until it expires.
        """
        try:
            ticket = self._tickets.read(token, app=app, now=now)
        except Rejected as rejected:
            self._audit.refused_ticket(now=now, app=app.slug, detail=rejected.reason.value)
            is_late = rejected.reason is Rejection.EXPIRED
            return Inactive(code=Refusal.EXPIRED if is_late else Refusal.BAD_TICKET)
        with self._database.write() as connection:
            answer, pushes = self._redeem(connection, ticket, app=app, now=now)
        self._outbox.hand_over(pushes)
        return answer

    def renew(self, sid: object, *, app: AppSpec, now: int, in_use: bool = True) -> Introspection:
        """Say whether the session *sid* of *app* still lives, and who is there now.

        *in_use* keeps the sign-in from growing idle; a tab that is only open does not.

        Raises:
            StoreUnavailable: nothing is known.
        """
        found = self._look(sid, app=app, now=now)
        if isinstance(found, Inactive):
            return found
        row, allowed = found
        if in_use and now - min(row.session_seen_at, row.last_seen_at) >= TOUCH:
            self._touch(row, now=now)
        return Active(session=row.sid, person=person_of(allowed, expires_at=row.expires_at))

    def live(self, sid: object, *, app: AppSpec, now: int) -> LiveSession | Inactive:
        """Return the living session *sid* of *app*.

        Raises:
            StoreUnavailable: nothing is known.
        """
        found = self._look(sid, app=app, now=now)
        if isinstance(found, Inactive):
            return found
        row, allowed = found
        return LiveSession(sid=row.sid, app=app, sign_in_id=row.id, standing=allowed.standing)

    def standing_of(self, sid: object, *, app: AppSpec, now: int) -> Standing | Inactive:
        """Return what the person in the session *sid* of *app* is now; see :meth:`live`."""
        found = self.live(sid, app=app, now=now)
        return found if isinstance(found, Inactive) else found.standing

    def _redeem(
        self, connection: sa.Connection, ticket: Ticket, *, app: AppSpec, now: int
    ) -> tuple[Introspection, tuple[PendingNotification, ...]]:
        row = self._locked(connection, ticket.session)
        if row is None or not _is_of(row, ticket, app):
            return self._refuse(connection, Refusal.BAD_TICKET, row=row, app=app, now=now), ()
        if row.redeemed_at is not None:
            # RFC 6749, section 4.1.2: a code used twice may have been stolen, and what came of its first use
            # should be revoked; the same holds for a ticket.
            reason = RevocationReason.ALREADY_REDEEMED
            pushes = self._end_session(connection, row.sid, reason=reason, now=now)
            return self._refuse(connection, reason, row=row, app=app, now=now), pushes
        judged, pushes = self._settled(connection, row, app=app, now=now)
        if isinstance(judged, EndedSession):
            return self._refuse(connection, judged.reason, row=row, app=app, now=now), pushes
        table = tables.app_sessions
        seen = {"redeemed_at": now, "last_seen_at": now}
        connection.execute(sa.update(table).where(table.c.id == row.sid).values(seen))
        self._audit.record(
            AuditEvent.APP_OPENED,
            now=now,
            identity=judged.standing.identity,
            tenant=judged.standing.tenant,
            app=app.slug,
            connection=connection,
        )
        answer = Active(session=row.sid, person=person_of(judged, expires_at=row.expires_at), next=ticket.next)
        return answer, self._make_room(connection, row, app=app, now=now)

    def _locked(self, connection: sa.Connection, sid: str) -> Row | None:
        table = tables.app_sessions
        sign_in_id = connection.execute(sa.select(table.c.sign_in_id).where(table.c.id == sid)).scalar()
        if sign_in_id is None or self._sign_ins.lock(connection, sign_in_id) is None:
            return None
        # Read after the lock was had: what was read before it may be out of date.
        return connection.execute(SESSION_WITH_SIGN_IN, {"sid": sid}).first()

    def _look(self, sid: object, *, app: AppSpec, now: int) -> tuple[Row, Allowed] | Inactive:
        if type(sid) is not str or not 0 < len(sid) <= _MAX_SID or not sid.isascii() or not sid.isprintable():
            return Inactive(code=Refusal.UNKNOWN_SESSION)
        with self._database.read() as connection:
            row = connection.execute(SESSION_WITH_SIGN_IN, {"sid": sid}).first()
        if row is None or row.app != app.slug or row.redeemed_at is None:
            return Inactive(code=Refusal.UNKNOWN_SESSION)
        judged = self._judge.validate(row, app=app, now=now)
        if isinstance(judged, Allowed):
            return row, judged
        if row.session_ended_at is not None:
            return Inactive(code=judged.reason)
        # It is over and its row does not say so yet: judge again under the lock, and say so.
        pushes: tuple[PendingNotification, ...] = ()
        with self._database.write() as connection:
            row = self._locked(connection, sid)
            if row is not None:
                judged, pushes = self._settled(connection, row, app=app, now=now)
        self._outbox.hand_over(pushes)
        if row is None:
            return Inactive(code=Refusal.UNKNOWN_SESSION)
        return (row, judged) if isinstance(judged, Allowed) else Inactive(code=judged.reason)

    def _settled(
        self, connection: sa.Connection, row: Row, *, app: AppSpec, now: int
    ) -> tuple[Judgement, tuple[PendingNotification, ...]]:
        """Judge a *row* whose sign-in is locked, and write down what is over."""
        judged = self._judge.validate(row, app=app, now=now)
        if isinstance(judged, Allowed) or row.session_ended_at is not None:
            return judged, ()
        if judged.reason is RevocationReason.SIGN_IN_EXPIRED:
            return judged, self._sign_ins.end_locked(connection, row, reason=judged.reason, now=now)
        if judged.reason is RevocationReason.DENIED:
            self._audit.record(
                AuditEvent.APP_DENIED,
                now=now,
                identity=read_identity(row.identity),
                tenant=row.tenant,
                app=app.slug,
                detail=judged.detail,
                connection=connection,
            )
        return judged, self._end_session(connection, row.sid, reason=judged.reason, now=now)

    def _end_session(
        self, connection: sa.Connection, sid: str, *, reason: RevocationReason, now: int
    ) -> tuple[PendingNotification, ...]:
        return revoke_app_sessions(connection, tables.app_sessions.c.id == sid, reason=reason, now=now)

    def _make_room(
        self, connection: sa.Connection, row: Row, *, app: AppSpec, now: int
    ) -> tuple[PendingNotification, ...]:
        table = tables.app_sessions
        others = (
            sa.select(table.c.id)
            .where(
                table.c.sign_in_id == row.id,
                table.c.app == app.slug,
                table.c.ended_at.is_(None),
                table.c.redeemed_at.is_not(None),
                table.c.id != row.sid,
            )
            .order_by(table.c.last_seen_at.desc(), table.c.redeemed_at.desc(), table.c.id)
        )
        surplus = list(connection.execute(others.offset(MOST_LIVING - 1)).scalars())
        return revoke_app_sessions(connection, table.c.id.in_(surplus), reason=RevocationReason.SUPERSEDED, now=now)

    def _refuse(
        self, connection: sa.Connection, code: Refusal | RevocationReason, *, row: Row | None, app: AppSpec, now: int
    ) -> Inactive:
        self._audit.refused_ticket(
            now=now,
            identity=None if row is None else read_identity(row.identity),
            tenant=None if row is None else row.tenant,
            app=app.slug,
            detail=code.value,
            connection=connection,
        )
        return Inactive(code=code)

    def _touch(self, row: Row, *, now: int) -> None:
        sessions, sign_ins = tables.app_sessions, tables.sign_ins
        # A busy writer is no reason to fail an answer that is known; the next renewal tries again.
        with suppress(StoreUnavailable), self._database.write() as connection:
            # The sign-in first, as everywhere; and never one that ended meanwhile.
            connection.execute(
                sa.update(sign_ins)
                .where(sign_ins.c.id == row.id, sign_ins.c.ended_at.is_(None), sign_ins.c.last_seen_at < now)
                .values(last_seen_at=now)
            )
            connection.execute(
                sa.update(sessions)
                .where(sessions.c.id == row.sid, sessions.c.ended_at.is_(None))
                .values(last_seen_at=now)
            )


def _is_of(row: Row, ticket: Ticket, app: AppSpec) -> bool:
    """Say whether *row* is the app session that *ticket* was issued for."""
    return (
        compare_digest(row.ticket_hash, _hash(ticket.id)) and row.app == app.slug and row.identity_id == ticket.subject
    )


def _hash(ticket_id: str) -> str:
    return sha256(ticket_id.encode()).hexdigest()
