"""Each app's client secret: made once, stored sealed, compared in constant time."""

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
    """The client secrets with which apps authenticate at the portal and derive their cookie keys."""

    def __init__(self, database: Database, sealer: Sealer, *, clock: Clock = system_clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def secret_of(self, slug: str) -> Secret:
        """Return the secret of the app *slug*; make it if there is none.

        One that is sealed under a lost secret key is replaced; the app must then be restarted.
        """
        present = self._read(slug)
        if present is not None:
            return present
        table = tables.app_credentials
        new = secrets.token_urlsafe(32)
        values = {"secret": self._sealer.seal(new.encode()), "created_at": self._clock()}
        try:
            with self._database.write() as connection:
                # Another process may have made it meanwhile: then that one stays.
                sealed = connection.execute(sa.select(table.c.secret).where(table.c.app == slug)).scalar()
                if sealed is None:
                    connection.execute(sa.insert(table).values(app=slug, **values))
                elif self._sealer.open(sealed) is None:
                    connection.execute(
                        sa.update(table).where(table.c.app == slug, table.c.secret == sealed).values(values)
                    )
        except IntegrityError:  # on PostgreSQL two processes may insert; one succeeds
            pass
        stored = self._read(slug)
        return Secret(new) if stored is None else stored

    def rotate(self, slug: str) -> Secret:
        """Make a new secret for the app *slug* and return it; the old one is no longer valid."""
        self.secret_of(slug)  # so that there is a row to change
        table = tables.app_credentials
        new = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            connection.execute(
                sa.update(table)
                .where(table.c.app == slug)
                .values(secret=self._sealer.seal(new.encode()), created_at=self._clock())
            )
        return Secret(new)

    def authenticate(self, slug: str, presented: str) -> bool:
        """Return whether *presented* is the secret of *slug*; ``False`` for an app without one."""
        secret = self._read(slug) if is_slug(slug) else None  # the caller may send anything as *slug*
        # Compare in any case, so that the time does not disclose which apps exist.
        expected = (secrets.token_urlsafe(32) if secret is None else secret.reveal()).encode()
        return hmac.compare_digest(expected, presented.encode("utf-8", "replace")) and secret is not None

    def unreadable(self) -> tuple[str, ...]:
        """Return the apps whose secret is sealed under an unknown secret key.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        table = tables.app_credentials
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table.c.app, table.c.secret).order_by(table.c.app)).all()
        return tuple(row.app for row in rows if self._sealer.open(row.secret) is None)

    def _read(self, slug: str) -> Secret | None:
        table = tables.app_credentials
        with self._database.read() as connection:
            sealed = connection.execute(sa.select(table.c.secret).where(table.c.app == slug)).scalar()
        value = None if sealed is None else self._sealer.open(sealed)
        return None if value is None else Secret(value.decode())
