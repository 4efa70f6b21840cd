"""Sign-ins: who is signed in, from which browser, in which tenant, and until when.

The row is the only truth: cookies, browser sessions and app sessions are valid only as far as it says.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from portal.access.audit import Audit, AuditEvent
from portal.access.outbox import Outbox
from portal.access.revocation import Revocation, RevocationReason
from portal.access.stored_identity import read_identity, write_identity
from portal.contract.truncation import shorten
from portal.errors import StoreUnavailable
from portal.rules.identity import Identity
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer

__all__ = ["RevocationReason", "SignIn", "SignIns"]

Row: TypeAlias = sa.Row[*tuple[Any, ...]]
"""A row with the columns of its query."""
TOUCH: Final = 60
"""How old ``last_seen_at`` may get while a sign-in is in use, in seconds."""
MOST_LISTED: Final = 500
"""Most sign-ins in one listing."""
MOST_LIVING: Final = 100
"""Most sign-ins of one identity; another one revokes the least recently used."""
MAX_BY: Final = 512
"""Longest text on who ended a sign-in, in characters."""
MAX_HINT: Final = 64 * 1024
"""Longest ID token stored for the provider's sign-out, in characters; no browser could send a longer one there."""
_MAX_ID: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One identity, signed in from one browser, in one tenant at a time."""

    id: str
    identity: Identity
    tenant: str
    created_at: int
    last_seen_at: int
    expires_at: int
    """When it ends at the latest, used or not."""
    browser: str


def new_id() -> str:
    """Return a new id for a sign-in."""
    return secrets.token_urlsafe(24)


class SignIns:
    """The sign-ins of the portal."""

    def __init__(
        self, database: Database, audit: Audit, outbox: Outbox, *, idle: int, absolute: int, sealer: Sealer
    ) -> None:
        self._database = database
        self._audit = audit
        self._outbox = outbox
        self._idle = idle
        self._absolute = absolute
        self._sealer = sealer

    def begin(
        self,
        identity: Identity,
        *,
        tenant: str,
        browser: str,
        now: int,
        former: str | None = None,
        id_token: str | None = None,
        sign_in_id: str | None = None,
        detail: str = "",
    ) -> SignIn:
        """Sign *identity* in, in *tenant*, and revoke the sign-in *former* of the same browser: both, or neither.

        *sign_in_id* comes from :func:`new_id`; *detail* goes to the audit.  The apps of *former* are notified as
        :meth:`revoke` does.

        Raises:
            ValueError: the identity does not belong to *tenant*.
            StoreUnavailable: no sign-in has begun, and *former* has not ended.
        """
        _require_tenant(identity, tenant)
        sign_in = SignIn(
            id=sign_in_id or new_id(),
            identity=identity,
            tenant=tenant,
            created_at=now,
            last_seen_at=now,
            expires_at=now + self._absolute,
            browser=_printable(browser)[:200],
        )
        row = {
            "id": sign_in.id,
            "identity_id": identity.id,
            "identity": write_identity(identity),
            "issuer": identity.issuer,
            "tenant": tenant,
            "browser": sign_in.browser,
            "id_token": self._hint(id_token),
            "created_at": now,
            "last_seen_at": now,
            "expires_at": sign_in.expires_at,
        }
        with self._outbox.transaction(deliver_at=now) as revocation:
            if former is not None:
                self.revoke_in(revocation, former, reason=RevocationReason.SIGNED_OUT, now=now)
            revocation.connection.execute(sa.insert(tables.sign_ins).values(row))
            self._audit.record(
                AuditEvent.SIGNED_IN,
                now=now,
                identity=identity,
                tenant=tenant,
                detail=detail,
                connection=revocation.connection,
            )
        with suppress(StoreUnavailable):  # the next sign-in tries again
            self._make_room(sign_in, now=now)
        return sign_in

    def _hint(self, id_token: str | None) -> str | None:
        if id_token is None or len(id_token) > MAX_HINT:
            return None
        return self._sealer.seal(id_token.encode())

    def find(self, sign_in_id: str, *, now: int) -> SignIn | None:
        """Return the living sign-in *sign_in_id* and note, once a minute, that it is in use; else ``None``.

        One that has expired is revoked here, with its app sessions.
        """
        row = self._row(sign_in_id)
        if row is None or row.ended_at is not None:
            return None
        if self.is_expired(row, now=now):
            self._expire(sign_in_id, now=now)
            return None
        if now - row.last_seen_at >= TOUCH:
            self._touch(sign_in_id, now=now)
        return _parse(row)

    def peek(self, sign_in_id: str, *, now: int) -> SignIn | None:
        """Return the living sign-in *sign_in_id* without counting that as use of it."""
        row = self._row(sign_in_id)
        is_living = row is not None and row.ended_at is None and not self.is_expired(row, now=now)
        return _parse(row) if row is not None and is_living else None

    def revoke(self, sign_in_id: str, *, reason: RevocationReason, now: int, by: str = "") -> None:
        """End a sign-in and all its app sessions, and notify their apps, for about two seconds at most.

        *by* names who did it, where it was not the person.  Revoking a sign-in that has ended changes nothing.

        Raises:
            StoreUnavailable: nothing has ended.
        """
        with self._outbox.transaction(deliver_at=now) as revocation:
            self.revoke_in(revocation, sign_in_id, reason=reason, now=now, by=by)

    def revoke_in(
        self, revocation: Revocation, sign_in_id: str, *, reason: RevocationReason, now: int, by: str = ""
    ) -> None:
        """End a sign-in and all its app sessions in the transaction of *revocation*; see :meth:`revoke`."""
        connection = revocation.connection
        row = self.lock(connection, sign_in_id)
        if row is None or row.ended_at is not None:
            return
        table = tables.sign_ins
        values = {"ended_at": now, "end_reason": reason.value, "ended_by": shorten(by, longest=MAX_BY)}
        connection.execute(sa.update(table).where(table.c.id == row.id).values(values))
        is_own = reason is RevocationReason.SIGNED_OUT
        self._audit.record(
            AuditEvent.SIGNED_OUT if is_own else AuditEvent.SIGN_IN_ENDED,
            now=now,
            identity=read_identity(row.identity),
            tenant=row.tenant,
            detail="" if is_own else f"{reason.value} by {by}" if by else reason.value,
            connection=connection,
        )
        revocation.revoke_app_sessions(tables.app_sessions.c.sign_in_id == row.id, reason=reason, now=now)

    def switch_tenant(self, sign_in_id: str, *, tenant: str, now: int) -> None:
        """Move a sign-in to *tenant*, end its app sessions of the tenant before, and notify their apps.

        Raises:
            ValueError: the identity does not belong to *tenant*.
        """
        with self._outbox.transaction(deliver_at=now) as revocation:
            connection = revocation.connection
            row = self.lock(connection, sign_in_id)
            if row is None or row.ended_at is not None or self.is_expired(row, now=now):
                return
            identity = read_identity(row.identity)
            _require_tenant(identity, tenant)
            if tenant == row.tenant:
                return
            table = tables.sign_ins
            connection.execute(sa.update(table).where(table.c.id == sign_in_id).values(tenant=tenant))
            self._audit.record(
                AuditEvent.TENANT_SWITCHED,
                now=now,
                identity=identity,
                tenant=tenant,
                detail=f"from {row.tenant}",
                connection=connection,
            )
            revocation.revoke_app_sessions(
                tables.app_sessions.c.sign_in_id == sign_in_id, reason=RevocationReason.TENANT_SWITCHED, now=now
            )

    def of_tenant(
        self, tenant: str, *, issuer: str, now: int, limit: int = MOST_LISTED, after: tuple[int, str] | None = None
    ) -> list[SignIn]:
        """Return the living sign-ins that are in *tenant* of *issuer* now, newest first, at most *limit*.

        *after*: only those that follow the one with this ``created_at`` and ``id``.  Use does not change the order.
        """
        table = tables.sign_ins
        conditions = [table.c.issuer == issuer, table.c.tenant == tenant]
        if after is not None:
            at, last = after
            conditions.append(sa.or_(table.c.created_at < at, sa.and_(table.c.created_at == at, table.c.id > last)))
        order = (table.c.created_at.desc(), table.c.id)
        return self._living(sa.and_(*conditions), order=order, limit=limit, now=now)

    def of_identity(self, identity_id: str, *, now: int) -> list[SignIn]:
        """Return the living sign-ins of one identity, last used first; there are at most :data:`MOST_LIVING`."""
        table = tables.sign_ins
        order = (table.c.last_seen_at.desc(), table.c.id)
        return self._living(table.c.identity_id == identity_id, order=order, limit=MOST_LISTED, now=now)

    def count_living(self, *, now: int) -> tuple[int, int]:
        """Return the number of living sign-ins, and of their living app sessions."""
        signed, opened = tables.sign_ins, tables.app_sessions
        living = sa.and_(
            signed.c.ended_at.is_(None), signed.c.expires_at > now, signed.c.last_seen_at > now - self._idle
        )
        sign_ins = sa.select(sa.func.count()).select_from(signed).where(living)
        app_sessions = (
            sa.select(sa.func.count())
            .select_from(opened.join(signed, opened.c.sign_in_id == signed.c.id))
            .where(living, opened.c.ended_at.is_(None), opened.c.redeemed_at.is_not(None))
        )
        with self._database.read() as connection:
            return int(connection.execute(sign_ins).scalar_one()), int(connection.execute(app_sessions).scalar_one())

    def id_token_of(self, sign_in_id: str) -> str | None:
        """Return the ID token of a sign-in, ended or not: the hint for the provider's sign-out."""
        table = tables.sign_ins
        with self._database.read() as connection:
            sealed = connection.execute(sa.select(table.c.id_token).where(table.c.id == sign_in_id)).scalar()
        value = None if sealed is None else self._sealer.open(sealed)
        return None if value is None else value.decode()

    def is_expired(self, row: Row, *, now: int) -> bool:
        """Return whether the sign-in *row* is too old or was unused for too long."""
        return bool(now >= row.expires_at or now >= row.last_seen_at + self._idle)

    def lock(self, connection: sa.Connection, sign_in_id: str) -> Row | None:
        """Return the row, locked until the transaction ends; every transaction takes this lock first."""
        return connection.execute(_BY_ID.with_for_update(), {"sign_in_id": sign_in_id}).first()

    def _row(self, sign_in_id: str) -> Row | None:
        if not 0 < len(sign_in_id) <= _MAX_ID or not sign_in_id.isascii() or not sign_in_id.isprintable():
            return None  # not one of ours, and PostgreSQL takes no NUL
        with self._database.read() as connection:
            return connection.execute(_BY_ID, {"sign_in_id": sign_in_id}).first()

    def _expire(self, sign_in_id: str, *, now: int) -> None:
        # It has expired whether or not its row says so; the next request tries again.
        with suppress(StoreUnavailable), self._outbox.transaction() as revocation:
            row = self.lock(revocation.connection, sign_in_id)
            # Checked again under the lock: another request may have used it since.
            if row is not None and self.is_expired(row, now=now):
                self.revoke_in(revocation, sign_in_id, reason=RevocationReason.SIGN_IN_EXPIRED, now=now)

    def _touch(self, sign_in_id: str, *, now: int) -> None:
        table = tables.sign_ins
        stale = sa.and_(table.c.id == sign_in_id, table.c.ended_at.is_(None), table.c.last_seen_at <= now - TOUCH)
        # A busy writer must not fail a request that only reads; the next one tries again.
        with suppress(StoreUnavailable), self._database.write() as connection:
            connection.execute(sa.update(table).where(stale).values(last_seen_at=now))

    def _living(
        self, condition: sa.ColumnElement[bool], *, order: Sequence[sa.ColumnElement[Any]], limit: int, now: int
    ) -> list[SignIn]:
        table = tables.sign_ins
        query = (
            sa.select(table)
            .where(
                condition,
                table.c.ended_at.is_(None),
                table.c.expires_at > now,
                table.c.last_seen_at > now - self._idle,
            )
            .order_by(*order)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_parse(row) for row in connection.execute(query)]

    def _make_room(self, sign_in: SignIn, *, now: int) -> None:
        """Revoke the least recently used sign-ins of the identity of *sign_in* beyond :data:`MOST_LIVING`."""
        table = tables.sign_ins
        others = (
            sa.select(table.c.id)
            .where(table.c.identity_id == sign_in.identity.id, table.c.ended_at.is_(None), table.c.id != sign_in.id)
            .order_by(table.c.last_seen_at.desc(), table.c.id)
            .offset(MOST_LIVING - 1)
        )
        with self._database.read() as connection:
            surplus = list(connection.execute(others).scalars())
        for one in surplus:
            with self._outbox.transaction() as revocation:
                self.revoke_in(revocation, one, reason=RevocationReason.SUPERSEDED, now=now)


_BY_ID: Final = sa.select(tables.sign_ins).where(tables.sign_ins.c.id == sa.bindparam("sign_in_id"))


def _parse(row: Row) -> SignIn:
    return SignIn(
        id=row.id,
        identity=read_identity(row.identity),
        tenant=row.tenant,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        browser=row.browser,
    )


def _require_tenant(identity: Identity, tenant: str) -> None:
    if identity.affiliation(tenant) is None:
        raise ValueError("the identity does not belong to this tenant")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() and not 0xD800 <= ord(char) < 0xE000 else " " for char in text)  # noqa: PLR2004 - surrogates
