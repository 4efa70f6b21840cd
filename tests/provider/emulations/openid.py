"""What the emulations of Okta, Auth0 and Cognito have in common: codes, PKCE, client authentication, a signed ID token.

As strict as OpenID Connect Core and RFC 7636 require; each provider type's differences are in its module.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tests.builders import NOW
from tests.provider.emulations.serving import Answer, Asked, Emulation, as_json
from tests.provider.signing import JWKS, at_hash, signed

ACCESS_TOKEN = "opaque-access-token"

Rotation: TypeAlias = Literal["keeps", "adds", "replaces"]
"""What becomes of a refresh token that is used: it stays the only one, another one comes beside it, or in its place."""
Routes: TypeAlias = Mapping[str, Callable[[Asked], Answer]]
"""What answers, by method and path."""


class OpenIdEmulation(Emulation):
    """A provider with one person, whom both ID token and userinfo are about."""

    SCOPES: ClassVar[frozenset[str]] = frozenset({"openid", "profile", "email"})
    """Scopes it knows; any other is ``invalid_scope``."""
    CLIENT_AUTHENTICATION: ClassVar[frozenset[str]] = frozenset({"client_secret_basic", "client_secret_post"})

    ROTATION: ClassVar[Rotation] = "keeps"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.refresh_tokens: dict[str, dict[str, str]] = {}
        """By token, the authorization request it was given for."""
        self.issuer = url
        self.id_token: dict[str, Any] = {}
        """Claims of the ID token besides those of the exchange; ``None`` removes one."""
        self.userinfo: dict[str, Any] = {}
        self.instead: dict[str, Answer] = {}
        """By path, instead of the honest answer."""

    def authorization_endpoint(self) -> str:
        """Return where browsers must be sent to sign in."""
        raise NotImplementedError

    def endpoints(self) -> Routes:
        raise NotImplementedError

    def answer(self, asked: Asked) -> Answer:
        if asked.path in self.instead:
            self.asked.append(asked)
            return self.instead[asked.path]
        return super().answer(asked)

    def consent(self, authorization_url: str) -> str:
        """Return where the browser of a person who signs in and consents is sent."""
        asked = self._request(authorization_url)
        unknown = set(asked["scope"].split()) - self.SCOPES
        error = f"invalid_scope: {unknown}" if unknown else self.objection(asked)
        if error is not None:
            code, _, description = error.partition(": ")
            return _back(asked, error=code, error_description=description)
        return _back(asked, code=self.new_code(asked))

    def objection(self, request: Mapping[str, str]) -> str | None:
        """Return the error, as ``code: description``, with which this provider refuses *request*."""
        del request
        return None

    def gives_refresh_token(self, request: Mapping[str, str]) -> bool:
        """Return whether a refresh token comes with the code for *request* (OpenID Connect Core, section 11)."""
        return "offline_access" in request["scope"].split()

    def claims(self, request: Mapping[str, str]) -> dict[str, Any]:
        """Return the claims about the person in the ID token for *request*."""
        del request
        return self.id_token

    def respond_token(self, asked: Asked) -> Answer:
        """Answer as the token endpoint (OpenID Connect Core, section 3.1.3)."""
        if not self._is_client(asked):
            return as_json({"error": "invalid_client"}, status=401)
        if asked.form.get("grant_type") == "refresh_token":
            return self._refreshed(asked.form.get("refresh_token", ""))
        begun = self.codes.pop(asked.form.get("code", ""), None)
        digest = hashlib.sha256(asked.form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        sound = begun is not None and begun["code_challenge"] == challenge
        if begun is None or not sound or begun["redirect_uri"] != asked.form.get("redirect_uri"):
            return as_json({"error": "invalid_grant"}, status=400)
        refresh_token = self._new_refresh_token(begun) if self.gives_refresh_token(begun) else None
        return self._tokens_for(begun, nonce=begun["nonce"], refresh_token=refresh_token)

    def _refreshed(self, used: str) -> Answer:
        """Answer a refresh: no ``nonce`` is in the ID token (OpenID Connect Core, section 12.2)."""
        begun = self.refresh_tokens.get(used)
        if begun is None:
            return as_json({"error": "invalid_grant"}, status=400)
        if self.ROTATION == "replaces":
            del self.refresh_tokens[used]
        fresh = None if self.ROTATION == "keeps" else self._new_refresh_token(begun)
        return self._tokens_for(begun, nonce=None, refresh_token=fresh)

    def _new_refresh_token(self, request: dict[str, str]) -> str:
        token = secrets.token_urlsafe(12)
        self.refresh_tokens[token] = request
        return token

    def _tokens_for(self, begun: Mapping[str, str], *, nonce: str | None, refresh_token: str | None) -> Answer:
        claims = {
            "iss": self.issuer,
            "aud": self.CLIENT_ID,
            "iat": NOW,
            "exp": NOW + 3600,
            "nonce": nonce,
            "at_hash": at_hash(ACCESS_TOKEN),
            **self.claims(begun),
        }
        return as_json(
            {
                "access_token": ACCESS_TOKEN,
                "id_token": signed({name: value for name, value in claims.items() if value is not None}),
                "token_type": "Bearer",
                "expires_in": 3600,
                "scope": begun["scope"],
                **({} if refresh_token is None else {"refresh_token": refresh_token}),
            }
        )

    def respond_userinfo(self, asked: Asked) -> Answer:
        """Answer as the userinfo endpoint (OpenID Connect Core, section 5.3)."""
        if asked.bearer != ACCESS_TOKEN:
            return as_json({"error": "invalid_token"}, status=401)
        return as_json({name: value for name, value in self.userinfo.items() if value is not None})

    def respond_keys(self, asked: Asked) -> Answer:
        """Answer as the address of the signing keys."""
        del asked
        return as_json(JWKS)

    def _request(self, authorization_url: str) -> dict[str, str]:
        parts = urlsplit(authorization_url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == self.authorization_endpoint()
        asked = query_of(authorization_url)
        assert (asked["response_type"], asked["client_id"]) == ("code", self.CLIENT_ID)
        assert asked["code_challenge_method"] == "S256"
        assert asked["nonce"]
        return asked

    def _is_client(self, asked: Asked) -> bool:
        scheme, _, encoded = asked.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            method = "client_secret_basic"
            client, _, secret = base64.b64decode(encoded).decode().partition(":")
            client, secret = unquote(client), unquote(secret)
        else:
            method = "client_secret_post"
            client, secret = asked.form.get("client_id", ""), asked.form.get("client_secret", "")
        return method in self.CLIENT_AUTHENTICATION and (client, secret) == (self.CLIENT_ID, self.CLIENT_SECRET)


def query_of(url: str) -> dict[str, str]:
    """Return the query of *url*."""
    return dict(parse_qsl(urlsplit(url).query))


def _back(asked: Mapping[str, str], **parameters: str) -> str:
    """Return the callback with *parameters*."""
    return f"{asked['redirect_uri']}?{urlencode({**parameters, 'state': asked['state']})}"
