"""Checks of every request before its view runs: host, origin and CSRF token.

The form is read last, after the checks of route, origin, rate limit and session: reading it costs time and memory.
New routes are covered automatically.  Exempt are the machine endpoints, which read no cookie, and health checks and
metrics, which machines call by IP address.
"""

from typing import ClassVar, Final

from flask import Flask, abort, request

from portal.errors import PortalError
from portal.rules.provider_paths import takes_logout_tokens
from portal.server.request_reader import REFUSAL
from portal.settings import Settings
from portal.web.browser_sessions import csrf_expected, csrf_ok
from portal.web.request_origin import SAFE_METHODS, host_allowed, unsafe_request_allowed

_MACHINE_PREFIXES: Final = ("/.well-known/", "/api/", "/oauth/")
_ANY_HOST: Final = frozenset({"/healthz", "/metrics", "/readyz"})

_WITHOUT_SESSION: Final = frozenset({"/sign-in"})
"""Forms of people who have no session yet.  They change nothing; checking their origin is enough."""


class ForeignHost(PortalError):
    """The request is for another host or path (DNS rebinding, a forged ``Host`` or ``SCRIPT_NAME``)."""

    code: ClassVar[str] = "foreign-host"
    status: ClassVar[int] = 400


class ForeignOrigin(PortalError):
    """Another site or an app sent the form."""

    code: ClassVar[str] = "foreign-origin"
    status: ClassVar[int] = 403


class FormExpired(PortalError):
    """The form's CSRF token is not the session's."""

    code: ClassVar[str] = "form-expired"
    status: ClassVar[int] = 403


def is_machine_path(path: str) -> bool:
    """Return whether *path* is for apps and providers, which send their own proof and no cookie."""
    return path.startswith(_MACHINE_PREFIXES) or takes_logout_tokens(path)


def install_request_checks(app: Flask, settings: Settings) -> None:
    """Refuse what the server refused, other hosts, and unsafe requests that another page caused."""

    @app.before_request
    def check_request() -> None:
        refusal = request.environ.get(REFUSAL)
        if refusal is not None:
            abort(refusal)
        # The portal is at the root of its host.  A server may take SCRIPT_NAME from a proxy on this machine, and so
        # from that proxy's clients: it would bypass rules about paths and appear in redirects.
        if request.root_path:
            raise ForeignHost(f"mounted at {request.root_path[:100]!r}")
        # Style sheet and icons are public, and the page of foreign-host needs them on the other host.
        if request.path in _ANY_HOST or request.endpoint == "static":
            return
        if not host_allowed(request.environ.get("HTTP_HOST"), own_url=settings.url):
            raise ForeignHost(f"host {request.environ.get('HTTP_HOST', '')[:100]!r}")
        if request.method in SAFE_METHODS or is_machine_path(request.path):
            return
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if not unsafe_request_allowed(request.method, site, origin, settings.origin):
            raise ForeignOrigin(f"site {site!r}")


def install_form_checks(app: Flask) -> None:
    """Refuse forms without the CSRF token of their session; install this check last."""

    @app.before_request
    def check_form() -> None:
        if request.url_rule is None or request.method in SAFE_METHODS or is_machine_path(request.path):
            return  # the body of a request to an unknown address is not read
        if request.path in _WITHOUT_SESSION:
            return
        if not csrf_expected() or not csrf_ok(request.form.get("csrf", "")):
            raise FormExpired(request.endpoint or "no route")
