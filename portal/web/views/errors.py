"""Errors as pages with a sentence and a reference, or as JSON for apps.

Messages of exceptions go to the log only.
"""

import logging
from typing import Final

from flask import Blueprint, Response, g, jsonify, make_response, request
from werkzeug.exceptions import HTTPException, TooManyRequests

from portal.errors import PortalError, SignInFailed
from portal.rules.redirects import HOME, safe_next
from portal.web.current_sign_in import request_target, sign_in_path
from portal.web.headers import widen
from portal.web.pages import ErrorPage, render
from portal.web.request_checks import ForeignHost, FormExpired, is_machine_path
from portal.web.services import services

blueprint = Blueprint("errors", __name__)

_LOGGER: Final = logging.getLogger("portal.errors")
_SERVER_ERROR: Final = 500
_LAUNCH: Final = "apps.launch"
"""The only route whose answers are shown in a frame."""


@blueprint.app_errorhandler(PortalError)
def portal_error(error: PortalError) -> Response:
    """Answer an error that the portal raised on purpose."""
    level = logging.ERROR if error.status >= _SERVER_ERROR else logging.WARNING
    _LOGGER.log(level, "%s: %s", error.code, error, exc_info=error if error.status == _SERVER_ERROR else None)
    retry, address = None, None
    if isinstance(error, ForeignHost):
        address = services().settings.url
        retry = address + _same_page()
    elif isinstance(error, SignInFailed):
        retry = sign_in_path(g.get("going_to", HOME), ask=True)
    elif isinstance(error, FormExpired):
        retry = HOME
    return error_response(error.code, error.status, retry=retry, address=address)


def _same_page() -> str:
    """Return the path of this page at the portal's own address; the home page if it cannot be repeated there."""
    return HOME if request.root_path or request.method not in {"GET", "HEAD"} else safe_next(request_target())


@blueprint.app_errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """Answer an HTTP error, such as 404."""
    status = error.code or _SERVER_ERROR
    response = error_response(f"http-{status}", status)
    for name, value in error.get_headers(request.environ):
        if name.lower() in {"allow", "retry-after"}:
            response.headers[name] = value
    if isinstance(error, TooManyRequests):
        response.headers.setdefault("Retry-After", "60")
    return response


@blueprint.app_errorhandler(Exception)
def unexpected_error(error: Exception) -> Response:
    """Answer an unexpected error; its traceback goes to the log."""
    _LOGGER.error("unexpected: %s", type(error).__name__, exc_info=error)
    return error_response("unexpected", _SERVER_ERROR)


def error_response(code: str, status: int, *, retry: str | None = None, address: str | None = None) -> Response:
    """Return the page or the JSON for *code*."""
    services().metrics.count_refusal(code)
    if is_machine_path(request.path):
        response = jsonify(error=code, reference=g.get("reference", ""))
    else:
        framed = request.endpoint == _LAUNCH
        if framed:
            widen(frame_ancestors="'self'")
        response = make_response(render(ErrorPage(code=code, retry=retry, address=address, framed=framed)))
    response.status_code = status
    return response
