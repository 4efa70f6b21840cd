"""The portal's signing keys: stored sealed, published before use, rotated, and revoked.

The newest key that has begun to sign does so.  A key stays published until its successor has signed
for longer than any token lives, or until it is revoked.
"""

import json
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from joserfc.jwk import KeySet, OKPKey

from portal.access.audit import Audit
from portal.access.audit_events import AuditEvent
from portal.access.revocation import PendingNotification, enqueue
from portal.clock import rfc3339
from portal.contract.jws import ALGORITHM
from portal.settings import DAY
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer

ANNOUNCEMENT: Final = 15 * 60
"""How long a new key is published before it signs, in seconds; guards refetch every ten minutes."""
OVERLAP: Final = 15 * 60
"""How long a key is published after its successor began to sign, in seconds."""
CACHE_TIME: Final = 1
"""How old the keys in memory may be, in seconds: for so long another process may sign with a revoked key."""
SETTLING: Final = 60
"""A key that began to sign this recently is not replaced at once, in seconds; guards take one in 30 s."""
_OF_NO_SESSION: Final = 24
"""Random bytes of a session's id that no app session has."""


@dataclass(frozen=True, slots=True)
class _StoredKey:
    kid: str
    signs_from: int
    public: OKPKey
    private: OKPKey | None
    """``None``: sealed under an unknown secret key."""


class KeyState(StrEnum):
    """What a key does now."""

    NEXT = "next"
    """Published, and does not sign yet."""
    RETIRED = "retired"
    """Signs no more; what it signed is accepted."""
    REVOKED = "revoked"
    """Neither signs nor is published."""
    SIGNING = "signing"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """One key, for operators."""

    kid: str
    state: KeyState
    since: int
    """When it began or begins to sign."""
    until: int
    """When it is to be replaced; for a retired key, when it stops being published; when it was revoked."""
    readable: bool
    """Whether the private key can be read with the current secret keys; ``False`` for a revoked one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """The key that a rotation leads to."""

    kid: str
    signs_from: int
    changed: bool
    """``False``: it was announced before, or has just begun to sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevocation:
    """The keys that were revoked."""

    kids: tuple[str, ...]
    """Now, with those that were announced; empty if all had been revoked before."""
    signing: str
    """The key that signs."""
    notifications: tuple[PendingNotification, ...]
    """To be delivered: with them the guards fetch the keys that are left."""


class UnknownKey(LookupError):
    """No key has this ``kid``, or it has been over for long."""


class SigningKeys:
    """The key set of one portal, shared by its processes through the database."""

    def __init__(self, database: Database, sealer: Sealer, audit: Audit, *, rotation: int = 30 * DAY) -> None:
        self._database = database
        self._sealer = sealer
        self._audit = audit
        self._rotation = rotation
        self._known: tuple[_StoredKey, ...] = ()
        self._read_at: int | None = None

    def signing_key(self, now: int) -> OKPKey:
        """Return the private key that signs at *now*.

        Raises:
            StoreUnavailable: no key is in memory and the database cannot be used.
        """
        keys = _signing_keys(self._current(now), now)
        if not keys:  # the last key that can be read is over since
            self.ensure(now)
            keys = _signing_keys(self._known, now)
        return keys[-1]

    def key_set(self, now: int) -> KeySet:
        """Return the public keys whose signatures are valid at *now*."""
        return KeySet([key.public for key in _published(self._current(now), now)])

    def public_jwks(self, now: int) -> dict[str, object]:
        """Return the JSON of ``/.well-known/jwks.json`` (RFC 7517, section 5), read from the database.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with self._database.read() as connection:  # a guard keeps for minutes what it gets
            self._remember(self._rows(connection), now)
        if not _signing_rows(self._known, now):
            self.ensure(now)
        return {"keys": [key.public.as_dict(private=False) for key in _published(self._known, now)]}

    def ensure(self, now: int) -> None:
        """Make the first key, or publish the next if it is due; delete those that are no longer published."""
        with self._database.read() as connection:
            self._remember(self._rows(connection), now)
        if self._due(self._known, now) is None and len(_published(self._known, now)) == len(self._known):
            return
        with self._database.write() as connection:
            rows = self._locked_rows(connection)
            signs_from = self._due(rows, now)
            if signs_from is not None:
                made = self._make(connection, signs_from=signs_from)
                if rows:
                    self._record_rotation(connection, made, by="the portal", now=now)
                rows = (*rows, made)
            published = _published(rows, now)
            old = [row.kid for row in rows if row not in published]
            if old:
                connection.execute(sa.delete(tables.signing_keys).where(tables.signing_keys.c.kid.in_(old)))
        self._remember(published, now)

    def rotate(self, now: int, *, at_once: bool, by: str) -> KeyRotation:
        """Announce the next key, or with *at_once* have it sign now; *by*, who did it, is for the audit.

        A key that is announced already is that next key, so that a repetition changes nothing.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        with self._database.write() as connection:
            rows = _published(self._locked_rows(connection), now)
            signing = _signing_rows(rows, now)
            announced = [row for row in rows if row.signs_from > now and row.private is not None]
            if at_once and signing and signing[-1].signs_from > now - SETTLING:
                return _unchanged(signing[-1])
            if announced and not at_once:
                return _unchanged(announced[0])
            if announced:
                key = announced[0]
                same = tables.signing_keys.c.kid == key.kid
                connection.execute(sa.update(tables.signing_keys).where(same).values(signs_from=now))
                key = replace(key, signs_from=now)
            else:
                key = self._make(connection, signs_from=now if at_once or not signing else now + ANNOUNCEMENT)
            self._record_rotation(connection, key, by=by, now=now)
        self.refresh(now)
        return KeyRotation(kid=key.kid, signs_from=key.signs_from, changed=True)

    def revoke(self, kids: Collection[str], *, apps: Iterable[str], now: int, by: str) -> KeyRevocation:
        """Revoke *kids* and have a new key sign at once; *by*, who did it, is for the audit.

        Keys that are announced are revoked too: they lie beside the others.  Each of *apps* gets a notification under
        the new key.  Its guard does not know that key, so it fetches all of them again and forgets those that are gone.

        Raises:
            UnknownKey: one of *kids* is not known; nothing was changed.
            StoreUnavailable: nothing was changed.
        """
        table, revoked = tables.signing_keys, tables.revoked_keys
        notifications: tuple[PendingNotification, ...] = ()
        with self._database.write() as connection:
            rows = self._locked_rows(connection)
            former = set(connection.execute(sa.select(revoked.c.kid)).scalars())
            named = [row for row in rows if row.kid in kids]
            if unknown := set(kids) - former - {row.kid for row in named}:
                raise UnknownKey(min(unknown))
            gone = [row for row in rows if row in named or row.signs_from > now] if named else []
            if gone:
                connection.execute(sa.delete(table).where(table.c.kid.in_([row.kid for row in gone])))
                values = [{"kid": row.kid, "signs_from": row.signs_from, "revoked_at": now} for row in gone]
                connection.execute(sa.insert(revoked), values)
                # The new key is the newest, also where another one was made within this second.
                connection.execute(sa.update(table).where(table.c.signs_from == now).values(signs_from=now - 1))
                made = self._make(connection, signs_from=now)
                of_no_session = [(app, secrets.token_urlsafe(_OF_NO_SESSION)) for app in apps]
                notifications = enqueue(connection, of_no_session, now=now)
                for row in gone:
                    detail = f"{row.kid}, {made.kid} signs instead, by {by}"
                    fields = {"kid": row.kid, "signing": made.kid, "by": by}
                    self._audit.record(
                        AuditEvent.KEY_REVOKED, now=now, detail=detail, fields=fields, connection=connection
                    )
        self.refresh(now)
        return KeyRevocation(
            kids=tuple(row.kid for row in gone), signing=str(self.signing_key(now).kid), notifications=notifications
        )

    def carry_over(self, revoked: Iterable[tuple[str, int, int]]) -> None:
        """Keep what was *revoked* in another database of this portal revoked: ``kid``, ``signs_from``, ``revoked_at``.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        table, listed = tables.signing_keys, tables.revoked_keys
        with self._database.write() as connection:
            former = set(connection.execute(sa.select(listed.c.kid)).scalars())
            rows = {kid: (signs_from, at) for kid, signs_from, at in revoked if kid not in former}
            connection.execute(sa.delete(table).where(table.c.kid.in_(rows)))
            for kid, (signs_from, at) in rows.items():
                connection.execute(sa.insert(listed).values(kid=kid, signs_from=signs_from, revoked_at=at))

    def statuses(self, now: int) -> tuple[KeyStatus, ...]:
        """Return every key that is published or was revoked, the newest first; changes nothing.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with self._database.read() as connection:
            rows = _published(self._rows(connection), now)
            revoked = connection.execute(sa.select(tables.revoked_keys)).all()
        signing = _signing_rows(rows, now)
        statuses = [self._status(row, rows, signing=row in signing[-1:], now=now) for row in rows]
        statuses += (
            KeyStatus(kid=row.kid, state=KeyState.REVOKED, since=row.signs_from, until=row.revoked_at, readable=False)
            for row in revoked
        )
        return tuple(sorted(statuses, key=lambda one: (one.since, one.kid), reverse=True))

    def _status(self, row: _StoredKey, rows: tuple[_StoredKey, ...], *, signing: bool, now: int) -> KeyStatus:
        later = [other.signs_from for other in rows if other.signs_from > row.signs_from]
        successor = min(later, default=max(row.signs_from + self._rotation, now))
        state = KeyState.SIGNING if signing else KeyState.RETIRED
        if row.signs_from > now:
            state = KeyState.NEXT
        return KeyStatus(
            kid=row.kid,
            state=state,
            since=row.signs_from,
            until=successor + OVERLAP if state is KeyState.RETIRED else successor,
            readable=row.private is not None,
        )

    def _record_rotation(self, connection: sa.Connection, key: _StoredKey, *, by: str, now: int) -> None:
        detail = f"{key.kid} signs from {rfc3339(key.signs_from)}, by {by}"
        fields = {"kid": key.kid, "signs_from": rfc3339(key.signs_from), "by": by}
        self._audit.record(AuditEvent.KEY_ROTATED, now=now, detail=detail, fields=fields, connection=connection)

    def is_readable(self) -> bool:
        """Return whether the newest key can be read, or there is none yet.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with self._database.read() as connection:
            rows = self._rows(connection)
        return not rows or rows[-1].private is not None

    def refresh(self, now: int) -> None:
        """Read the keys again now: another process may have just made one."""
        self._read_at = None
        self._current(now)

    def _current(self, now: int) -> tuple[_StoredKey, ...]:
        # After the clock was set back, the keys count as old too.
        if self._read_at is None or not 0 <= now - self._read_at < CACHE_TIME:
            self.ensure(now)
        return self._known

    def _due(self, rows: tuple[_StoredKey, ...], now: int) -> int | None:
        """Return when a new key should begin to sign, or ``None`` if none is needed."""
        if not _signing_keys(rows, now):
            return now  # the first key, or all are sealed under a lost secret key: guards refetch on an unknown kid
        newest = max(row.signs_from for row in rows if row.private is not None)
        return now + ANNOUNCEMENT if newest + self._rotation - ANNOUNCEMENT <= now else None

    def _make(self, connection: sa.Connection, *, signs_from: int) -> _StoredKey:
        key = _generate()
        while str(key.kid).startswith("-"):  # a command would take it for an option
            key = _generate()
        public = key.as_dict(private=False)
        private = json.dumps(key.as_dict(private=True)).encode()
        row = {
            "kid": key.kid,
            "public": json.dumps(public),
            "private": self._sealer.seal(private),
            "signs_from": signs_from,
        }
        connection.execute(sa.insert(tables.signing_keys).values(row))
        return _StoredKey(str(key.kid), signs_from, OKPKey.import_key(public), key)

    def _locked_rows(self, connection: sa.Connection) -> tuple[_StoredKey, ...]:
        """Return the keys; a second process that wants to change them waits, and finds those of the first."""
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))
        return self._rows(connection)

    def _rows(self, connection: sa.Connection) -> tuple[_StoredKey, ...]:
        table = tables.signing_keys
        query = sa.select(table.c.kid, table.c.signs_from, table.c.public, table.c.private)
        return tuple(
            _StoredKey(kid, signs_from, OKPKey.import_key(json.loads(public)), self._unseal(private))
            for kid, signs_from, public, private in connection.execute(query.order_by(table.c.signs_from, table.c.kid))
        )

    def _unseal(self, sealed: str) -> OKPKey | None:
        private = self._sealer.open(sealed)
        return None if private is None else OKPKey.import_key(json.loads(private))

    def _remember(self, rows: tuple[_StoredKey, ...], now: int) -> None:
        self._known, self._read_at = rows, now


def _signing_keys(rows: tuple[_StoredKey, ...], now: int) -> list[OKPKey]:
    """Return the published keys that may sign at *now*, the newest last."""
    return [row.private for row in _signing_rows(rows, now) if row.private is not None]


def _signing_rows(rows: tuple[_StoredKey, ...], now: int) -> list[_StoredKey]:
    return [row for row in _published(rows, now) if row.signs_from <= now and row.private is not None]


def _generate() -> OKPKey:
    return OKPKey.generate_key(ALGORITHM, parameters={"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)


def _unchanged(key: _StoredKey) -> KeyRotation:
    return KeyRotation(kid=key.kid, signs_from=key.signs_from, changed=False)


def _published(rows: tuple[_StoredKey, ...], now: int) -> tuple[_StoredKey, ...]:
    """Return those of *rows*, ordered by ``signs_from``, whose successor has not signed for :data:`OVERLAP` yet."""
    later = [row.signs_from for row in rows[1:]]
    return tuple(
        row
        for index, row in enumerate(rows)
        if not any(signs_from + OVERLAP <= now for signs_from in later[index:] if signs_from > row.signs_from)
    )
