"""Sealing anew, under the first secret key, what an older one sealed: so that the older one can be let go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from portal.settings import Secret
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer

SEALED: Final[tuple[tuple[sa.Column[Any], str], ...]] = (
    (tables.app_credentials.c.secret, "app credentials"),
    (tables.signing_keys.c.private, "signing keys"),
    (tables.sign_ins.c.id_token, "ID tokens"),
)
"""Every column that is sealed, and for which purpose."""
_STEP: Final = 500
"""Most rows changed in one transaction, so that no writer waits long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """What was done."""

    anew: int
    """Values that are under the first secret key now, and were not."""
    lost: int
    """Values that none of the secret keys opens."""


def reseal(database: Database, secret_keys: Sequence[Secret]) -> Resealed:
    """Seal anew what is under another of *secret_keys* than the first; a portal may run meanwhile.

    Raises:
        StoreUnavailable: the database cannot be used; what was done stays, and the rest can be done later.
    """
    anew = lost = 0
    for column, purpose in SEALED:
        sealer = Sealer(secret_keys, purpose=purpose)
        (primary,) = column.table.primary_key
        with database.read() as connection:
            rows = connection.execute(sa.select(primary, column).where(column.is_not(None))).all()
        changes = []
        for row_id, sealed in rows:
            if sealer.is_under_first(sealed):
                continue
            value = sealer.open(sealed)
            if value is None:
                lost += 1
            else:
                changes.append((row_id, sealed, sealer.seal(value)))
        for start in range(0, len(changes), _STEP):
            with database.write() as connection:
                for row_id, before, after in changes[start : start + _STEP]:
                    # What somebody changed meanwhile was sealed by them.
                    update = sa.update(column.table).where(primary == row_id, column == before)
                    anew += connection.execute(update.values({column.name: after})).rowcount
    return Resealed(anew=anew, lost=lost)
