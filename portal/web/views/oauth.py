"""OAuth endpoints for apps: keys, introspection and token exchange.

They read no cookie.  Apps authenticate by HTTP Basic with slug and client secret (RFC 6749, section 2.3.1), and learn
nothing about other apps' sessions.
"""

from typing import Final

from flask import Blueprint, Response, abort, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from portal.access.access_tokens import LIFETIME
from portal.access.audit_events import AuditEvent
from portal.contract import Inactive, Introspection
from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET, NOT_IN_USE
from portal.rules.catalogue import AppSpec
from portal.rules.policy import api_rights
from portal.web.services import services

blueprint = Blueprint("oauth", __name__)

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name of RFC 8693
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name of RFC 8693


@blueprint.get("/.well-known/jwks.json")
def jwks() -> ResponseReturnValue:
    """Publish the keys that tickets and logout tokens are signed with."""
    response = jsonify(services().keys.public_jwks(services().clock()))
    response.headers["Cache-Control"] = "no-cache"  # no cache between may keep a revoked key
    return response


@blueprint.post("/oauth/introspect")
def introspect() -> ResponseReturnValue:
    """Redeem a ticket, or return whether an app session is still valid (RFC 7662)."""
    app, form = _calling_app(), _form_values()
    token = form.get("token")
    if token is None:
        abort(_refusal("invalid_request"))
    in_use = form.get(NOT_IN_USE) != "true"
    answer = _introspection(token, hint=form.get("token_type_hint"), app=app, in_use=in_use)
    if isinstance(answer, Inactive):
        return jsonify(answer.to_json())
    return jsonify(answer.to_json(issuer=services().settings.url, audience=app.slug))


@blueprint.post("/oauth/token")
def token() -> ResponseReturnValue:
    """Exchange a live app session for an access token to the portal's API (RFC 8693)."""
    app, form, now = _calling_app(), _form_values(), services().clock()
    if form.get("grant_type") != TOKEN_EXCHANGE:
        abort(_refusal("unsupported_grant_type"))
    if (
        form.get("subject_token_type") != HINT_APP_SESSION
        or form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN
    ):
        abort(_refusal("invalid_request"))
    live = services().app_sessions.live(form.get("subject_token"), app=app, now=now)
    if isinstance(live, Inactive):
        abort(_refusal("invalid_request"))  # RFC 8693, section 2.2.2
    rights = api_rights(app, standing=live.standing, rights_of_roles=services().settings.rights_of_roles)
    granted = rights & frozenset(form.get("scope", "").split())
    if not granted:
        abort(_refusal("invalid_scope"))
    scope = " ".join(sorted(granted))
    services().audit.record(
        AuditEvent.API_USED,
        now=now,
        identity=live.standing.identity,
        tenant=live.standing.tenant,
        app=app.slug,
        detail=scope,
        fields={"rights": sorted(granted)},
    )
    return jsonify(
        access_token=services().access_tokens.issue(app=app.slug, session=live.sid, scopes=granted, now=now),
        issued_token_type=ACCESS_TOKEN,
        token_type="Bearer",  # noqa: S106 - a token type, not a token
        expires_in=LIFETIME,
        scope=scope,
    )


def _introspection(presented: str, *, hint: str | None, app: AppSpec, in_use: bool) -> Introspection:
    now = services().clock()
    if hint == HINT_TICKET:
        answer = services().app_sessions.redeem(presented, app=app, now=now)
        if isinstance(answer, Inactive):
            services().metrics.count_refusal(answer.code)
        else:
            services().metrics.count_launch(app.slug)
        return answer
    if hint == HINT_APP_SESSION:
        return services().app_sessions.renew(presented, app=app, now=now, in_use=in_use)
    return Inactive(code="unsupported-token-type")


def _calling_app() -> AppSpec:
    """Return the app whose secret was presented, or abort with 401.

    The answer is the same for an unknown app, a wrong secret and no credentials.
    """
    credentials = request.authorization
    slug, secret = "", ""
    if credentials is not None and credentials.type == "basic":
        slug, secret = credentials.username or "", credentials.password or ""
    is_genuine = services().credentials.authenticate(slug, secret)
    app = services().settings.catalogue.find(slug)
    if app is None or not is_genuine:
        response = jsonify(error="invalid_client")
        response.headers["WWW-Authenticate"] = 'Basic realm="portal", charset="UTF-8"'
        abort(make_response(response, 401))
    return app


def _form_values() -> dict[str, str]:
    """Return the form of this request, or abort with 400 if a parameter is repeated.

    RFC 6749, section 3.2: two readers of a repeated parameter could see different values.
    """
    if any(len(values) > 1 for values in request.form.listvalues()):
        abort(_refusal("invalid_request"))
    return request.form.to_dict()


def _refusal(error: str, status: int = 400) -> Response:
    """Return an error answer of RFC 6749, section 5.2."""
    return make_response(jsonify(error=error), status)
