"""Codes, tokens and the one client, in the memory of one process.

A code is taken out when it is presented, whatever comes of it; presenting it again also
ends the access token that came of it (RFC 6749, 4.1.2).
"""

import hmac
import threading
from dataclasses import dataclass
from typing import Final

from portal.clock import Clock
from portal.contract import is_loopback_url

SCOPES: Final = ("openid", "profile", "email", "descope.claims")
CODE_LIFETIME: Final = 60
"""Seconds between choosing a person and the code's exchange."""
TOKEN_LIFETIME: Final = 600
"""Seconds an access token opens the userinfo endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClient:
    """The portal, as the provider knows it.  The methods are Authlib's ``ClientMixin``."""

    client_id: str
    client_secret: str

    def get_client_id(self) -> str:
        """Return the client's id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return nothing: a request must say where to go back to."""
        return

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the part of *scope* that this provider knows."""
        asked = (scope or "").split()
        return " ".join(one for one in SCOPES if one in asked)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Accept places on this computer only; nobody elsewhere can receive a code."""
        return is_loopback_url(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Accept HTTP Basic and a secret in the form, at the token endpoint."""
        return endpoint == "token" and method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:
        """Accept the code flow only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Accept the code flow only; there are no refresh tokens."""
        return grant_type == "authorization_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code and what it was issued for.  The methods are Authlib's ``AuthorizationCodeMixin``."""

    code: str
    subject: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    issued_at: int

    def get_redirect_uri(self) -> str:
        """Return the redirect URI that the exchange must repeat."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the granted scopes, separated by spaces."""
        return self.scope

    def get_nonce(self) -> str | None:
        """Return the nonce for the ID token."""
        return self.nonce

    def get_auth_time(self) -> int:
        """Return when the person was chosen, in Unix seconds."""
        return self.issued_at

    def get_acr(self) -> None:
        """Return nothing: no assurance is given."""
        return

    def get_amr(self) -> None:
        """Return nothing: no method of authentication was used."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    subject: str
    scope: str
    code: str
    expires_at: int


class Memory:
    """All that the provider remembers; safe to use from several threads."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: dict[str, Code] = {}
        self._tokens: dict[str, _Token] = {}

    def add_code(self, code: Code) -> None:
        """Remember *code*, and forget what can no longer be used."""
        now = self._clock()
        with self._lock:
            self._codes = {key: one for key, one in self._codes.items() if now < one.issued_at + CODE_LIFETIME}
            self._tokens = {key: one for key, one in self._tokens.items() if now < one.expires_at}
            self._codes[code.code] = code

    def take_code(self, presented: str) -> Code | None:
        """Return the code and forget it; ``None`` if it is unknown, used or too old."""
        with self._lock:
            code = self._codes.pop(presented, None)
            if code is None:  # used before: what came of it was perhaps stolen
                self._tokens = {key: one for key, one in self._tokens.items() if one.code != presented}
        return code if code is not None and self._clock() < code.issued_at + CODE_LIFETIME else None

    def add_token(self, access_token: str, *, code: Code) -> None:
        """Remember what *access_token* opens."""
        token = _Token(
            subject=code.subject, scope=code.scope, code=code.code, expires_at=self._clock() + TOKEN_LIFETIME
        )
        with self._lock:
            self._tokens[access_token] = token

    def opened_by(self, access_token: str) -> tuple[str, frozenset[str]] | None:
        """Return the subject and scopes of *access_token*, or ``None`` if it opens nothing."""
        with self._lock:
            token = self._tokens.get(access_token)
        if token is None or self._clock() >= token.expires_at:
            return None
        return token.subject, frozenset(token.scope.split())
