"""How often one client may ask for what costs us, or a provider, something.

The table names routes, not view functions, so that a blueprint needs to know nothing of it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from flask import Flask, request
from flask_limiter import Limiter

from portal.contract import TrustedProxies
from portal.contract.forwarded import Address, rate_limit_key
from portal.settings import SIGN_INS_PER_MINUTE, Settings
from portal.storage.rate_limit_store import SCHEME, address_of
from portal.web.browser_sessions import current_sign_in_id

_CHANGES: Final = frozenset({"/account/sign-ins/<sign_in_id>/end", "/sign-out", "/tenant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests per client and time, in Flask-Limiter's notation."""

    sign_in: str = f"{SIGN_INS_PER_MINUTE} per minute"
    callback: str = sign_in
    launch: str = "60 per minute"
    page: str = "120 per minute"
    """Pages of apps: each may leave a refusal in the record."""
    change: str = "30 per minute"
    """What a person changes: tenant, sign-ins elsewhere."""


def limits_of(settings: Settings) -> Limits:
    """Return the limits that *settings* ask for."""
    of_strangers = f"{settings.sign_ins_per_minute} per minute"
    return Limits(sign_in=of_strangers, callback=of_strangers)


def limit_of_route(rule: str, limits: Limits) -> str | None:
    """Return the limit for the route *rule*, or ``None`` for those that have none."""
    if rule.endswith("/callback"):
        return limits.callback
    if rule == "/sign-in" or rule.startswith("/auth/oauth/"):
        return limits.sign_in
    if rule == "/apps/<slug>/.portal/launch":
        return limits.launch
    if rule.startswith("/apps/"):
        return limits.page
    if rule in _CHANGES:
        return limits.change
    return None


def install_limits(app: Flask, settings: Settings, limits: Limits) -> None:
    """Have *app* refuse what is over *limits*, before a view or a form is looked at."""

    def limit_of_request() -> str | None:
        return None if request.url_rule is None else limit_of_route(request.url_rule.rule, limits)

    own = settings.rate_limit_storage == f"{SCHEME}://"
    Limiter(
        partial(client_key, settings.trusted_proxies),
        app=app,
        default_limits=[lambda: limit_of_request() or ""],
        default_limits_exempt_when=lambda: limit_of_request() is None,
        storage_uri=address_of(settings.data_dir) if own else settings.rate_limit_storage,
        strategy="fixed-window",
        in_memory_fallback_enabled=True,  # a counter that is down must not put everybody out
    )


def client_key(trusted: TrustedProxies) -> str:
    """Return what a request is counted under: the sign-in, else the client's address.

    People behind one address, a whole office, must not use up each other's launches; a stranger
    has nothing but an address.
    """
    sign_in_id = current_sign_in_id()
    if sign_in_id is not None:
        return f"sign-in:{sign_in_id}"
    return key_of_address(trusted.client_of(request.remote_addr, request.headers.getlist("X-Forwarded-For")))


def key_of_address(address: Address | None) -> str:
    """Return the rate-limit key of a client at *address*; all clients without an address share one key."""
    return "unknown" if address is None else rate_limit_key(address)
