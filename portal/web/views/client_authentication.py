"""Which app is calling: its slug and client secret by HTTP Basic (RFC 6749, section 2.3.1)."""

from flask import Response, abort, jsonify, make_response, request

from portal.rules.catalogue import AppSpec
from portal.web.services import services


def calling_app() -> AppSpec:
    """Return the app whose secret was presented, or leave the view with 401.

    An unknown app, a wrong secret and no credentials at all are answered alike.
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


def form_values() -> dict[str, str]:
    """Return the form of this request, or leave the view with 400 where a parameter stands there twice.

    RFC 6749, section 3.2: two readers of a repeated parameter could see different values.
    """
    if any(len(values) > 1 for values in request.form.listvalues()):
        abort(refusal("invalid_request"))
    return request.form.to_dict()


def refusal(error: str, status: int = 400) -> Response:
    """Return an error answer of RFC 6749, section 5.2."""
    return make_response(jsonify(error=error), status)
