"""All stores over one database, as the portal puts them together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from portal.access.app_sessions import AppSessions
from portal.access.audit import Audit
from portal.access.notifications import Notifier
from portal.access.outbox import Outbox
from portal.access.sign_ins import SignIn, SignIns
from portal.access.signing_keys import SigningKeys
from portal.contract import Active
from portal.rules.catalogue import AppSpec
from portal.rules.identity import Identity
from portal.rules.policy import Allowed, may_open, standing_in
from portal.settings import Secret, Settings
from portal.sign_in.providers.base import Renewal
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer
from tests.builders import NOW, an_app, an_identity, settings_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The stores, and short ways to the states that tests begin in."""

    settings: Settings
    database: Database
    keys: SigningKeys
    audit: Audit
    outbox: Outbox
    sign_ins: SignIns
    app_sessions: AppSessions

    def sign_in(
        self,
        identity: Identity | None = None,
        *,
        tenant: str = "acme",
        now: int = NOW,
        renewal: Renewal | None = None,
    ) -> SignIn:
        return self.sign_ins.begin(
            identity or an_identity(), tenant=tenant, browser="Firefox", now=now, renewal=renewal
        )

    def ticket(self, sign_in: SignIn, *, app: AppSpec | None = None, now: int = NOW, next_path: str = "/") -> str:
        standing = standing_in(sign_in.identity, tenant=sign_in.tenant, rules=self.settings.roles)
        allowed = may_open(app or an_app(), standing=standing)
        assert isinstance(allowed, Allowed)
        return self.app_sessions.issue(allowed, sign_in=sign_in, next=next_path, now=now)

    def open(self, sign_in: SignIn, *, app: AppSpec | None = None, now: int = NOW) -> str:
        """Open an app and return the sid."""
        answer = self.app_sessions.redeem(self.ticket(sign_in, app=app, now=now), app=app or an_app(), now=now)
        assert isinstance(answer, Active)
        return answer.session

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(sa.select(table)).mappings()]

    def notified(self) -> set[str]:
        """The app sessions whose notifications are in the outbox."""
        return {row["session"] for row in self.rows(tables.outbox)}

    def events(self) -> list[tuple[str, str]]:
        """Event and detail of everything recorded, oldest first."""
        return [
            (row["event"], row["detail"]) for row in sorted(self.rows(tables.audit), key=lambda row: int(row["id"]))
        ]


class UnreachableApps(Notifier):
    """Notifies no app, so that the outbox keeps every notification."""

    def notify(self, *_: object, **__: object) -> frozenset[str]:
        return frozenset()


def a_deployment(
    database: Database, data_dir: Path, *, notifier: type[Notifier] = UnreachableApps, **changes: Any
) -> Deployment:
    """Build the stores over *database*, which is up to date; *changes* are to the settings."""
    settings = settings_for(data_dir, **changes)
    audit = Audit(database)
    keys = SigningKeys(database, Sealer(settings.secret_keys, purpose="signing keys"), audit)
    outbox = Outbox(
        database,
        keys,
        notifier(settings.catalogue, issuer=settings.url),
        audit_retention=settings.audit_retention,
        clock=lambda: NOW,
    )
    sign_ins = SignIns(
        database,
        audit,
        outbox,
        settings=settings,
        id_tokens=Sealer(settings.secret_keys, purpose="id-tokens"),
        renewals=Sealer(settings.secret_keys, purpose="refresh-tokens"),
    )
    app_sessions = AppSessions(database, keys=keys, sign_ins=sign_ins, audit=audit, outbox=outbox, settings=settings)
    return Deployment(
        settings=settings,
        database=database,
        keys=keys,
        audit=audit,
        outbox=outbox,
        sign_ins=sign_ins,
        app_sessions=app_sessions,
    )


REFRESH_TOKEN = Renewal("refresh", "the-refresh-token")
"""With it a sign-in lives for longer than without."""


def a_sealer(purpose: str = "test", *, secret: str = "k" * 43) -> Sealer:
    return Sealer((Secret(secret),), purpose=purpose)


def impatient(url: Secret) -> Secret:
    """Return the address of the same database, for a connection that waits for no lock."""
    text = url.reveal()
    return Secret(f"{text}?timeout=0.05" if text.startswith("sqlite") else f"{text}&options=-c%20lock_timeout%3D50ms")
