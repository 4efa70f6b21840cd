"""An Okta org with one authorization server, as far as sign-in and sign-out need it.

Ready-made emulators put all claims into the ID token and sign out without a hint, so it is scripted here.

Quirks and their sources:

* the org, ``default`` and every custom server are issuers of their own, with endpoints and metadata of their own; a
  server that is not there is 404 with Okta's error object ("Authorization servers", "OpenID Connect & OAuth 2.0 API");
* the ID token of the code flow is thin: it has base claims and ``email``, and names and groups stand in userinfo
  ("Tokens and claims", on claims that are not "ID Token - Always");
* ``groups`` is a scope of the org server only; elsewhere it is ``invalid_scope`` until somebody defines it
  ("Customize tokens", steps for the org and for custom servers);
* every list of groups that is asked for without a filter holds ``Everyone``;
* refresh tokens come with ``offline_access``, and each use replaces them ("Refresh tokens", rotation);
* signing out needs ``id_token_hint``, of the same server, and a sign-out URI that is registered to the letter;
  ``state`` comes back (logout of the API reference; the knowledge base's "The purpose of id_token_hint").
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.provider.emulations.openid import OpenIdEmulation, Routes, query_of
from tests.provider.emulations.serving import Answer, Asked, as_json


class Okta(OpenIdEmulation):
    """An org with one person, Alice, at one server: ``""`` is the org's own."""

    ROTATION = "replaces"
    SCOPES = OpenIdEmulation.SCOPES | {"groups", "offline_access"}

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.server = "default"
        self.sign_out_uris = {"http://portal.demo.localhost:7800/signed-out"}
        self.defines_groups = False
        """Whether somebody made the scope ``groups`` at a server that has none."""
        self.groups: list[Any] = ["Everyone", "ML-Admins"]
        self.id_token = {
            "sub": "00u1abcdEFGH2ijkl3m4",
            "ver": 1,
            "jti": "ID.x",
            "amr": ["pwd", "mfa"],
            "idp": "00o1idp",
            "auth_time": 1_799_999_000,
            "name": "Alice Doe",
            "email": "alice@example.com",
            "preferred_username": "alice@example.com",
        }
        self.userinfo = {
            "sub": "00u1abcdEFGH2ijkl3m4",
            "name": "Alice Doe",
            "given_name": "Alice",
            "family_name": "Doe",
            "locale": "en-US",
            "zoneinfo": "America/Los_Angeles",
            "preferred_username": "alice@example.com",
            "email": "alice@example.com",
            "email_verified": True,
            "updated_at": 1_795_200_000,
        }

    def choose(self, server: str) -> None:
        """Be the server *server*."""
        self.server = server
        self.issuer = f"{self.url}/oauth2/{server}" if server else self.url

    @property
    def base(self) -> str:
        return f"/oauth2/{self.server}/v1" if self.server else "/oauth2/v1"

    def authorization_endpoint(self) -> str:
        return f"{self.url}{self.base}/authorize"

    def endpoints(self) -> Routes:
        return {
            f"GET {self.issuer.removeprefix(self.url)}/.well-known/openid-configuration": self._metadata,
            f"POST {self.base}/token": self.respond_token,
            f"GET {self.base}/userinfo": self.respond_userinfo,
            f"GET {self.base}/keys": self.respond_keys,
        }

    def answer(self, asked: Asked) -> Answer:
        answer = super().answer(asked)
        if answer.status != 404:
            return answer
        return as_json({"errorCode": "E0000007", "errorSummary": "Not found: Resource not found"}, status=404)

    def objection(self, request: Mapping[str, str]) -> str | None:
        wants_groups = "groups" in request["scope"].split()
        if wants_groups and self.server and not self.defines_groups:
            return "invalid_scope: One or more scopes are not configured for the authorization server resource."
        if wants_groups:
            self.userinfo["groups"] = self.groups
        return None

    def sign_out(self, url: str) -> str | None:
        """Return where a browser that follows *url* ends up; ``None`` on Okta's error page."""
        assert url.startswith(f"{self.url}{self.base}/logout?")
        asked = query_of(url)
        hint = asked.get("id_token_hint", "..").split(".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(hint + "==") or b"{}").get("iss")
        if issuer != self.issuer or asked.get("post_logout_redirect_uri") not in self.sign_out_uris:
            return None
        return f"{asked['post_logout_redirect_uri']}?{urlencode({'state': asked['state']})}"

    def _metadata(self, asked: Asked) -> Answer:
        del asked
        base = f"{self.url}{self.base}"
        return as_json(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "userinfo_endpoint": f"{base}/userinfo",
                "jwks_uri": f"{base}/keys",
                "end_session_endpoint": f"{base}/logout",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                    "client_secret_jwt",
                    "private_key_jwt",
                    "none",
                ],
                "code_challenge_methods_supported": ["S256"],
            }
        )
