"""Sign-ins: who is signed in, from which browser, in which tenant, and until when.

The row is the only truth: cookies, browser sessions and app sessions are valid only as far as it says.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from portal.access.audit import Audit, storable
from portal.access.audit_events import AuditEvent, refusal_fields
from portal.access.outbox import Outbox
from portal.access.revocation import PendingNotification, Revocation, RevocationReason
from portal.access.stored_identity import read_identity, write_identity
from portal.contract.truncation import shorten
from portal.errors import NotAdmitted, ProviderRefused, StoreUnavailable
from portal.rules.identity import Identity
from portal.settings import Settings
from portal.sign_in.providers.base import Renewal
from portal.sign_in.providers.logout_token import MAX_SESSION
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer

__all__ = ["RevocationReason", "Selection", "SignIn", "SignIns"]

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
_REVOKED_TOGETHER: Final = 50
"""Sign-ins that are revoked in one transaction."""
_SPREAD: Final = 5
"""A refresh comes up to this part of the interval early, so that those of a busy morning spread."""


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
    is_refreshed: bool = False
    """Whether its claims are read again while it is in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The sign-ins that meet every condition that is set; without any, none."""

    everyone: bool = False
    """Whether all are selected where no condition is set."""
    id: str | None = None
    person: str | None = None
    """An identity's id, or an e-mail address, verified or not, in any case of letters."""
    issuer: str | None = None
    provider: str | None = None
    tenant: str | None = None
    """The tenant they are in now, of whichever issuer if that is not set too."""
    provider_session: str | None = None
    """See :func:`provider_session_key`."""
    other_than: str | None = None
    """The id of a sign-in to leave out; selects nothing by itself."""

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Those that the database can test."""
        table = tables.sign_ins
        columns = {
            table.c.id: self.id,
            table.c.identity_id: self.person,
            table.c.issuer: self.issuer,
            table.c.provider: self.provider,
            table.c.tenant: self.tenant,
        }
        wanted = {column: value for column, value in columns.items() if value is not None}
        is_empty = not wanted and self.provider_session is None
        if (is_empty and not self.everyone) or any(storable(value) != value for value in wanted.values()):
            return [sa.false()]
        if self._is_address:
            del wanted[table.c.identity_id]
        conditions = [column == value for column, value in wanted.items()]
        if self.provider_session is not None:
            of_session = table.c.provider_session == self.provider_session
            # Where the ID token named no session, all of the person's may be the one.
            is_unknown = sa.false() if self.person is None else table.c.provider_session.is_(None)
            conditions.append(sa.or_(of_session, is_unknown))
        if self.other_than is not None:
            conditions.append(table.c.id != self.other_than)
        return conditions

    def includes(self, identity: Identity) -> bool:
        """Return whether *identity* has the address, if one is set."""
        return not self._is_address or (identity.email or "").casefold() == (self.person or "").casefold()

    @property
    def _is_address(self) -> bool:
        return "@" in (self.person or "")  # ids have none


def new_id() -> str:
    """Return a new id for a sign-in."""
    return secrets.token_urlsafe(24)


def due_after(sign_in_id: str, *, interval: int, now: int) -> int:
    """Return when a sign-in that was refreshed now is due again: at most *interval* seconds later."""
    share = int.from_bytes(sha256(f"{sign_in_id}{now}".encode()).digest()[:4]) / 2**32
    return now + interval - int(share * interval / _SPREAD)


def provider_session_key(provider: str, session: object) -> str | None:
    """Return the key under which the provider's own *session* is stored; ``None`` if it is not one.

    Who knows the ``sid`` can end its sign-ins, so only a hash of it is stored.
    """
    if not isinstance(session, str) or not 0 < len(session) <= MAX_SESSION:
        return None
    return sha256(f"{len(provider)}:{provider}{session}".encode("utf-8", "surrogatepass")).hexdigest()


class SignIns:
    """The sign-ins of the portal."""

    def __init__(
        self,
        database: Database,
        audit: Audit,
        outbox: Outbox,
        *,
        settings: Settings,
        id_tokens: Sealer,
        renewals: Sealer,
    ) -> None:
        self._database = database
        self._audit = audit
        self._outbox = outbox
        self._settings = settings
        self._idle = settings.idle_lifetime
        self._id_tokens = id_tokens
        self._renewals = renewals

    def begin(
        self,
        identity: Identity,
        *,
        tenant: str,
        browser: str,
        now: int,
        former: str | None = None,
        id_token: str | None = None,
        provider_session: object = None,
        renewal: Renewal | None = None,
        sign_in_id: str | None = None,
        detail: str = "",
        fields: Mapping[str, object] | None = None,
    ) -> SignIn:
        """Sign *identity* in, in *tenant*, and revoke the sign-in *former* of the same browser: both, or neither.

        *sign_in_id* comes from :func:`new_id`; *detail* and *fields* go to the audit; *provider_session* is the ``sid``
        of the ID token.  The apps of *former* are notified as :meth:`revoke` does.

        Raises:
            ValueError: the identity does not belong to *tenant*.
            ProviderRefused: the provider has said that its session has ended; *former* may have ended too.
            StoreUnavailable: no sign-in that is of use has begun, and *former* may not have ended.
        """
        _require_tenant(identity, tenant)
        settings = self._settings
        longest = settings.absolute_lifetime
        if renewal is None:
            longest = min(longest, settings.lifetime_without_refresh)
        sign_in = SignIn(
            id=sign_in_id or new_id(),
            identity=identity,
            tenant=tenant,
            created_at=now,
            last_seen_at=now,
            expires_at=now + longest,
            is_refreshed=renewal is not None,
            browser=_printable(browser)[:200],
        )
        row = {
            "id": sign_in.id,
            "identity_id": identity.id,
            "identity": write_identity(identity),
            "issuer": identity.issuer,
            "provider": identity.provider,
            "provider_session": provider_session_key(identity.provider, provider_session),
            "tenant": tenant,
            "browser": sign_in.browser,
            **self.values_of(id_token=id_token, renewal=renewal),
            "checked_at": now,
            "refresh_due_at": None
            if renewal is None
            else due_after(sign_in.id, interval=settings.refresh_interval, now=now),
            "created_at": now,
            "last_seen_at": now,
            "expires_at": sign_in.expires_at,
        }
        with self._outbox.transaction(deliver_at=now) as revocation:
            if _is_reported(revocation.connection, row["provider_session"]):
                raise ProviderRefused(_REPORTED)
            if former is not None:
                self.revoke_in(revocation, former, reason=RevocationReason.SIGNED_OUT, now=now)
            revocation.connection.execute(sa.insert(tables.sign_ins).values(row))
            self._audit.record(
                AuditEvent.SIGNED_IN,
                now=now,
                identity=identity,
                tenant=tenant,
                detail=detail,
                fields={
                    "provider": identity.provider,
                    "browser": sign_in.browser,
                    "hook_roles": sorted(frozenset[str]().union(*(one.hook_roles for one in identity.affiliations))),
                    **(fields or {}),
                },
                connection=revocation.connection,
            )
        if row["provider_session"] is not None:
            self._revoke_if_reported(sign_in, row["provider_session"], now=now)
        with suppress(StoreUnavailable):  # the next sign-in tries again
            self._make_room(sign_in, now=now)
        return sign_in

    def values_of(self, *, id_token: str | None, renewal: Renewal | None) -> dict[str, object]:
        """Return the values of the columns for these two, sealed."""
        hint = None if id_token is None or len(id_token) > MAX_HINT else id_token.encode()
        return {
            "id_token": None if hint is None else self._id_tokens.seal(hint),
            "renewal": None if renewal is None else self.sealed(renewal),
        }

    def sealed(self, renewal: Renewal) -> str:
        """Return *renewal* as it is stored."""
        return self._renewals.seal(json.dumps([renewal.kind, renewal.token]).encode())

    def renewal_in(self, row: Row) -> Renewal | None:
        """Return what renews the sign-in *row*; ``None`` if there is nothing, or it cannot be read any more."""
        value = None if row.renewal is None else self._renewals.open(row.renewal)
        return None if value is None else Renewal(*json.loads(value))

    def id_token_in(self, row: Row) -> str | None:
        """Return the last ID token of the sign-in *row*."""
        value = None if row.id_token is None else self._id_tokens.open(row.id_token)
        return None if value is None else value.decode()

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
        self,
        revocation: Revocation,
        sign_in_id: str,
        *,
        reason: RevocationReason,
        now: int,
        by: str = "",
        refusal: NotAdmitted | None = None,
    ) -> None:
        """End a sign-in and all its app sessions in the transaction of *revocation*; see :meth:`revoke`."""
        connection = revocation.connection
        row = self.lock(connection, sign_in_id)
        if row is None or row.ended_at is not None:
            return
        table = tables.sign_ins
        ended = {"ended_at": now, "end_reason": reason.value, "ended_by": shorten(by, longest=MAX_BY)}
        values = {**ended, "renewal": None, "refresh_due_at": None, "refresh_lease_until": None}
        connection.execute(sa.update(table).where(table.c.id == row.id).values(values))
        is_own = reason is RevocationReason.SIGNED_OUT
        fields: dict[str, object] = {"provider": row.provider}
        if refusal is not None:
            fields |= refusal_fields(refusal)
        self._audit.record(
            AuditEvent.SIGNED_OUT if is_own else AuditEvent.SIGN_IN_ENDED,
            now=now,
            identity=read_identity(row.identity),
            tenant=row.tenant,
            detail="" if is_own else f"{reason.value} by {by}" if by else reason.value,
            fields={"provider": row.provider} if is_own else {**fields, "cause": reason.value, "by": by},
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
            self.end_in_tenant(revocation, row, identity, tenant=tenant, now=now)

    def end_in_tenant(self, revocation: Revocation, row: Row, identity: Identity, *, tenant: str, now: int) -> None:
        """End the app sessions of the sign-in *row*, which has moved to *tenant*."""
        self._audit.record(
            AuditEvent.TENANT_SWITCHED,
            now=now,
            identity=identity,
            tenant=tenant,
            detail=f"from {row.tenant}",
            fields={"from": row.tenant},
            connection=revocation.connection,
        )
        sessions = tables.app_sessions.c.sign_in_id == row.id
        revocation.revoke_app_sessions(sessions, reason=RevocationReason.TENANT_SWITCHED, now=now)

    def of_tenant(
        self, tenant: str, *, issuer: str, now: int, limit: int = MOST_LISTED, after: tuple[int, str] | None = None
    ) -> list[SignIn]:
        """Return the living sign-ins that are in *tenant* of *issuer* now, newest first, at most *limit*.

        *after*: only those that follow the one with this ``created_at`` and ``id``.  Use does not change the order.
        """
        table = tables.sign_ins
        theirs = sa.and_(table.c.issuer == issuer, table.c.tenant == tenant)
        return self._newest(theirs, limit=limit, after=after, now=now)

    def selected(self, selection: Selection, *, now: int) -> Iterator[SignIn]:
        """Yield the living sign-ins of *selection*, newest first."""
        after = None
        while True:
            page = self._newest(*selection.conditions, limit=MOST_LISTED, after=after, now=now)
            yield from (one for one in page if selection.includes(one.identity))
            if len(page) < MOST_LISTED:
                return
            after = (page[-1].created_at, page[-1].id)

    def revoke_selected(
        self, selection: Selection, *, reason: RevocationReason, now: int, by: str = "", limit: int | None = None
    ) -> int:
        """End the living sign-ins of *selection*, at most *limit*, and return how many; see :meth:`revoke`.

        Their apps are notified in the background where this process does that, else before this returns, for about two
        seconds in all.

        Raises:
            StoreUnavailable: some may have ended; the same call ends the others.
        """
        ids = [one.id for one in islice(self.selected(selection, now=now), limit)]
        count = 0
        waiting: list[PendingNotification] = []
        for start in range(0, len(ids), _REVOKED_TOGETHER):
            with self._outbox.transaction() as revocation:
                for one in sorted(ids[start : start + _REVOKED_TOGETHER]):
                    # Under its lock: the person may have left the tenant meanwhile.
                    if self._is_selected(revocation.connection, one, selection):
                        self.revoke_in(revocation, one, reason=reason, now=now, by=by)
                        count += 1
            waiting += revocation.notifications
        if not self._outbox.is_running:
            self._outbox.deliver(waiting, now=now)
        return count

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
            row = connection.execute(sa.select(table.c.id_token).where(table.c.id == sign_in_id)).first()
        return None if row is None else self.id_token_in(row)

    def is_expired(self, row: Row, *, now: int) -> bool:
        """Return whether the sign-in *row* is too old or was unused for too long."""
        return bool(now >= row.expires_at or now >= row.last_seen_at + self._idle)

    def lock(self, connection: sa.Connection, sign_in_id: str) -> Row | None:
        """Return the row, locked until the transaction ends; every transaction takes this lock first."""
        return connection.execute(_BY_ID.with_for_update(), {"sign_in_id": sign_in_id}).first()

    def _revoke_if_reported(self, sign_in: SignIn, key: object, *, now: int) -> None:
        """Check again after the commit: a report at the same moment saw no row to end, and its own was not seen."""
        with self._database.read() as connection:
            is_reported = _is_reported(connection, key)
        if is_reported:
            self.revoke(sign_in.id, reason=RevocationReason.PROVIDER_SIGNED_OUT, now=now)
            raise ProviderRefused(_REPORTED)

    def _is_selected(self, connection: sa.Connection, sign_in_id: str, selection: Selection) -> bool:
        """Lock the sign-in, and return whether it is living and of *selection*."""
        table = tables.sign_ins
        of_selection = sa.and_(table.c.id == sign_in_id, table.c.ended_at.is_(None), *selection.conditions)
        row = connection.execute(sa.select(table).where(of_selection).with_for_update()).first()
        return row is not None and selection.includes(read_identity(row.identity))

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
        # A busy writer must not fail a request that only reads; the next one tries again.
        with suppress(StoreUnavailable), self._database.write() as connection:
            self.touch_in(connection, table.c.id == sign_in_id, table.c.last_seen_at <= now - TOUCH, now=now)

    def touch_in(self, connection: sa.Connection, *conditions: sa.ColumnElement[bool], now: int) -> None:
        """Note that living sign-ins are in use; one that was not, and so not refreshed, is due at once."""
        table = tables.sign_ins
        is_waiting = sa.and_(table.c.refresh_due_at.is_(None), table.c.renewal.is_not(None))
        due = sa.case((is_waiting, now), else_=table.c.refresh_due_at)
        used = sa.update(table).where(table.c.ended_at.is_(None), *conditions)
        connection.execute(used.values(last_seen_at=now, refresh_due_at=due))

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

    def _newest(
        self, *conditions: sa.ColumnElement[bool], limit: int, after: tuple[int, str] | None, now: int
    ) -> list[SignIn]:
        table = tables.sign_ins
        rest = []
        if after is not None:
            at, last = after
            rest = [sa.or_(table.c.created_at < at, sa.and_(table.c.created_at == at, table.c.id > last))]
        order = (table.c.created_at.desc(), table.c.id)
        return self._living(sa.and_(sa.true(), *conditions, *rest), order=order, limit=limit, now=now)

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


_REPORTED: Final = "the provider has ended the session meanwhile"
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
        is_refreshed=row.renewal is not None,
    )


def _require_tenant(identity: Identity, tenant: str) -> None:
    if identity.affiliation(tenant) is None:
        raise ValueError("the identity does not belong to this tenant")


def _is_reported(connection: sa.Connection, key: object) -> bool:
    """Return whether the provider has reported the end of its session with this key."""
    ended = sa.select(tables.provider_logouts.c.id).where(tables.provider_logouts.c.id == key)
    return key is not None and connection.execute(ended).first() is not None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() and not 0xD800 <= ord(char) < 0xE000 else " " for char in text)  # noqa: PLR2004 - surrogates
