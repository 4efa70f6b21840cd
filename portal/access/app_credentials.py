"""Each app's client secret: made once, kept sealed, compared in constant time."""

import hmac
import secrets

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from portal.clock import Clock, system_clock
from portal.contract.slugs import is_slug
from portal.settings import Secret
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer


class AppCredentials:
    """The secrets that apps authenticate with at the portal, and derive their cookie keys from."""

    def __init__(self, database: Database, sealer: Sealer, *, clock: Clock = system_clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def secret_of(self, slug: str) -> Secret:
        """Return the secret of the app *slug*, made now if there is none yet.

        One that was sealed under a lost secret key is replaced; the app must be started again with the new one.
        """
        known = self._stored(slug)
        if known is not None:
            return known
        table = tables.app_credentials
        made = secrets.token_urlsafe(32)
        values = {"secret": self._sealer.seal(made.encode()), "created_at": self._clock()}
        try:
            with self._database.write() as connection:
                # Between the look above and here another process may have made it: then that one stays.
                present = connection.execute(sa.select(table.c.secret).where(table.c.app == slug)).scalar()
                if present is None:
                    connection.execute(sa.insert(table).values(app=slug, **values))
                elif self._sealer.open(present) is None:
                    connection.execute(
                        sa.update(table).where(table.c.app == slug, table.c.secret == present).values(values)
                    )
        except IntegrityError:  # PostgreSQL lets two try; one wins
            pass
        stored = self._stored(slug)
        return Secret(made) if stored is None else stored

    def rotate(self, slug: str) -> Secret:
        """Make a new secret for the app *slug* and return it; the one before opens nothing any more."""
        self.secret_of(slug)  # so that there is a row to change
        table = tables.app_credentials
        made = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            connection.execute(
                sa.update(table)
                .where(table.c.app == slug)
                .values(secret=self._sealer.seal(made.encode()), created_at=self._clock())
            )
        return Secret(made)

    def authenticate(self, slug: str, presented: str) -> bool:
        """Return whether *presented* is the secret of *slug*; an app that has none yet is nobody."""
        known = self._stored(slug) if is_slug(slug) else None  # the caller's word, so anything
        # Compare in any case, so that time does not tell which apps exist.
        expected = (secrets.token_urlsafe(32) if known is None else known.reveal()).encode()
        return hmac.compare_digest(expected, presented.encode("utf-8", "replace")) and known is not None

    def unreadable(self) -> tuple[str, ...]:
        """Return the apps whose secret is sealed under a secret key that is not ours.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        table = tables.app_credentials
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table.c.app, table.c.secret).order_by(table.c.app)).all()
        return tuple(row.app for row in rows if self._sealer.open(row.secret) is None)

    def _stored(self, slug: str) -> Secret | None:
        table = tables.app_credentials
        with self._database.read() as connection:
            sealed = connection.execute(sa.select(table.c.secret).where(table.c.app == slug)).scalar()
        value = None if sealed is None else self._sealer.open(sealed)
        return None if value is None else Secret(value.decode())
