"""Codes, tokens and the one client, in the memory of one process.

A code is removed when it is presented, even if the exchange fails.  Presenting it again revokes its access token
(RFC 6749, 4.1.2).
"""

import hmac
import threading
from dataclasses import dataclass
from typing import Final

from portal.clock import Clock
from portal.contract import is_loopback_url

SCOPES: Final = ("openid", "profile", "email", "descope.claims")
CODE_LIFETIME: Final = 60
"""Seconds until a code expires."""
TOKEN_LIFETIME: Final = 600
"""Seconds until an access token expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClient:
    """The portal as client of the provider.  The methods are Authlib's ``ClientMixin``."""

    client_id: str
    client_secret: str

    def get_client_id(self) -> str:
        """Return the client's id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return nothing: a request must contain its redirect URI."""
        return

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the supported part of *scope*."""
        requested = (scope or "").split()
        return " ".join(one for one in SCOPES if one in requested)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Accept only loopback URLs, so no other computer receives a code."""
        return is_loopback_url(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Accept HTTP Basic and a secret in the form at the token endpoint."""
        return endpoint == "token" and method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:
        """Accept only the code flow."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Accept only the code flow; there are no refresh tokens."""
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
        """Return nothing: there is no assurance."""
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
    """State of the provider; safe for threads."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: dict[str, Code] = {}
        self._tokens: dict[str, _Token] = {}

    def add_code(self, code: Code) -> None:
        """Store *code*, and remove what has expired."""
        now = self._clock()
        with self._lock:
            self._codes = {key: one for key, one in self._codes.items() if now < one.issued_at + CODE_LIFETIME}
            self._tokens = {key: one for key, one in self._tokens.items() if now < one.expires_at}
            self._codes[code.code] = code

    def take_code(self, presented: str) -> Code | None:
        """Remove and return the code; ``None`` if it is unknown, used or expired."""
        with self._lock:
            code = self._codes.pop(presented, None)
            if code is None:  # used before: its token may be stolen
                self._tokens = {key: one for key, one in self._tokens.items() if one.code != presented}
        return code if code is not None and self._clock() < code.issued_at + CODE_LIFETIME else None

    def add_token(self, access_token: str, *, code: Code) -> None:
        """Store the grant of *access_token*."""
        token = _Token(
            subject=code.subject, scope=code.scope, code=code.code, expires_at=self._clock() + TOKEN_LIFETIME
        )
        with self._lock:
            self._tokens[access_token] = token

    def grant_of(self, access_token: str) -> tuple[str, frozenset[str]] | None:
        """Return the subject and scopes of *access_token*; ``None`` if it is unknown or expired."""
        with self._lock:
            token = self._tokens.get(access_token)
        if token is None or self._clock() >= token.expires_at:
            return None
        return token.subject, frozenset(token.scope.split())
