"""App sessions: tickets are issued and redeemed once; sessions are renewed while they are in use, and revoked.

Every answer to an app follows from the sign-in's row, the stored identity and the current rules.
A redemption is one transaction that locks the sign-in's row first, so that neither a second
redemption nor a sign-out at the same moment leaves a session open.
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

import sqlalchemy as sa

from portal.access.audit import Audit
from portal.access.audit_events import AuditEvent
from portal.access.outbox import Outbox
from portal.access.revocation import Revocation, RevocationReason
from portal.access.session_validation import (
    SESSION_WITH_SIGN_IN,
    SESSIONS_WITH_SIGN_INS,
    EndedSession,
    SessionValidation,
    SessionValidator,
)
from portal.access.sign_ins import TOUCH, Row, SignIn, SignIns
from portal.access.signing_keys import SigningKeys
from portal.access.stored_identity import read_identity
from portal.access.tickets import Tickets, person_of
from portal.contract import Active, Inactive, Introspection, Rejected, Rejection, Ticket
from portal.errors import StoreUnavailable
from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, Denial, Standing
from portal.settings import Settings
from portal.storage import tables
from portal.storage.database import Database

__all__ = ["AppSessions", "LiveSession", "RevocationReason", "SessionRefusal"]

MOST_LIVING: Final = 8
"""Most living sessions of one sign-in with one app; another one revokes the least recently used."""
_MAX_SID: Final = 64
_PAGE: Final = 200
"""App sessions that are read at once when the configuration may have changed."""
_TOGETHER: Final = 20
"""Sign-ins whose app sessions are then ended in one transaction: other writers wait for it."""


class SessionRefusal(StrEnum):
    """Why a ticket or a session is refused that was not revoked.  Keep alphabetized."""

    BAD_TICKET = "bad-ticket"
    EXPIRED = "expired"
    UNKNOWN_SESSION = "unknown-session"
    """Not a session of this app; whether it is another app's is not disclosed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A living app session, its person and their roles."""

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
        self._catalogue = settings.catalogue
        self._tickets = Tickets(keys, issuer=settings.url)
        self._validator = SessionValidator(settings.roles, sign_ins=sign_ins)

    def issue(self, allowed: Allowed, *, sign_in: SignIn, next: str, now: int) -> str:  # noqa: A002 - the claim's name
        """Return a signed ticket to the allowed app, which opens it at the path *next*.

        Raises:
            ValueError: *allowed* is for another person or tenant than *sign_in*, or *next* is not a local path.
            StoreUnavailable: no ticket was issued.
        """
        standing, app = allowed.standing, allowed.app
        if standing.identity.id != sign_in.identity.id or standing.tenant != sign_in.tenant:
            raise ValueError("the decision is for another person or tenant")
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
            self._audit.refused_ticket(now=now, app=app.slug, reason=rejected.reason.value)
            is_late = rejected.reason is Rejection.EXPIRED
            return Inactive(code=SessionRefusal.EXPIRED if is_late else SessionRefusal.BAD_TICKET)
        with self._outbox.transaction() as revocation:
            return self._redeem(revocation, ticket, app=app, now=now)

    def renew(self, sid: object, *, app: AppSpec, now: int, in_use: bool = True) -> Introspection:
        """Return whether the session *sid* of *app* still lives, and its person.

        *in_use* keeps the sign-in from going idle; a tab that is only open does not.

        Raises:
            StoreUnavailable: the answer is unknown.
        """
        session = self._find(sid, app=app, now=now)
        if isinstance(session, Inactive):
            return session
        row, allowed = session
        if in_use and now - min(row.session_seen_at, row.last_seen_at) >= TOUCH:
            self._touch(row, now=now)
        return Active(session=row.sid, person=person_of(allowed, expires_at=row.expires_at))

    def live(self, sid: object, *, app: AppSpec, now: int) -> LiveSession | Inactive:
        """Return the living session *sid* of *app*.

        Raises:
            StoreUnavailable: the answer is unknown.
        """
        session = self._find(sid, app=app, now=now)
        if isinstance(session, Inactive):
            return session
        row, allowed = session
        return LiveSession(sid=row.sid, app=app, sign_in_id=row.id, standing=allowed.standing)

    def standing_of(self, sid: object, *, app: AppSpec, now: int) -> Standing | Inactive:
        """Return the current standing of the person in the session *sid* of *app*; see :meth:`live`."""
        session = self.live(sid, app=app, now=now)
        return session if isinstance(session, Inactive) else session.standing

    def revoke_denied(self, revocation: Revocation, sign_in_id: str, *, now: int) -> None:
        """End the app sessions of the locked sign-in that the policy does not allow any more."""
        opened, connection = tables.app_sessions, revocation.connection
        living = SESSIONS_WITH_SIGN_INS.where(opened.c.sign_in_id == sign_in_id, opened.c.ended_at.is_(None))
        recorded: set[str] = set()
        sids: list[str] = []
        for row in connection.execute(living).all():
            ended = self._denial_of(row, now=now)
            if ended is not None:
                if row.app not in recorded:  # one event, however many windows are open
                    recorded.add(row.app)
                    self._record_denial(revocation, row, ended, now=now)
                sids.append(row.sid)
        if sids:
            revocation.revoke_app_sessions(opened.c.id.in_(sids), reason=RevocationReason.DENIED, now=now)

    def revoke_all_denied(self, now: int) -> None:
        """End the app sessions that this configuration does not allow any more.

        Raises:
            StoreUnavailable: some may have ended; a later call ends the others.
        """
        signed, opened = tables.sign_ins, tables.app_sessions
        living = SESSIONS_WITH_SIGN_INS.where(opened.c.ended_at.is_(None), signed.c.ended_at.is_(None))
        following: sa.ColumnElement[bool] = sa.true()
        while True:
            page = living.where(following).order_by(opened.c.sign_in_id, opened.c.id).limit(_PAGE)
            with self._database.read() as connection:
                rows = connection.execute(page).all()
            denied = sorted({row.id for row in rows if self._denial_of(row, now=now) is not None})
            for start in range(0, len(denied), _TOGETHER):
                with self._outbox.transaction() as revocation:
                    for sign_in_id in denied[start : start + _TOGETHER]:
                        if self._sign_ins.lock(revocation.connection, sign_in_id) is not None:
                            self.revoke_denied(revocation, sign_in_id, now=now)
            if len(rows) < _PAGE:
                return
            last = rows[-1]
            of_same = sa.and_(opened.c.sign_in_id == last.id, opened.c.id > last.sid)
            following = sa.or_(opened.c.sign_in_id > last.id, of_same)

    def _denial_of(self, row: Row, *, now: int) -> EndedSession | None:
        """Return why the policy does not allow the session in *row*; ``None`` if it does, or the session has ended."""
        app = self._catalogue.find(row.app)
        if app is None:
            denial = Denial.UNKNOWN_APP.value
            return EndedSession(RevocationReason.DENIED, denial, {"denial": denial})
        result = self._validator.validate(row, app=app, now=now)
        if isinstance(result, EndedSession) and result.reason is RevocationReason.DENIED:
            return result
        return None

    def _redeem(self, revocation: Revocation, ticket: Ticket, *, app: AppSpec, now: int) -> Introspection:
        connection, table = revocation.connection, tables.app_sessions
        row = self._lock(connection, ticket.session)
        if row is None or not _is_of(row, ticket, app):
            return self._refuse(connection, SessionRefusal.BAD_TICKET, row=row, app=app, now=now)
        if row.redeemed_at is not None:
            # RFC 6749, section 4.1.2: a code used twice may have been stolen, and what came of its first use
            # should be revoked; the same holds for a ticket.
            reason = RevocationReason.ALREADY_REDEEMED
            revocation.revoke_app_sessions(table.c.id == row.sid, reason=reason, now=now)
            return self._refuse(connection, reason, row=row, app=app, now=now)
        result = self._validate_locked(revocation, row, app=app, now=now)
        if isinstance(result, EndedSession):
            return self._refuse(connection, result.reason, row=row, app=app, now=now)
        times = {"redeemed_at": now, "last_seen_at": now}
        connection.execute(sa.update(table).where(table.c.id == row.sid).values(times))
        self._audit.record(
            AuditEvent.APP_OPENED,
            now=now,
            identity=result.standing.identity,
            tenant=result.standing.tenant,
            app=app.slug,
            connection=connection,
        )
        self._make_room(revocation, row, app=app, now=now)
        return Active(session=row.sid, person=person_of(result, expires_at=row.expires_at), next=ticket.next)

    def _lock(self, connection: sa.Connection, sid: str) -> Row | None:
        table = tables.app_sessions
        sign_in_id = connection.execute(sa.select(table.c.sign_in_id).where(table.c.id == sid)).scalar()
        if sign_in_id is None or self._sign_ins.lock(connection, sign_in_id) is None:
            return None
        # Read under the lock: what was read before may be out of date.
        return connection.execute(SESSION_WITH_SIGN_IN, {"sid": sid}).first()

    def _find(self, sid: object, *, app: AppSpec, now: int) -> tuple[Row, Allowed] | Inactive:
        if type(sid) is not str or not 0 < len(sid) <= _MAX_SID or not sid.isascii() or not sid.isprintable():
            return Inactive(code=SessionRefusal.UNKNOWN_SESSION)
        with self._database.read() as connection:
            row = connection.execute(SESSION_WITH_SIGN_IN, {"sid": sid}).first()
        if row is None or row.app != app.slug or row.redeemed_at is None:
            return Inactive(code=SessionRefusal.UNKNOWN_SESSION)
        result = self._validator.validate(row, app=app, now=now)
        if isinstance(result, EndedSession) and row.session_ended_at is None:
            # Its row does not say yet that it has ended: validate it again under the lock, and write that down.
            with self._outbox.transaction() as revocation:
                row = self._lock(revocation.connection, sid)
                if row is None:
                    return Inactive(code=SessionRefusal.UNKNOWN_SESSION)
                result = self._validate_locked(revocation, row, app=app, now=now)
        return (row, result) if isinstance(result, Allowed) else Inactive(code=result.reason)

    def _validate_locked(self, revocation: Revocation, row: Row, *, app: AppSpec, now: int) -> SessionValidation:
        """Validate a *row* whose sign-in is locked; revoke what has ended and is not marked so."""
        result = self._validator.validate(row, app=app, now=now)
        if isinstance(result, Allowed) or row.session_ended_at is not None:
            return result
        if result.reason is RevocationReason.SIGN_IN_EXPIRED:
            self._sign_ins.revoke_in(revocation, row.id, reason=result.reason, now=now)
        elif result.reason is RevocationReason.DENIED:
            self._record_denial(revocation, row, result, now=now)
        revocation.revoke_app_sessions(tables.app_sessions.c.id == row.sid, reason=result.reason, now=now)
        return result

    def _record_denial(self, revocation: Revocation, row: Row, ended: EndedSession, *, now: int) -> None:
        self._audit.record(
            AuditEvent.APP_DENIED,
            now=now,
            identity=read_identity(row.identity),
            tenant=row.tenant,
            app=row.app,
            detail=ended.detail,
            fields=ended.fields,
            connection=revocation.connection,
        )

    def _make_room(self, revocation: Revocation, row: Row, *, app: AppSpec, now: int) -> None:
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
        surplus = list(revocation.connection.execute(others.offset(MOST_LIVING - 1)).scalars())
        revocation.revoke_app_sessions(table.c.id.in_(surplus), reason=RevocationReason.SUPERSEDED, now=now)

    def _refuse(
        self,
        connection: sa.Connection,
        code: SessionRefusal | RevocationReason,
        *,
        row: Row | None,
        app: AppSpec,
        now: int,
    ) -> Inactive:
        self._audit.refused_ticket(
            now=now,
            identity=None if row is None else read_identity(row.identity),
            tenant=None if row is None else row.tenant,
            app=app.slug,
            reason=code.value,
            connection=connection,
        )
        return Inactive(code=code)

    def _touch(self, row: Row, *, now: int) -> None:
        sessions, sign_ins = tables.app_sessions, tables.sign_ins
        # A busy writer must not fail an answer that is known; the next renewal tries again.
        with suppress(StoreUnavailable), self._database.write() as connection:
            # The sign-in first, as everywhere; and never one that ended meanwhile.
            self._sign_ins.touch_in(connection, sign_ins.c.id == row.id, sign_ins.c.last_seen_at < now, now=now)
            connection.execute(
                sa.update(sessions)
                .where(sessions.c.id == row.sid, sessions.c.ended_at.is_(None))
                .values(last_seen_at=now)
            )


def _is_of(row: Row, ticket: Ticket, app: AppSpec) -> bool:
    """Return whether *row* is the app session that *ticket* was issued for."""
    return (
        compare_digest(row.ticket_hash, _hash(ticket.id)) and row.app == app.slug and row.identity_id == ticket.subject
    )


def _hash(ticket_id: str) -> str:
    return sha256(ticket_id.encode()).hexdigest()
