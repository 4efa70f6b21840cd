"""Rate limits per client, for routes that cost the portal or a provider something.

The limits name routes, not view functions, so blueprints do not depend on them.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from flask import Flask, Response, request
from flask_limiter import Limit, Limiter

from portal.contract import TrustedProxies
from portal.contract.forwarded import Address, rate_limit_key
from portal.rules.provider_paths import BACK_CHANNEL_LOGOUT, CALLBACK, FRONT_CHANNEL_LOGOUT, PREFIX
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
    logout: str = "1200 per minute"
    """Logouts by a browser's frame, and logout tokens that were refused.  Genuine tokens are not counted: many may come
    at once, all from the provider's address, and one that is turned away keeps access."""
    change: str = "30 per minute"
    """Changes a person makes: switching the tenant, ending sign-ins."""


def limits_of(settings: Settings) -> RateLimits:
    """Return the limits that *settings* configure."""
    sign_ins = f"{settings.sign_ins_per_minute} per minute"
    return RateLimits(sign_in=sign_ins, callback=sign_ins)


def limit_of_route(rule: str, limits: RateLimits) -> str | None:
    """Return the limit for the route *rule*, or ``None`` if it has none."""
    if rule.endswith(CALLBACK):
        return limits.callback
    if rule.endswith((BACK_CHANNEL_LOGOUT, FRONT_CHANNEL_LOGOUT)):
        return limits.logout
    if rule == "/sign-in" or rule.startswith(PREFIX):
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

    usual = Limit(
        lambda: limit_of_request() or "", exempt_when=lambda: limit_of_request() is None or _ends(BACK_CHANNEL_LOGOUT)
    )
    refused = Limit(limits.logout, exempt_when=lambda: not _ends(BACK_CHANNEL_LOGOUT), deduct_when=_is_refusal)
    own = settings.rate_limit_storage == f"{SCHEME}://"
    Limiter(
        partial(client_key, settings.trusted_proxies),
        app=app,
        default_limits=[usual, refused],
        storage_uri=address_of(settings.data_dir) if own else settings.rate_limit_storage,
        strategy="fixed-window",
        in_memory_fallback_enabled=True,  # without its storage, the portal still works
    )


def client_key(trusted: TrustedProxies) -> str:
    """Return the rate-limit key of this request: the sign-in, else the client's address.

    People of one office share an address, and must not use up each other's launches.  Logouts that a provider reports
    are without a cookie.
    """
    sign_in_id = None if _ends(BACK_CHANNEL_LOGOUT, FRONT_CHANNEL_LOGOUT) else current_sign_in_id()
    if sign_in_id is not None:
        return f"sign-in:{sign_in_id}"
    return client_address(trusted)


def client_address(trusted: TrustedProxies) -> str:
    """Return the rate-limit key of this request's client, also if a person is signed in."""
    return key_of_address(trusted.client_of(request.remote_addr, request.headers.getlist("X-Forwarded-For")))


def _ends(*endings: str) -> bool:
    return request.url_rule is not None and request.url_rule.rule.endswith(endings)


def _is_refusal(response: Response) -> bool:
    return response.status_code != 200  # noqa: PLR2004 - the only status of a logout that was done


def key_of_address(address: Address | None) -> str:
    """Return the rate-limit key of a client at *address*; all clients without an address share one key."""
    return "unknown" if address is None else rate_limit_key(address)
