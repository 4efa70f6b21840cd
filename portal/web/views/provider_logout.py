"""Logouts that a provider reports: from server to server, or by a frame in the person's browser.

OpenID Connect Back-Channel Logout 1.0 and Front-Channel Logout 1.0.  Neither reads a cookie.
"""

import logging
from typing import Final

from flask import Blueprint, Response, abort, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from portal.errors import LogoutTokenRejected, ProviderUnavailable, StoreUnavailable
from portal.rules.provider_paths import BACK_CHANNEL_LOGOUT, FRONT_CHANNEL_LOGOUT, provider_path
from portal.sign_in.provider_types import type_of
from portal.sign_in.providers.base import Provider
from portal.sign_in.providers.id_token import IdTokenProblem
from portal.sign_in.providers.logout_token import LogoutProblem
from portal.web.headers import widen
from portal.web.request_origin import PURPOSES, is_prefetch
from portal.web.services import services

blueprint = Blueprint("provider_logout", __name__)

_log: Final = logging.getLogger("portal.providers")


@blueprint.post(provider_path("<provider>", BACK_CHANNEL_LOGOUT))
def back_channel(provider: str) -> ResponseReturnValue:
    """End the sign-ins that a logout token names (section 2.5)."""
    known, now = _provider(provider), services().clock()
    tokens = request.form.getlist("logout_token")
    if len(tokens) != 1:
        return _answer(400, LogoutProblem.NO_SINGLE_TOKEN)
    try:
        logout = known.read_logout(tokens[0], now=now)
        count = services().provider_logouts.end(logout, provider=provider, now=now)
    except LogoutTokenRejected as error:
        _log.warning("%s: a logout token was refused: %s", provider, error)
        return _answer(400, error.problem)
    except (ProviderUnavailable, StoreUnavailable) as error:
        _log.warning("%s: a logout token had no effect yet: %s", provider, error)
        return _answer(503, error.code)
    _log.info("%s: a logout token ended %d sign-ins", provider, count)
    return _answer(200)


@blueprint.get(provider_path("<provider>", FRONT_CHANNEL_LOGOUT))
def front_channel(provider: str) -> ResponseReturnValue:
    """End the sign-ins of the session that the address names (section 3); any page may frame this answer.

    Nothing proves who asks: ``sid`` is known to the provider, the person's browser and the portal.
    """
    known, now = _provider(provider), services().clock()
    issuer, session = request.args.get("iss", ""), request.args.get("sid", "")
    widen(frame_ancestors="*")
    if request.method == "HEAD" or is_prefetch(map(request.headers.get, PURPOSES)):
        return _answer(200)
    if not names_session(issuer, session, omits_issuer=type_of(known.spec).logout.omits_issuer):
        return _answer(400, LogoutProblem.NO_SESSION)
    try:
        if issuer and not known.names_issuer(issuer):
            return _answer(400, IdTokenProblem.WRONG_ISSUER)
        services().provider_logouts.end_session(session, provider=provider, issuer=issuer or None, now=now)
    except LogoutTokenRejected as error:
        return _answer(400, error.problem)
    except (ProviderUnavailable, StoreUnavailable) as error:
        _log.warning("%s: a logout had no effect yet: %s", provider, error)
        return _answer(503, error.code)
    return _answer(200)  # whether there was such a session is not for strangers


def names_session(issuer: str, session: str, *, omits_issuer: bool) -> bool:
    """Return whether a front-channel logout names a session of a provider, which may *omit* its *issuer*.

    The address says which provider it is, and the issuer is public: only the *session* is a secret.
    """
    return bool(session) and (bool(issuer) or omits_issuer)


def _provider(name: str) -> Provider:
    known = services().providers.get(name)
    if known is None or type_of(known.spec).flow != "openid":
        abort(404)
    return known


def _answer(status: int, error: str | None = None) -> Response:
    body = {} if error is None else {"error": "invalid_request", "error_description": error}
    response = make_response(jsonify(body), status)
    response.headers["Cache-Control"] = "no-store"  # section 2.8
    if status == 503:  # noqa: PLR2004
        response.headers["Retry-After"] = "5"
    return response
