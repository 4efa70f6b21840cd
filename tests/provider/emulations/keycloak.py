"""Keycloak, one realm, as far as a sign-in needs it.

Quirks and their sources (Server Administration Guide, and the reference this project starts from):

* endpoints lie below ``/realms/<realm>/protocol/openid-connect``; before version 17 the server's path is ``/auth``;
* the issuer is what the hostname setting says, whatever address the document was fetched from;
* realm and client roles are in the access token; in ID token or userinfo only where the mapper is switched so, and
  ``groups`` only with a Group Membership mapper, as paths that begin with ``/`` where "full path" is on;
* roles of all the person's clients stand side by side in ``resource_access``;
* ``organization`` only with that scope (version 26): a list of aliases, or a map where the mapper adds ids;
* callbacks carry ``iss`` (RFC 9207), announced in the metadata;
* a refresh token comes with every code; each use gives another one, and the former goes on while "Revoke Refresh
  Token" is off, as it is at first;
* the end-session endpoint takes ``id_token_hint`` or ``client_id``, and goes back to registered addresses only.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.provider.emulations.code_flow import CodeFlowEmulation
from tests.provider.emulations.openid import Routes
from tests.provider.emulations.serving import Answer, Asked, as_json

REALM = "acme co"
"""With a space, which stands as ``%20`` in the issuer."""
ORGANIZATION = "42c3e46f-2477-44d7-a85b-d3b43f6b31fa"


class Keycloak(CodeFlowEmulation):
    """A realm with one person, Kim."""

    ROTATION = "adds"
    SCOPES: ClassVar[frozenset[str]] = CodeFlowEmulation.SCOPES | {"organization"}
    BASE: ClassVar[str] = "/auth/realms/acme%20co"
    _PROTOCOL: ClassVar[str] = "/protocol/openid-connect"
    AUTHORIZE: ClassVar[str] = f"{_PROTOCOL}/auth"
    TOKEN: ClassVar[str] = f"{_PROTOCOL}/token"
    KEYS: ClassVar[str] = f"{_PROTOCOL}/certs"
    USERINFO: ClassVar[str] = f"{_PROTOCOL}/userinfo"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.here = self.issuer
        self.roles = ["default-roles-acme", "offline_access", "portal-admin"]
        self.mappers = True
        """Whether the mappers of roles and groups are switched to the ID token."""
        self.iss: str | None = None
        """What callbacks say in place of the issuer."""
        self.organization: object = {"acme": {"id": ORGANIZATION}}

    def behind_another_hostname(self) -> str:
        """Give the realm an issuer at another address than the portal asks; return it."""
        self.issuer = self.here.replace("127.0.0.1", "localhost")
        return self.issuer

    def metadata(self) -> dict[str, Any]:
        return {
            **super().metadata(),
            "end_session_endpoint": f"{self.issuer}{self._PROTOCOL}/logout",
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
        }

    def id_token_claims(self) -> dict[str, Any]:
        mapped = {
            "groups": ["/research/ml"],
            "realm_access": {"roles": self.roles},
            "resource_access": {
                self.CLIENT_ID: {"roles": ["editor"]},
                "account": {"roles": ["view-profile"]},
                "payroll": {"roles": ["payroll-admin"]},
            },
        }
        return {
            "sub": "f:1f3c:kim",
            "typ": "ID",
            "azp": self.CLIENT_ID,
            "sid": "0f1e2d3c",
            "acr": "1",
            "email_verified": True,
            "name": "Kim Cloak",
            "preferred_username": "kim",
            "email": "kim@example.com",
            **(mapped if self.mappers else {}),
            **({"organization": self.organization} if "organization" in self.granted else {}),
        }

    def userinfo_claims(self) -> dict[str, Any]:
        names = ("sub", "email_verified", "name", "preferred_username", "email")
        return {name: self.id_token_claims()[name] for name in names}

    def gives_refresh_token(self, request: Mapping[str, str]) -> bool:
        del request
        return True

    def consent(self, authorization_url: str) -> str:
        return f"{super().consent(authorization_url)}&{urlencode({'iss': self.iss or self.issuer})}"

    def endpoints(self) -> Routes:
        return {**super().endpoints(), f"GET {self.BASE}{self._PROTOCOL}/logout": self._logout}

    def _logout(self, asked: Asked) -> Answer:
        known = bool(asked.query.get("id_token_hint")) or asked.query.get("client_id") == self.CLIENT_ID
        if not known or not asked.query.get("post_logout_redirect_uri", "").endswith("/signed-out"):
            return as_json({"error": "invalid_request"}, status=400)
        return as_json({})
