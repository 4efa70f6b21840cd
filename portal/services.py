"""Everything a request may use, as one frozen object.

Built once per process by :func:`build_services`; views read it through :func:`services`.
Nothing here decides anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from flask import Flask, current_app

from portal.access_tokens import AccessTokens
from portal.app_credentials import AppCredentials
from portal.app_sessions import AppSessions
from portal.audit import Audit
from portal.clock import Clock
from portal.database import Database
from portal.keys import SigningKeys
from portal.metrics import Metrics
from portal.outbox import Outbox
from portal.providers.base import Provider
from portal.providers.registry import build_providers
from portal.sealing import Sealer
from portal.settings import Settings
from portal.sign_ins import SignIns

_KEY: Final = "portal.services"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The stores, the providers and what they are built from."""

    settings: Settings
    clock: Clock
    database: Database
    keys: SigningKeys
    credentials: AppCredentials
    audit: Audit
    sign_ins: SignIns
    app_sessions: AppSessions
    access_tokens: AccessTokens
    outbox: Outbox
    metrics: Metrics
    providers: Mapping[str, Provider]
    """By id, in the order of the configuration."""


def build_services(settings: Settings, *, clock: Clock, providers: Mapping[str, Provider] | None = None) -> Services:
    """Open the stores of *settings* and connect what uses them; starts no thread and calls nobody.

    Raises:
        StoreUnavailable: the database cannot be opened or brought up to date.
    """
    database = Database(settings.database_url)
    database.upgrade()
    audit = Audit(database)
    keys = SigningKeys(database, _sealer(settings, "signing keys"))
    metrics = Metrics()
    outbox = Outbox(database, keys, settings, clock=clock, counted=metrics.pushed)
    sign_ins = SignIns(
        database,
        audit,
        outbox,
        idle=settings.idle_lifetime,
        absolute=settings.absolute_lifetime,
        sealer=_sealer(settings, "ID tokens"),
    )
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        keys=keys,
        credentials=app_credentials(settings, database, clock=clock),
        audit=audit,
        sign_ins=sign_ins,
        app_sessions=AppSessions(database, keys=keys, sign_ins=sign_ins, audit=audit, outbox=outbox, settings=settings),
        access_tokens=AccessTokens(_sealer(settings, "portal API access tokens")),
        outbox=outbox,
        metrics=metrics,
        providers=build_providers(settings) if providers is None else providers,
    )


def app_credentials(settings: Settings, database: Database, *, clock: Clock) -> AppCredentials:
    """Return the client secrets of the apps; also for what starts the apps and hands each its own."""
    return AppCredentials(database, _sealer(settings, "app credentials"), clock=clock)


def install_services(app: Flask, built: Services) -> None:
    """Make *built* what :func:`services` answers within *app*."""
    app.extensions[_KEY] = built


def services() -> Services:
    """Return the services of the current app."""
    return cast("Services", current_app.extensions[_KEY])


def _sealer(settings: Settings, purpose: str) -> Sealer:
    return Sealer(settings.secret_keys, purpose=purpose)
