"""The demo provider's pages and endpoints, as one small Flask app.

Every answer forbids frames, scripts and caching.  A request from another computer is refused.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from flask import Flask, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from portal.clock import Clock, system_clock
from portal.configuration.addresses import origin_of
from portal.contract import is_loopback_host, is_loopback_url
from portal.contract.forwarded import PROXY_HEADERS
from portal.demo.grants import ALGORITHM, build_server, name_issuer, new_signing_key
from portal.demo.memory import SCOPES, DemoClient, Memory
from portal.demo.people import PEOPLE, claims_of, find_person

BANNER: Final = "Demo provider: anyone can sign in as anyone. Only for trying the portal on this computer."


def create_provider(*, issuer: str, client_id: str, client_secret: str, clock: Clock = system_clock) -> Flask:
    """Return the provider with this *issuer*.

    Raises:
        ValueError: *issuer* is not a loopback URL.
    """
    if not is_loopback_url(issuer):
        raise ValueError(f"The demo provider runs on loopback only, not at {issuer}.")
    app = Flask("portal.demo", static_folder="static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    key = new_signing_key()
    memory = Memory(clock=clock)
    client = DemoClient(client_id=client_id, client_secret=client_secret)
    server = build_server(issuer=issuer, client=client, key=key, memory=memory, clock=clock)
    _install_protection(app)
    _install_metadata(app, issuer=issuer, jwks={"keys": [key.as_dict(private=False)]})
    _install_choice(app, issuer=issuer, server=server)
    _install_endpoints(app, server=server, memory=memory)
    return app


def _install_metadata(app: Flask, *, issuer: str, jwks: Mapping[str, object]) -> None:
    """Serve the home page, the metadata and the keys."""

    @app.get("/")
    def home() -> ResponseReturnValue:
        return render_template("demo/home.html", banner=BANNER, people=PEOPLE)

    @app.get("/healthz")
    def alive() -> ResponseReturnValue:
        return jsonify(status="ok")

    @app.get("/.well-known/openid-configuration")
    def discovery() -> ResponseReturnValue:
        # OpenID Connect Discovery 1.0, 3.
        return jsonify(_metadata(issuer))

    @app.get("/jwks.json")
    def keys() -> ResponseReturnValue:
        return jsonify(jwks)


def _install_choice(app: Flask, *, issuer: str, server: AuthorizationServer) -> None:
    """Serve the page on which a sample person is chosen."""

    @app.get("/authorize")
    def choose() -> ResponseReturnValue:
        try:
            grant = _consent_grant(server)
        except OAuth2Error as error:
            return _refusal(error, issuer=issuer)
        redirect_uri = grant.request.payload.redirect_uri
        hint = request.args.get("login_hint", "").casefold()
        page = Response(
            render_template(
                "demo/choose.html",
                banner=BANNER,
                people=sorted(PEOPLE, key=lambda person: person.email != hint),
                action=request.full_path,
                client=urlsplit(redirect_uri).netloc,
            )
        )
        # The form's answer redirects to the client, so form-action must include it.
        page.headers["Content-Security-Policy"] = _policy(form_action=f"'self' {origin_of(redirect_uri)}")
        return page

    @app.post("/authorize")
    def chosen() -> ResponseReturnValue:
        try:
            grant = _consent_grant(server)
        except OAuth2Error as error:
            return _refusal(error, issuer=issuer)
        person = find_person(request.form.get("person", ""))  # None: the answer is access_denied
        response: Response = server.create_authorization_response(grant=grant, grant_user=person)
        return response


def _install_endpoints(app: Flask, *, server: AuthorizationServer, memory: Memory) -> None:
    """Serve the token, userinfo and end-session endpoints."""

    @app.post("/token")
    def token() -> ResponseReturnValue:
        response: Response = server.create_token_response()
        return response

    @app.route("/userinfo", methods=["GET", "POST"])
    def userinfo() -> ResponseReturnValue:
        # OpenID Connect Core, 5.3; the refusal is RFC 6750, 3.
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        grant = memory.grant_of(presented) if scheme.lower() == "bearer" else None
        person = find_person(grant[0]) if grant else None
        if grant is None or person is None:
            refusal = jsonify(error="invalid_token")
            refusal.status_code = 401
            refusal.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            return refusal
        return jsonify(claims_of(person, scopes=grant[1]))

    @app.route("/end-session", methods=["GET", "POST"])
    def end_session() -> ResponseReturnValue:
        # OpenID Connect RP-Initiated Logout 1.0.
        response: Response | None = server.create_endpoint_response("end_session")
        if response is None:
            return render_template("demo/signed_out.html", banner=BANNER)
        return response if response.location else _refusal_page(400)


def _metadata(issuer: str) -> Mapping[str, object]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks.json",
        "end_session_endpoint": f"{issuer}/end-session",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "claims_supported": ["sub", "name", "given_name", "family_name", "email", "email_verified", "tenants"],
    }


def _consent_grant(server: AuthorizationServer) -> Any:
    """Return the grant of an authorization request.

    Raises:
        OAuth2Error: the request is invalid.
    """
    # Authlib quotes the URI in its error, and fails on characters that an error must not contain.
    if not is_loopback_url(request.values.get("redirect_uri")):
        raise InvalidRequestError
    return server.get_consent_grant()


def _refusal(error: Any, *, issuer: str) -> ResponseReturnValue:
    """Answer an invalid request: by redirect if its redirect URI is valid, else with a page."""
    if not error.redirect_uri:
        return _refusal_page(400)
    status, body, headers = error()
    response = Response(body, status=status, headers=headers)
    name_issuer(response, issuer=issuer)
    return response


def _refusal_page(status: int) -> tuple[str, int]:
    return render_template("demo/refused.html", banner=BANNER), status


def _policy(*, form_action: str) -> str:
    return f"default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"


def _install_protection(app: Flask) -> None:
    """Refuse requests from other computers, and add security headers to every answer."""

    @app.before_request
    def only_this_computer() -> ResponseReturnValue | None:
        # A proxy or DNS rebinding would make the provider reachable from other computers.
        host = urlsplit(f"//{request.host}").hostname
        if is_loopback_host(host) and not any(name in request.headers for name in PROXY_HEADERS):
            return None
        return _refusal_page(403)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", _policy(form_action="'none'"))
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Demo-Provider"] = "anyone can sign in as anyone"
        return response
