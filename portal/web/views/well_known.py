"""``robots.txt``, and ``security.txt`` (RFC 9116)."""

from typing import Final

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from portal.clock import rfc3339
from portal.settings import DAY
from portal.web.services import services

blueprint = Blueprint("well_known", __name__)

_VALID_FOR: Final = 180 * DAY
"""How long the contact is valid; RFC 9116, section 2.5.5, recommends less than a year."""


@blueprint.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """Ask search engines not to index the portal."""
    return _text("User-agent: *\nDisallow: /\n")


@blueprint.get("/.well-known/security.txt")
def security() -> ResponseReturnValue:
    """Return where to report vulnerabilities; 404 without ``security_contact``."""
    settings = services().settings
    if settings.security_contact is None:
        abort(404)
    lines = [
        f"Contact: {settings.security_contact}",
        f"Expires: {rfc3339(services().clock() + _VALID_FOR)}",
        f"Canonical: {settings.url}/.well-known/security.txt",
    ]
    return _text("\n".join([*lines, ""]))


def _text(text: str) -> Response:
    response = Response(text, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
