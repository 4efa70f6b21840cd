"""Hugging Face, as far as a sign-in needs it.

Quirks and their sources (hub-docs ``oauth.md`` and ``spaces-oauth.md``; ``UserInfo`` of huggingface.js;
``OAuthOrgInfo`` of huggingface_hub):

* the client proves itself with HTTP Basic, as the documentation shows it, and in no other way here;
* organisations stand in ``orgs`` (the documentation says "organizations"), with ``sub``, and come with ``profile``;
* ``roleInOrg`` is there for organisations the person let the app see, which ``orgIds`` of the request asks for;
* memberships whose conditions are not met are listed all the same, with ``pendingSSO`` and ``missingMFA``
  (huggingface.js), or ``securityRestrictions`` (huggingface_hub);
* ``email`` and ``email_verified`` need the scope ``email``, which a Space does not ask for unless configured;
* no end-session endpoint, no ``iss`` in callbacks; who says no comes back with ``error=access_denied``.
"""

from typing import Any, ClassVar

from tests.provider.emulations.code_flow import CodeFlowEmulation
from tests.provider.emulations.openid import query_of

ACME = "5e67bdd61009063689407479"
BETA = "5e67bdd61009063689407480"


class HuggingFace(CodeFlowEmulation):
    """A hub with one person, Hugo."""

    AUTHORIZE: ClassVar[str] = "/oauth/authorize"
    TOKEN: ClassVar[str] = "/oauth/token"
    KEYS: ClassVar[str] = "/oauth/jwks"
    USERINFO: ClassVar[str] = "/oauth/userinfo"
    CLIENT_AUTHENTICATION: ClassVar[frozenset[str]] = frozenset({"client_secret_basic"})

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.org_ids: frozenset[str] = frozenset()
        """The organisations the person lets the app see."""
        self.roles = {ACME: "admin", BETA: "read"}
        self.restrictions: dict[str, dict[str, Any]] = {ACME: {}, BETA: {"securityRestrictions": ["sso"]}}

    def consent(self, authorization_url: str) -> str:
        wanted = query_of(authorization_url).get("orgIds", "")
        self.org_ids |= frozenset(wanted.split(",")) - {""}
        return super().consent(authorization_url)

    def id_token_claims(self) -> dict[str, Any]:
        return self.userinfo_claims()

    def userinfo_claims(self) -> dict[str, Any]:
        names = {ACME: "acme-ml", BETA: "beta"}
        orgs = [
            {
                "sub": sub,
                "name": name.capitalize(),
                "preferred_username": name,
                "picture": "https://cdn-avatars.huggingface.co/y.png",
                "isEnterprise": True,
                **({"roleInOrg": self.roles[sub]} if sub in self.org_ids else {}),
                **self.restrictions[sub],
            }
            for sub, name in names.items()
        ]
        return {
            "sub": "62ce7c39a1b2c3d4e5f60718",
            "name": "Hugo Face",
            "preferred_username": "hugo",
            "profile": f"{self.issuer}/hugo",
            "picture": "https://cdn-avatars.huggingface.co/x.png",
            "website": "",
            "isPro": True,
            "orgs": orgs,
            **({"email": "hugo@example.com", "email_verified": True} if "email" in self.granted else {}),
        }
