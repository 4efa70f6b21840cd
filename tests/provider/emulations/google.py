"""Google, as far as a sign-in needs it.

Quirks and their sources:

* metadata, authorization, tokens, keys and userinfo lie on different hosts; here, on different paths ("OpenID Connect",
  discovery document);
* the parameter ``hd`` shortens the choice of accounts and decides nothing: whoever takes it out of the link signs in
  with any account ("Authentication URI parameters", ``hd``);
* the claim ``hd`` is there for accounts of a Workspace and for no others, in ID token and userinfo ("An ID token's
  payload");
* ``prompt`` is ``none``, ``consent`` or ``select_account``; anything else is an error (the same parameters);
* a refresh token comes with ``access_type=offline`` and consent only, for which Google asks once; it stays when it is
  used ("Using OAuth 2.0 for web server applications"); there is no end-session endpoint (discovery
  document).

Not emulated: ``iss`` without a scheme, which Google alone may use.  ``provider_types/test_google.py`` tests that.
"""

from collections.abc import Mapping
from typing import Any

from tests.provider.emulations.openid import OpenIdEmulation, Routes
from tests.provider.emulations.serving import Answer, Asked, as_json

BOB = "110169484474386276334"


class Google(OpenIdEmulation):
    """One client, and Bob, whose account is one of a Workspace until a test says otherwise."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.has_consented = False
        self.account: dict[str, Any] = {
            "sub": BOB,
            "hd": "example.org",
            "email": "bob@example.org",
            "email_verified": True,
            "name": "Bob Example",
            "picture": "https://lh3.googleusercontent.com/a/x",
        }

    def authorization_endpoint(self) -> str:
        return f"{self.url}/o/oauth2/v2/auth"

    def endpoints(self) -> Routes:
        return {
            "GET /.well-known/openid-configuration": self._metadata,
            "POST /token": self.respond_token,
            "GET /v1/userinfo": self._userinfo,
            "GET /oauth2/v3/certs": self.respond_keys,
        }

    def objection(self, request: Mapping[str, str]) -> str | None:
        prompts = set(request.get("prompt", "none").split())
        if prompts <= {"none", "consent", "select_account"}:
            return None
        return "invalid_request: Invalid parameter value for prompt"

    def gives_refresh_token(self, request: Mapping[str, str]) -> bool:
        asks_consent = not self.has_consented or "consent" in request.get("prompt", "")
        self.has_consented = True
        return asks_consent and request.get("access_type") == "offline"

    def claims(self, request: Mapping[str, str]) -> dict[str, Any]:
        del request
        return {"azp": self.CLIENT_ID, **self.account}

    def _userinfo(self, asked: Asked) -> Answer:
        self.userinfo = self.account
        return self.respond_userinfo(asked)

    def _metadata(self, asked: Asked) -> Answer:
        del asked
        return as_json(
            {
                "issuer": self.issuer,
                "authorization_endpoint": self.authorization_endpoint(),
                "device_authorization_endpoint": f"{self.url}/device/code",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/v1/userinfo",
                "revocation_endpoint": f"{self.url}/revoke",
                "jwks_uri": f"{self.url}/oauth2/v3/certs",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "code_challenge_methods_supported": ["plain", "S256"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )
