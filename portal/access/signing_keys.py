"""The portal's signing keys: stored sealed, published before use, and rotated.

The newest key that has begun to sign does so.  A key stays published until its successor has signed
for longer than any token lives.
"""

import json
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from joserfc.jwk import KeySet, OKPKey

from portal.contract.jws import ALGORITHM
from portal.settings import DAY
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer

ANNOUNCEMENT: Final = 15 * 60
"""How long a new key is published before it signs, in seconds; guards refetch every ten minutes."""
OVERLAP: Final = 15 * 60
"""How long a key is published after its successor began to sign, in seconds."""
CACHE_TIME: Final = 60
"""How old the keys in memory may be, in seconds."""


@dataclass(frozen=True, slots=True)
class _StoredKey:
    kid: str
    signs_from: int
    public: OKPKey
    private: OKPKey | None
    """``None``: sealed under an unknown secret key."""


class SigningKeys:
    """The key set of one portal, shared by its processes through the database."""

    def __init__(self, database: Database, sealer: Sealer, *, rotation: int = 30 * DAY) -> None:
        self._database = database
        self._sealer = sealer
        self._rotation = rotation
        self._known: tuple[_StoredKey, ...] = ()
        self._read_at: int | None = None

    def signing_key(self, now: int) -> OKPKey:
        """Return the private key that signs at *now*.

        Raises:
            StoreUnavailable: no key is in memory and the database cannot be used.
        """
        keys = _signing_keys(self._current(now), now)
        if not keys:  # the last key that can be read was replaced within the minute
            self.ensure(now)
            keys = _signing_keys(self._known, now)
        return keys[-1]

    def key_set(self, now: int) -> KeySet:
        """Return the public keys whose signatures are valid at *now*."""
        return KeySet([key.public for key in _published(self._current(now), now)])

    def public_jwks(self, now: int) -> dict[str, object]:
        """Return the JSON of ``/.well-known/jwks.json`` (RFC 7517, section 5)."""
        return {"keys": [key.public.as_dict(private=False) for key in _published(self._current(now), now)]}

    def ensure(self, now: int) -> None:
        """Make the first key, or publish the next if it is due; delete those that are no longer published."""
        with self._database.read() as connection:
            self._remember(self._rows(connection), now)
        if self._due(self._known, now) is None and len(_published(self._known, now)) == len(self._known):
            return
        with self._database.write() as connection:
            # A second process waits here, and then finds the key of the first.
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))
            rows = self._rows(connection)
            signs_from = self._due(rows, now)
            if signs_from is not None:
                rows = (*rows, self._make(connection, signs_from=signs_from))
            published = _published(rows, now)
            old = [row.kid for row in rows if row not in published]
            if old:
                connection.execute(sa.delete(tables.signing_keys).where(tables.signing_keys.c.kid.in_(old)))
        self._remember(published, now)

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
        key = OKPKey.generate_key(ALGORITHM, parameters={"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)
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
    return [row.private for row in _published(rows, now) if row.signs_from <= now and row.private is not None]


def _published(rows: tuple[_StoredKey, ...], now: int) -> tuple[_StoredKey, ...]:
    """Return those of *rows*, ordered by ``signs_from``, whose successor has not signed for :data:`OVERLAP` yet."""
    later = [row.signs_from for row in rows[1:]]
    return tuple(
        row
        for index, row in enumerate(rows)
        if not any(signs_from + OVERLAP <= now for signs_from in later[index:] if signs_from > row.signs_from)
    )
