"""Providers that keep all their paths below their issuer: GitLab, Keycloak, Hugging Face.

They share, besides ``openid``, metadata of a usual shape, and claims that depend on the granted scopes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.provider.emulations.openid import OpenIdEmulation, Routes, query_of
from tests.provider.emulations.serving import Answer, Asked, as_json


class CodeFlowEmulation(OpenIdEmulation):
    """A provider with one person, whom subclasses define."""

    BASE: ClassVar[str] = ""
    """Path of the issuer below the host."""
    AUTHORIZE: ClassVar[str]
    TOKEN: ClassVar[str]
    KEYS: ClassVar[str]
    USERINFO: ClassVar[str]

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.issuer = f"{url}{self.BASE}"
        self.scope: str | None = None
        """What the person grants; ``None``: what was asked for."""
        self.granted: frozenset[str] = frozenset()

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.authorization_endpoint(),
            "token_endpoint": f"{self.issuer}{self.TOKEN}",
            "jwks_uri": f"{self.issuer}{self.KEYS}",
            "userinfo_endpoint": f"{self.issuer}{self.USERINFO}",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": sorted(self.CLIENT_AUTHENTICATION),
        }

    def id_token_claims(self) -> dict[str, Any]:
        """Return the person's claims in the ID token, for the granted scopes."""
        raise NotImplementedError

    def userinfo_claims(self) -> dict[str, Any]:
        """Return the answer of the userinfo endpoint, for the granted scopes."""
        raise NotImplementedError

    def authorization_endpoint(self) -> str:
        return f"{self.issuer}{self.AUTHORIZE}"

    def endpoints(self) -> Routes:
        return {
            f"GET {self.BASE}/.well-known/openid-configuration": lambda _: as_json(self.metadata()),
            f"GET {self.BASE}{self.KEYS}": self.respond_keys,
            f"POST {self.BASE}{self.TOKEN}": self.respond_token,
            f"GET {self.BASE}{self.USERINFO}": self.respond_userinfo,
        }

    def claims(self, request: Mapping[str, str]) -> dict[str, Any]:
        self.granted = frozenset((request["scope"] if self.scope is None else self.scope).split())
        return self.id_token_claims()

    def respond_userinfo(self, asked: Asked) -> Answer:
        self.userinfo = self.userinfo_claims()
        return super().respond_userinfo(asked)

    def refuse(self, authorization_url: str) -> str:
        """Return where the browser of a person who refuses is sent."""
        asked = query_of(authorization_url)
        return f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}"
