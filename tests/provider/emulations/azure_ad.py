"""Microsoft Entra ID and Microsoft Graph, as far as sign-in and sign-out need them.

Quirks and their sources:

* metadata of ``common`` and ``organizations`` name the issuer ``…/{tenantid}/v2.0`` to the letter, a tenant's its own
  ("OpenID Connect on the Microsoft identity platform", "Find your app's OpenID configuration document URI");
* keys carry an ``issuer``, and those of private accounts stand beside those of companies ("Access tokens", "Validate
  the issuer", on keys of the v2.0 endpoint);
* ``iat`` and ``nbf`` lie five minutes back, and ID tokens from the token endpoint have no ``at_hash`` ("ID token claims
  reference", samples and ``at_hash``);
* ``oid`` comes with the scope ``profile`` only; ``sub`` is another for each app (the same reference);
* more than 200 groups are left out, for ``_claim_names`` and an address at the retired ``graph.windows.net`` ("Groups
  overage claim"; "Configure group claims");
* PKCE is checked, and not advertised; the client authenticates in the body; errors have AADSTS codes and status 400 or
  401 ("Authorization code flow", error responses);
* a tenant's own endpoints know only its people and guests (AADSTS50020); ``organizations`` no private accounts;
* no tenant, no page: an unknown one is status 400 (AADSTS90002);
* Graph pages by ``@odata.nextLink``, mixes groups with directory roles, hides what ``User.Read`` may not see but ids,
  and answers 403 ``Authorization_RequestDenied`` without that scope ("List a user's transitive memberships");
* each use of a refresh token gives another one, and revokes none ("Refresh tokens in the Microsoft identity platform");
* signing out takes ``logout_hint``, and comes back only to a registered redirect URI ("Send a sign-out request").
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.builders import NOW
from tests.provider.emulations.openid import ACCESS_TOKEN, OpenIdEmulation
from tests.provider.emulations.serving import Answer, Asked, as_json
from tests.provider.signing import JWKS

CONTOSO = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
FABRIKAM = "2a1b7d6e-0c52-4f43-8f0e-6a2f6f9b1c11"
STRANGERS = "5e1f0e6a-4dbd-4ad7-9a3f-8f4f4f0b7d77"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
CAROL = "690222be-ff1a-4d56-abd1-7e4f7d38e474"
GRAPH = "/v1.0/me/transitiveMemberOf"
MOST_IN_TOKEN = 200


def group(number: int) -> str:
    """Return the object id of a group."""
    return f"3ed33c2a-6b1c-4a8e-9d07-{number:012x}"


class Entra(OpenIdEmulation):
    """One app, registered for several tenants, and Carol, who is in one of them."""

    ROTATION = "adds"
    SCOPES = OpenIdEmulation.SCOPES | {"offline_access", "User.Read", "https://graph.microsoft.com/User.Read"}
    CLIENT_AUTHENTICATION = frozenset({"client_secret_post"})

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.home = CONTOSO
        """The tenant Carol's account is in."""
        self.way = CONTOSO
        """What the portal should put into addresses: a tenant, ``common`` or ``organizations``."""
        self.person: dict[str, Any] = {
            "oid": CAROL,
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "name": "Carol Contoso",
            "preferred_username": "carol@contoso.com",
            "login_hint": "O.CiQ2OTAyMjJiZQ",
            "roles": ["Portal.Admin"],
        }
        """Her claims, besides those of the exchange; ``None`` removes one."""
        self.groups: list[str] = [group(1)]
        self.key_issuer = f"{url}/{{tenantid}}/v2.0"
        self.page = 100
        """Entries per page of Graph, whatever ``$top`` asks for."""
        self.grants_graph = True

    def authorization_endpoint(self) -> str:
        return f"{self.url}/{self.way}/oauth2/v2.0/authorize"

    def endpoints(self) -> Mapping[str, Callable[[Asked], Answer]]:
        found: dict[str, Callable[[Asked], Answer]] = {f"GET {GRAPH}": self._memberships}
        for way in (CONTOSO, FABRIKAM, "organizations", "common"):
            found[f"GET /{way}/v2.0/.well-known/openid-configuration"] = self._metadata
            found[f"GET /{way}/discovery/v2.0/keys"] = self._keys
            found[f"POST /{way}/oauth2/v2.0/token"] = self._tokens
        return found

    def answer(self, asked: Asked) -> Answer:
        answer = super().answer(asked)
        if answer.status == 404 and asked.path.endswith("/openid-configuration"):
            return as_json(
                {"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found"}, status=400
            )
        return answer

    def objection(self, request: Mapping[str, str]) -> str | None:
        del request
        if self.way not in {"common", "organizations", self.home}:
            return "access_denied: AADSTS50020: User account does not exist in tenant"
        if self.way == "organizations" and self.home == CONSUMERS:
            return "access_denied: AADSTS500200: User account is a personal Microsoft account"
        return None

    def claims(self, request: Mapping[str, str]) -> dict[str, Any]:
        scopes = request["scope"].split()
        said: dict[str, Any] = {
            "iss": f"{self.url}/{self.home}/v2.0",
            "tid": self.home,
            "ver": "2.0",
            "iat": NOW - 300,
            "nbf": NOW - 300,
            "exp": NOW + 3600,
            "at_hash": None,
            "aio": "AXQAi/8",
            "rh": "0.AAA",
            "uti": "fqiBqXLPj0eQa82S-IYFAA",
            **self._said_of_groups(),
            **self.person,
        }
        if "profile" not in scopes:
            said |= {"oid": None, "name": None, "preferred_username": None}
        if "email" not in scopes:
            said |= {"email": None, "xms_edov": None}
        return said

    def sign_out(self, url: str) -> str | None:
        """Return where a browser that follows *url* ends up; ``None`` where Entra keeps it on its own page."""
        assert url.startswith(f"{self.url}/{self.way}/oauth2/v2.0/logout?")
        asked = dict(parse_qsl(urlsplit(url).query))
        if asked.get("post_logout_redirect_uri") != "http://portal.demo.localhost:7800/signed-out":
            return None
        return f"{asked['post_logout_redirect_uri']}?{urlencode({'state': asked['state']})}"

    def _said_of_groups(self) -> dict[str, Any]:
        if len(self.groups) <= MOST_IN_TOKEN:
            return {"groups": self.groups} if self.groups else {}
        # Here it is an address of this server that the portal must not ask.
        endpoint = f"{self.url}/retired/users/{CAROL}/getMemberObjects"
        return {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": endpoint}}}

    def _metadata(self, asked: Asked) -> Answer:
        way = asked.path.split("/")[1]
        base = f"{self.url}/{way}"
        named = "{tenantid}" if way in {"common", "organizations"} else way
        return as_json(
            {
                "issuer": f"{self.url}/{named}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "userinfo_endpoint": f"{self.url}/oidc/userinfo",
                "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "request_uri_parameter_supported": False,
                "tenant_region_scope": "EU",
            }
        )

    def _keys(self, asked: Asked) -> Answer:
        del asked
        return as_json({"keys": [{**JWKS["keys"][0], "issuer": self.key_issuer}]})

    def _tokens(self, asked: Asked) -> Answer:
        answer = self.respond_token(asked)
        if answer.status == 200:
            return answer
        code = "AADSTS7000215: Invalid client secret provided" if answer.status == 401 else "AADSTS54005: Code redeemed"
        error = "invalid_client" if answer.status == 401 else "invalid_grant"
        said = {"error": error, "error_description": code, "error_codes": [int(code[6:].partition(":")[0])]}
        return as_json(said, status=answer.status)

    def _memberships(self, asked: Asked) -> Answer:
        if asked.bearer != ACCESS_TOKEN:
            return as_json({"error": {"code": "InvalidAuthenticationToken"}}, status=401)
        if not self.grants_graph:
            denied = {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}
            return as_json({"error": denied}, status=403)
        begin = int(asked.query.get("$skiptoken", "0"))
        entries: list[dict[str, Any]] = [
            {"@odata.type": "#microsoft.graph.directoryRole", "id": group(0xDEAD)},
            *({"@odata.type": "#microsoft.graph.group", "id": one} for one in self.groups),
        ]
        said: dict[str, Any] = {
            "@odata.context": f"{self.url}/v1.0/$metadata#directoryObjects(id)",
            "value": entries[begin : begin + self.page],
        }
        if begin + self.page < len(entries):
            query = urlencode({**asked.query, "$skiptoken": begin + self.page})
            said["@odata.nextLink"] = f"{self.url}{GRAPH}?{query}"
        return as_json(said)
