"""Seals values of older secret keys again under the first one, so that the older keys can be removed."""

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
    (tables.sign_ins.c.renewal, "refresh tokens"),
)
"""Every sealed column, with its purpose."""
_STEP: Final = 500
"""Most rows changed in one transaction, so that no writer waits long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResealResult:
    """Numbers of values."""

    anew: int
    """Now under the first secret key, and not before."""
    lost: int
    """Not readable with any of the secret keys."""


def reseal(database: Database, secret_keys: Sequence[Secret]) -> ResealResult:
    """Seal again what is not under the first of *secret_keys*; a portal may run meanwhile.

    Raises:
        StoreUnavailable: the database cannot be used; a later call does the rest.
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
                    # A value that changed meanwhile was sealed under the first key then.
                    update = sa.update(column.table).where(primary == row_id, column == before)
                    anew += connection.execute(update.values({column.name: after})).rowcount
    return ResealResult(anew=anew, lost=lost)
