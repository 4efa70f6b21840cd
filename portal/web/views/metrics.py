"""``/metrics`` for a Prometheus that is on the list, and for nobody else; and the clock on every request.

A web server in front speaks for everybody, from an address that is on the list.  So whoever comes
through one, as its headers tell, gets the answer of a page that is not there.
"""

import time
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, g, request

from portal.contract import is_loopback_url
from portal.contract.forwarded import Network, read_address
from portal.contract.supervisor_messages import AppStatus, ListApps
from portal.errors import StoreUnavailable
from portal.supervisor_socket import SupervisorError, ask, control_socket
from portal.web.metrics import CONTENT_TYPE
from portal.web.request_origin import host_allowed
from portal.web.services import Services, services

blueprint = Blueprint("metrics", __name__)

_PATIENCE: Final = 1.0
"""Seconds that the supervisor has to answer: a scrape must not wait for it."""
_FORWARDING: Final = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip")
"""What web servers say about whom they speak for."""


@blueprint.after_app_request
def measure(response: Response) -> Response:
    """Measure every request of the portal."""
    if "began" in g and request.url_rule is not None:  # other paths are any text, and must not become labels
        services().metrics.answered(request.url_rule.rule, time.monotonic() - g.began)
    return response


@blueprint.get("/metrics")
def metrics() -> Response:
    """Answer in Prometheus' text format."""
    if not may_read(services(), peer=request.remote_addr, host=request.environ.get("HTTP_HOST")):
        abort(404)
    within = services()
    by_us = within.settings.apps_run_by == "portal"
    has_supervisor = by_us and any(app.source is not None for app in within.settings.catalogue)
    text = within.metrics.exposition(
        _living(within), has_supervisor=has_supervisor, apps=_apps(within) if has_supervisor else None
    )
    response = Response(text, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def may_read(within: Services, *, peer: str | None, host: str | None) -> bool:
    """Say whether who asks is on the list, and comes by itself."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    return is_listed(peer, within.settings.metrics_from) and is_direct(host, own_url=within.settings.url)


def is_listed(peer: str | None, networks: tuple[Network, ...]) -> bool:
    """Say whether *peer* is in one of *networks*; a Unix socket, which only web servers use, is in none."""
    address = read_address(peer) if peer else None
    return address is not None and any(address in network for network in networks)


def is_direct(host: str | None, *, own_url: str) -> bool:
    """Say whether *host*, as it was asked for, shows that no web server stands between.

    An address does, and so does the portal's own name on this machine.  Elsewhere its name leads browsers to whatever
    ends TLS, which need not say so in any header.
    """
    if is_loopback_url(own_url) and host_allowed(host, own_url=own_url):
        return True
    try:
        name = urlsplit(f"//{host or ''}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or read_address(name) is not None


def _apps(within: Services) -> tuple[AppStatus, ...] | None:
    try:
        said = ask(control_socket(within.settings), ListApps(), patience=_PATIENCE).apps
    except SupervisorError:
        return None
    return tuple(app for app in said if within.settings.catalogue.find(app.app) is not None)


def _living(within: Services) -> tuple[int, int] | None:
    try:
        within.database.ping()
        return within.sign_ins.count_living(now=within.clock())
    except StoreUnavailable:
        return None
