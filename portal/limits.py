"""How often one client may ask for what costs us, or a provider, something.

The table names routes, not view functions, so that a blueprint needs to know nothing of it.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final, cast

from flask import Flask, request
from flask.typing import RouteCallable
from flask_limiter import Limiter

from portal.sessions import current_sign_in_id
from portal.settings import Settings

_HOUSEHOLD_PREFIX: Final = 64
"""Length of the IPv6 prefix that one customer is given and can pick addresses from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests per client and time, in Flask-Limiter's notation."""

    sign_in: str = "30 per minute"
    callback: str = "30 per minute"
    launch: str = "60 per minute"


def limit_of_route(rule: str, limits: Limits) -> str | None:
    """Return the limit for the route *rule*, or ``None`` for those that have none."""
    if rule.endswith("/callback"):
        return limits.callback
    if rule == "/sign-in" or rule.startswith("/auth/oauth/"):
        return limits.sign_in
    if rule == "/apps/<slug>/launch":
        return limits.launch
    return None


def install_limits(app: Flask, settings: Settings, limits: Limits) -> None:
    """Put *limits* on the routes of *app*; to be called when all blueprints are registered."""
    limiter = Limiter(
        client_key,
        app=app,
        storage_uri=settings.rate_limit_storage,
        strategy="moving-window",
        in_memory_fallback_enabled=True,  # a counter that is down must not put everybody out
    )
    for rule in app.url_map.iter_rules():
        limit = limit_of_route(rule.rule, limits)
        if limit is not None:
            view = app.view_functions[rule.endpoint]
            app.view_functions[rule.endpoint] = cast("RouteCallable", limiter.limit(limit)(view))


def client_key() -> str:
    """Return what a request is counted under: the sign-in, else the client's address.

    People behind one address, a whole office, must not use up each other's launches; a stranger
    has nothing but an address.
    """
    sign_in_id = current_sign_in_id()
    if sign_in_id is not None:
        return f"sign-in:{sign_in_id}"
    return client_address(request.remote_addr, request.headers.get("X-Forwarded-For"))


def client_address(peer: str | None, forwarded_for: str | None) -> str:
    """Return the address of the client behind *peer*, IPv6 shortened to what one customer is given.

    Only a web server on this machine (a loopback peer or a Unix socket) is believed, and of its
    ``X-Forwarded-For`` only the last entry: everything before it is the client's own text.
    """
    address = _parsed(peer)
    if forwarded_for is not None and (address is None or address.is_loopback):
        address = _parsed(forwarded_for.rpartition(",")[2].strip()) or address
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _HOUSEHOLD_PREFIX), strict=False).network_address)
    return str(address)


def _parsed(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    # A socket for both families writes IPv4 as ::ffff:192.0.2.1: shortened, all of IPv4 would be one client.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
