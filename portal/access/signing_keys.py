"""The portal's signing keys: made, kept sealed, published before use, and let go.

Which key signs follows from the order of the rows alone: the newest that has begun.  A key stays
published until its successor has signed for longer than any token lives.
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

ANNOUNCED: Final = 15 * 60
"""How long a new key is published before it signs, in seconds; guards refetch every ten minutes."""
KEPT: Final = 15 * 60
"""How long a key is published after its successor began to sign, in seconds."""
REREAD: Final = 60
"""How old the keys in memory may be, in seconds."""


@dataclass(frozen=True, slots=True)
class _StoredKey:
    kid: str
    signs_from: int
    public: OKPKey
    private: OKPKey | None
    """``None``: sealed under a secret that is not ours (any more)."""


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
            StoreUnavailable: none is known and the database cannot be used.
        """
        begun = _begun(self._current(now), now)
        if not begun:  # the last one that is ours went out of use within the minute
            self.ensure(now)
            begun = _begun(self._known, now)
        return begun[-1]

    def key_set(self, now: int) -> KeySet:
        """Return the public keys whose signatures count at *now*."""
        return KeySet([key.public for key in _published(self._current(now), now)])

    def public_jwks(self, now: int) -> dict[str, object]:
        """Return what ``/.well-known/jwks.json`` says (RFC 7517, section 5)."""
        return {"keys": [key.public.as_dict(private=False) for key in _published(self._current(now), now)]}

    def ensure(self, now: int) -> None:
        """Make the first key, or announce the next where it is time; forget those that are over."""
        with self._database.read() as connection:
            self._remember(self._rows(connection), now)
        if self._due(self._known, now) is None and len(_published(self._known, now)) == len(self._known):
            return
        with self._database.write() as connection:
            # Whoever comes second waits here, and then finds the key of the first.
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))
            rows = self._rows(connection)
            begins = self._due(rows, now)
            if begins is not None:
                rows = (*rows, self._make(connection, signs_from=begins))
            kept = _published(rows, now)
            over = [row.kid for row in rows if row not in kept]
            if over:
                connection.execute(sa.delete(tables.signing_keys).where(tables.signing_keys.c.kid.in_(over)))
        self._remember(kept, now)

    def is_readable(self) -> bool:
        """Return whether the newest key is sealed under a secret that is ours, or there is none yet.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with self._database.read() as connection:
            rows = self._rows(connection)
        return not rows or rows[-1].private is not None

    def refresh(self, now: int) -> None:
        """Read the keys again, whatever their age: another process may have made one a moment ago."""
        self._read_at = None
        self._current(now)

    def _current(self, now: int) -> tuple[_StoredKey, ...]:
        # A clock that was set back counts as old too.
        if self._read_at is None or not 0 <= now - self._read_at < REREAD:
            self.ensure(now)
        return self._known

    def _due(self, rows: tuple[_StoredKey, ...], now: int) -> int | None:
        """Return when a new key should begin to sign, or ``None`` where none is needed."""
        if not _begun(rows, now):
            return now  # the first, or all are sealed under a lost secret: guards refetch on an unknown kid
        newest = max(row.signs_from for row in rows if row.private is not None)
        return now + ANNOUNCED if newest + self._rotation - ANNOUNCED <= now else None

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
            _StoredKey(kid, signs_from, OKPKey.import_key(json.loads(public)), self._opened(private))
            for kid, signs_from, public, private in connection.execute(query.order_by(table.c.signs_from, table.c.kid))
        )

    def _opened(self, sealed: str) -> OKPKey | None:
        private = self._sealer.open(sealed)
        return None if private is None else OKPKey.import_key(json.loads(private))

    def _remember(self, rows: tuple[_StoredKey, ...], now: int) -> None:
        self._known, self._read_at = rows, now


def _begun(rows: tuple[_StoredKey, ...], now: int) -> list[OKPKey]:
    """Return the keys that may sign at *now*, the newest last; never one that is no longer published."""
    return [row.private for row in _published(rows, now) if row.signs_from <= now and row.private is not None]


def _published(rows: tuple[_StoredKey, ...], now: int) -> tuple[_StoredKey, ...]:
    """Return those of *rows*, in the order they begin, that no successor has replaced for good."""
    later = [row.signs_from for row in rows[1:]]
    return tuple(
        row
        for place, row in enumerate(rows)
        if not any(signs_from + KEPT <= now for signs_from in later[place:] if signs_from > row.signs_from)
    )
