"""``/metrics`` for the Prometheus servers of ``metrics_from``, and the duration of every request.

A reverse proxy forwards everyone's requests, perhaps from an address in ``metrics_from``.  So requests through a proxy
get a 404.
"""

import time
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, g, request

from portal.contract import is_loopback_url
from portal.contract.forwarded import PROXY_HEADERS, Network, read_address
from portal.contract.supervisor_messages import AppStatus, ListApps
from portal.errors import StoreUnavailable
from portal.supervisor_socket import SupervisorError, ask, control_socket
from portal.web.metrics import CONTENT_TYPE
from portal.web.request_origin import host_allowed
from portal.web.services import services

blueprint = Blueprint("metrics", __name__)

_TIMEOUT: Final = 1.0
"""Seconds to wait for the supervisor."""


@blueprint.after_app_request
def measure(response: Response) -> Response:
    """Measure every request of the portal."""
    if "began" in g and request.url_rule is not None:  # other paths are any text, and must not become labels
        services().metrics.observe_request(request.url_rule.rule, time.monotonic() - g.began)
    return response


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    if not _may_read():
        abort(404)
    settings = services().settings
    has_supervisor = settings.apps_run_by == "portal" and any(app.source is not None for app in settings.catalogue)
    text = services().metrics.exposition(
        _count_living(), has_supervisor=has_supervisor, apps=_app_states() if has_supervisor else None
    )
    response = Response(text, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _may_read() -> bool:
    """Return whether the client is in ``metrics_from`` and uses no reverse proxy."""
    if any(name in request.headers for name in PROXY_HEADERS):
        return False
    settings = services().settings
    return is_listed(request.remote_addr, settings.metrics_from) and is_direct(
        request.environ.get("HTTP_HOST"), own_url=settings.url
    )


def is_listed(peer: str | None, networks: tuple[Network, ...]) -> bool:
    """Return whether *peer* is in one of *networks*; never for a Unix socket, which only reverse proxies use."""
    address = read_address(peer) if peer else None
    return address is not None and any(address in network for network in networks)


def is_direct(host: str | None, *, own_url: str) -> bool:
    """Return whether *host*, the request's ``Host``, shows that there is no reverse proxy.

    An IP address does, and so does the portal's own name on this machine.  Any other name leads to the server that
    terminates TLS, which need not add a header.
    """
    if is_loopback_url(own_url) and host_allowed(host, own_url=own_url):
        return True
    try:
        name = urlsplit(f"//{host or ''}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or read_address(name) is not None


def _app_states() -> tuple[AppStatus, ...] | None:
    settings = services().settings
    try:
        states = ask(control_socket(settings), ListApps(), patience=_TIMEOUT).apps
    except SupervisorError:
        return None
    return tuple(app for app in states if settings.catalogue.find(app.app) is not None)


def _count_living() -> tuple[int, int] | None:
    try:
        services().database.ping()
        return services().sign_ins.count_living(now=services().clock())
    except StoreUnavailable:
        return None
