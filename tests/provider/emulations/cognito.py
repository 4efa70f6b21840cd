"""An Amazon Cognito user pool with its hosted domain, as far as sign-in and sign-out need it.

Quirks and their sources:

* people sign in at one place, and tokens are issued and signed at another, ``cognito-idp`` ("Verifying JSON web
  tokens");
* ``cognito:groups`` stands in the ID token and not in userInfo ("Understanding the ID token"); whoever comes by another
  provider is in a group of its name that nobody made ("Adding groups to a user pool");
* userInfo writes booleans as texts ("userInfo endpoint", example response);
* ``offline_access`` is an unknown scope; a refresh token comes with every code, and stays when it
  is used ("Refresh tokens"; rotation is off unless it is switched on);
* signing out takes ``client_id`` and ``logout_uri``, registered to the letter, and knows none of OpenID Connect's
  parameters: without its own it complains of a missing ``redirect_uri`` ("Logout endpoint", and reports of clients
  that sent ``post_logout_redirect_uri``); no ``state`` comes back.
"""

from collections.abc import Mapping

from tests.provider.emulations.openid import OpenIdEmulation, Routes, query_of

POOL = "eu-west-2_Ab12Cd34E"


class Cognito(OpenIdEmulation):
    """A user pool with one person, Erin, who comes by Okta."""

    SCOPES = OpenIdEmulation.SCOPES | {"phone", "aws.cognito.signin.user.admin"}

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.issuer = f"{url}/{POOL}"
        self.sign_out_urls = {"http://portal.demo.localhost:7800/signed-out"}
        sub = "7c5b7e0a-1111-4222-8333-0123456789ab"
        self.id_token = {
            "sub": sub,
            "cognito:groups": ["ml-admins", f"{POOL}_Okta"],
            "email_verified": True,
            "cognito:username": "Okta_erin@example.com",
            "origin_jti": "o",
            "cognito:roles": ["arn:aws:iam::111122223333:role/ml"],
            "identities": [
                {
                    "userId": "erin@example.com",
                    "providerName": "Okta",
                    "providerType": "SAML",
                    "issuer": "http://www.okta.com/x",
                    "primary": "true",
                    "dateCreated": "1790000000000",
                }
            ],
            "event_id": "e",
            "token_use": "id",
            "auth_time": 1_799_999_000,
            "name": "Erin",
            "custom:department": "ml",
            "jti": "j",
            "email": "erin@example.com",
        }
        self.userinfo = {
            "sub": sub,
            "email_verified": "true",
            "name": "Erin",
            "email": "erin@example.com",
            "username": "Okta_erin@example.com",
        }

    def authorization_endpoint(self) -> str:
        return f"{self.url}/oauth2/authorize"

    def gives_refresh_token(self, request: Mapping[str, str]) -> bool:
        del request
        return True

    def endpoints(self) -> Routes:
        return {
            "POST /oauth2/token": self.respond_token,
            "GET /oauth2/userInfo": self.respond_userinfo,
            f"GET /{POOL}/.well-known/jwks.json": self.respond_keys,
        }

    def sign_out(self, url: str) -> str | None:
        """Return where a browser that follows *url* ends up; ``None`` on Cognito's error page."""
        assert url.startswith(f"{self.url}/logout?")
        asked = query_of(url)
        target = asked.get("logout_uri")
        known = asked.get("client_id") == self.CLIENT_ID and target in self.sign_out_urls
        return target if known else None
