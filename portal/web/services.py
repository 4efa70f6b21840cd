"""Everything a request may use, as one frozen object.

Built once per process by :func:`build_services`; views read it through :func:`services`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from flask import Flask, current_app

from portal.access.access_tokens import AccessTokens
from portal.access.app_credentials import AppCredentials
from portal.access.app_sessions import AppSessions
from portal.access.audit import Audit
from portal.access.audit_log import AuditLog
from portal.access.notifications import Notifier
from portal.access.outbox import Outbox
from portal.access.probe_tokens import ProbeTokens
from portal.access.provider_logouts import ProviderLogouts
from portal.access.refreshing import Refresher
from portal.access.sign_ins import SignIns
from portal.access.signing_keys import SigningKeys
from portal.clock import Clock
from portal.settings import Settings
from portal.sign_in.admission import Hook
from portal.sign_in.hook import hook_of, load_hook
from portal.sign_in.providers.base import Provider
from portal.sign_in.providers.registry import build_providers
from portal.storage.database import Database
from portal.storage.sealing import Sealer
from portal.web.metrics import Metrics

_KEY: Final = "portal.services"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The settings, the stores and the providers of one portal."""

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
    provider_logouts: ProviderLogouts
    refresher: Refresher
    probe_tokens: ProbeTokens
    metrics: Metrics
    providers: Mapping[str, Provider]
    """By id, in the order of the configuration."""
    hook: Hook | None = None
    """The company's sign-in hook."""


def build_services(
    settings: Settings,
    *,
    clock: Clock,
    providers: Mapping[str, Provider] | None = None,
    database: Database | None = None,
) -> Services:
    """Open the stores of *settings* and build the services on them; starts no thread and sends no request.

    *database*: that of *settings*, if it is open already.

    Raises:
        StoreUnavailable: the database cannot be opened or brought up to date.
        SettingsError: the sign-in hook cannot be loaded.
    """
    hook = _hook_of(settings)
    database = database or Database(settings.database_url)
    database.upgrade()
    audit = open_audit(settings, database, clock=clock)
    keys = signing_keys(settings, database, audit)
    metrics = Metrics()
    notifier = Notifier(settings.catalogue, issuer=settings.url, egress=settings.egress)
    outbox = Outbox(
        database,
        keys,
        notifier,
        audit_retention=settings.audit_retention,
        clock=clock,
        count=metrics.count_notifications,
        each_minute=audit.record_left_out,
    )
    sign_ins = SignIns(
        database,
        audit,
        outbox,
        settings=settings,
        id_tokens=_sealer(settings, "ID tokens"),
        renewals=_sealer(settings, "refresh tokens"),
    )
    app_sessions = AppSessions(database, keys=keys, sign_ins=sign_ins, audit=audit, outbox=outbox, settings=settings)
    built = build_providers(settings) if providers is None else providers
    refresher = Refresher(
        database,
        sign_ins=sign_ins,
        app_sessions=app_sessions,
        audit=audit,
        outbox=outbox,
        providers=built,
        hook=hook,
        settings=settings,
        clock=clock,
    )
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        keys=keys,
        credentials=app_credentials(settings, database, clock=clock),
        audit=audit,
        sign_ins=sign_ins,
        app_sessions=app_sessions,
        access_tokens=AccessTokens(_sealer(settings, "portal API access tokens")),
        outbox=outbox,
        provider_logouts=ProviderLogouts(database, sign_ins),
        probe_tokens=ProbeTokens(keys, issuer=settings.url),
        metrics=metrics,
        refresher=refresher,
        providers=built,
        hook=hook,
    )


def _hook_of(settings: Settings) -> Hook | None:
    """Load the company's sign-in hook; ``None`` if there is none.

    Raises:
        SettingsError: the hook cannot be loaded.
    """
    if settings.sign_in_hook is None:
        return None
    roles = frozenset(rule.role for rule in settings.roles)
    return hook_of(load_hook(settings.sign_in_hook), providers=settings.provider, roles=roles)


def app_credentials(settings: Settings, database: Database, *, clock: Clock) -> AppCredentials:
    """Return the client secrets of the apps; also used where apps are started with their secrets."""
    return AppCredentials(database, _sealer(settings, "app credentials"), clock=clock)


def open_audit(settings: Settings, database: Database, *, clock: Clock) -> Audit:
    """Return the audit in *database*, and in the log that *settings* name."""
    log = None if settings.audit_log is None else AuditLog(settings.audit_log, clock=clock)
    return Audit(database, log=log)


def signing_keys(settings: Settings, database: Database, audit: Audit) -> SigningKeys:
    """Return the signing keys; also used where the command line calls apps as the portal."""
    return SigningKeys(database, _sealer(settings, "signing keys"), audit)


def install_services(app: Flask, built: Services) -> None:
    """Have :func:`services` return *built* within *app*."""
    app.extensions[_KEY] = built


def services() -> Services:
    """Return the services of the current app."""
    return cast("Services", current_app.extensions[_KEY])


def sealer(purpose: str) -> Sealer:
    """Return the current app's sealer for *purpose*."""
    return _sealer(services().settings, purpose)


def _sealer(settings: Settings, purpose: str) -> Sealer:
    return Sealer(settings.secret_keys, purpose=purpose)
