"""An Auth0 tenant, as far as sign-in and sign-out need it.

Quirks and their sources:

* the issuer ends in a slash, in the metadata as in tokens ("ID token structure");
* at a custom domain, metadata and tokens name that, while audiences of the tenant's own APIs keep the tenant's host;
  an unknown audience is refused at once ("Custom domains"; Chainlit asks for ``<original domain>/userinfo``);
* the application proves itself as it is set, by default in the body ("Application credentials");
* Actions add claims under a namespace, to ID token and userinfo alike ("Create custom claims");
* with ``organization``, or without, the token says the organisation that was chosen in the end ("Work with tokens and
  organizations"): nothing binds it to the parameter but the check of ``org_id``;
* refresh tokens come with ``offline_access``; with rotation on, each use replaces them ("Refresh token rotation");
* the metadata name an end-session endpoint only if the tenant is set so; it compares queries, wants the hint, and
  returns ``state`` ("Log users out of Auth0 with OIDC endpoint");
* ``/v2/logout`` leaves query strings out when it compares, and returns nothing of its own ("Redirect users with
  alternative logout").
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.provider.emulations.openid import OpenIdEmulation, Routes, query_of
from tests.provider.emulations.serving import Answer, Asked, as_json

NAMESPACE = "https://portal.example.com"
ACME = "org_9ybsU1dN2dKfDkBi"


class Auth0(OpenIdEmulation):
    """A tenant with one person, Otto."""

    ROTATION = "replaces"
    SCOPES = OpenIdEmulation.SCOPES | {"offline_access"}
    CLIENT_AUTHENTICATION = frozenset({"client_secret_post"})

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.issuer = f"{url}/"
        self.original = "https://company.eu.auth0.com"
        """The tenant's own host, where this is its custom domain."""
        self.logout_urls = {"http://portal.demo.localhost:7800/signed-out"}
        self.shows_end_session = False
        self.organisation: str | None = None
        """What the person chooses, whatever the request asked for."""
        person = {
            f"{NAMESPACE}/roles": ["admin", "editor"],
            "given_name": "Otto",
            "family_name": "Null",
            "nickname": "otto",
            "name": "Otto Null",
            "picture": "https://s.gravatar.com/avatar/x",
            "updated_at": "2026-11-20T10:00:00.000Z",
            "email": "otto@example.com",
            "email_verified": True,
            "sub": "auth0|653a1f0c9e",
        }
        self.userinfo = person
        self.id_token = {**person, "sid": "s3ss10n", "auth_time": 1_799_999_000}

    def authorization_endpoint(self) -> str:
        return f"{self.url}/authorize"

    def endpoints(self) -> Routes:
        return {
            "GET /.well-known/openid-configuration": self._metadata,
            "POST /oauth/token": self.respond_token,
            "GET /userinfo": self.respond_userinfo,
            "GET /.well-known/jwks.json": self.respond_keys,
        }

    def objection(self, request: Mapping[str, str]) -> str | None:
        audience = request.get("audience")
        if audience not in {None, f"{self.original}/userinfo"}:
            return f"access_denied: Service not found: {audience}"
        return None

    def claims(self, request: Mapping[str, str]) -> dict[str, Any]:
        chosen = self.organisation or request.get("organization")
        return self.id_token if chosen is None else {**self.id_token, "org_id": chosen, "org_name": "acme"}

    def sign_out(self, url: str) -> str | None:
        """Return where a browser that follows *url* ends up; ``None`` on Auth0's error page."""
        asked = query_of(url)
        if asked.get("client_id") != self.CLIENT_ID:
            return None
        if url.startswith(f"{self.url}/v2/logout?"):
            target = asked.get("returnTo", "")
            return target if target.partition("?")[0] in self.logout_urls else None
        assert url.startswith(f"{self.url}/oidc/logout?")
        target = asked.get("post_logout_redirect_uri", "")
        known = target in self.logout_urls and "id_token_hint" in asked
        return f"{target}?{urlencode({'state': asked['state']})}" if known else None

    def _metadata(self, asked: Asked) -> Answer:
        del asked
        shown = {"end_session_endpoint": f"{self.url}/oidc/logout"} if self.shows_end_session else {}
        return as_json(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/oauth/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/.well-known/jwks.json",
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256", "plain"],
                **shown,
            }
        )
