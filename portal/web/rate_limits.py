"""Rate limits per client, for routes that cost the portal or a provider something.

The limits name routes, not view functions, so blueprints do not depend on them.
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
class RateLimits:
    """Requests per client and time, in Flask-Limiter's notation."""

    sign_in: str = f"{SIGN_INS_PER_MINUTE} per minute"
    callback: str = sign_in
    launch: str = "60 per minute"
    page: str = "120 per minute"
    """Pages of apps: each may write a refusal to the audit."""
    change: str = "30 per minute"
    """Changes a person makes: switching the tenant, ending sign-ins."""


def limits_of(settings: Settings) -> RateLimits:
    """Return the limits that *settings* configure."""
    sign_ins = f"{settings.sign_ins_per_minute} per minute"
    return RateLimits(sign_in=sign_ins, callback=sign_ins)


def limit_of_route(rule: str, limits: RateLimits) -> str | None:
    """Return the limit for the route *rule*, or ``None`` if it has none."""
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


def install_limits(app: Flask, settings: Settings, limits: RateLimits) -> None:
    """Have *app* refuse requests over *limits*, before a view runs or a form is read."""

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
        in_memory_fallback_enabled=True,  # without its storage, the portal still works
    )


def client_key(trusted: TrustedProxies) -> str:
    """Return the rate-limit key of this request: the sign-in, else the client's address.

    People of one office share an address, and must not use up each other's launches.
    """
    sign_in_id = current_sign_in_id()
    if sign_in_id is not None:
        return f"sign-in:{sign_in_id}"
    return key_of_address(trusted.client_of(request.remote_addr, request.headers.getlist("X-Forwarded-For")))


def key_of_address(address: Address | None) -> str:
    """Return the rate-limit key of a client at *address*; all clients without an address share one key."""
    return "unknown" if address is None else rate_limit_key(address)
