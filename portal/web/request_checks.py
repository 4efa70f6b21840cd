"""What is asked of every request before a view sees it: the right host, the right origin, the right form.

A form is read last, when route, origin, rate limit and session speak for it: reading it costs time and memory.
A new route is covered without doing anything.  Left out are the machine endpoints, which read
no cookie, and what machines call by address: the health checks, and the metrics, which have a list.
"""

from typing import ClassVar, Final

from flask import Flask, abort, request

from portal.errors import PortalError
from portal.server.request_reader import REFUSAL
from portal.settings import Settings
from portal.web.browser_sessions import csrf_expected, csrf_ok
from portal.web.request_origin import SAFE_METHODS, host_allowed, unsafe_request_allowed

_MACHINE_PREFIXES: Final = ("/.well-known/", "/api/", "/oauth/")
_BY_ADDRESS: Final = frozenset({"/healthz", "/metrics", "/readyz"})


_OF_STRANGERS: Final = frozenset({"/sign-in"})
"""Forms of people who have no session yet.  They change nothing; that no other page has sent them is enough."""


class ForeignHost(PortalError):
    """The request names another place than the portal's own (DNS rebinding, a poisoned ``Host`` or ``SCRIPT_NAME``)."""

    code: ClassVar[str] = "foreign-host"
    status: ClassVar[int] = 400


class ForeignOrigin(PortalError):
    """Another site, or a sibling app, sent the form."""

    code: ClassVar[str] = "foreign-origin"
    status: ClassVar[int] = 403


class FormExpired(PortalError):
    """The form's token is not the one of this session."""

    code: ClassVar[str] = "form-expired"
    status: ClassVar[int] = 403


def is_machine_path(path: str) -> bool:
    """Say whether *path* is for apps, which send credentials of their own and no cookie."""
    return path.startswith(_MACHINE_PREFIXES)


def install_request_checks(app: Flask, settings: Settings) -> None:
    """Refuse what the server did not take, foreign hosts, and unsafe requests that another page caused."""

    @app.before_request
    def check_request() -> None:
        refusal = request.environ.get(REFUSAL)
        if refusal is not None:
            abort(refusal)
        # The portal lives at the root of its host.  A server may take a header SCRIPT_NAME from a proxy on this
        # machine, and so from that proxy's clients: it would pass rules about paths by and stand in redirects.
        if request.root_path:
            raise ForeignHost(f"mounted at {request.root_path[:100]!r}")
        # Style sheet and icons, the same for everybody: the page that refuses another name needs them there.
        if request.path in _BY_ADDRESS or request.endpoint == "static":
            return
        if not host_allowed(request.environ.get("HTTP_HOST"), own_url=settings.url):
            raise ForeignHost(f"host {request.environ.get('HTTP_HOST', '')[:100]!r}")
        if request.method in SAFE_METHODS or is_machine_path(request.path):
            return
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if not unsafe_request_allowed(request.method, site, origin, settings.origin):
            raise ForeignOrigin(f"site {site!r}")


def install_form_checks(app: Flask) -> None:
    """Refuse forms without the token of their session; to be called when everything else that refuses is installed."""

    @app.before_request
    def check_form() -> None:
        if request.url_rule is None or request.method in SAFE_METHODS or is_machine_path(request.path):
            return  # an address that does not exist is answered without reading what came with it
        if request.path in _OF_STRANGERS:
            return
        if not csrf_expected() or not csrf_ok(request.form.get("csrf", "")):
            raise FormExpired(request.endpoint or "no route")
