"""Microsoft Entra ID (Azure AD): one company's tenant, or several that are listed.

People are identified by tenant and object id (``tid``, ``oid``).  The admins of any tenant can write a stranger's
address there, so an address counts only if Microsoft says that its domain's owner confirmed it (``xms_edov``).  If a
person is in more groups than a token holds, the portal asks Microsoft Graph, at the address of the configuration and
never at the one in the token.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeGuard

from portal.errors import CallbackRejected
from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import identity_of
from portal.sign_in.provider_types.base import (
    DISCOVERY,
    REQUIRED,
    TRUNCATED,
    ApiCall,
    Logout,
    Option,
    ProviderLocation,
    ProviderType,
    Refresh,
    UnusableOption,
)
from portal.sign_in.provider_types.sign_out import SignOutRequest, with_query

CONSUMERS: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of private Microsoft accounts."""
AUTHORITY: Final = "https://login.microsoftonline.com"
GRAPHS: Final[Mapping[str, str]] = {
    AUTHORITY: "https://graph.microsoft.com",
    "https://login.microsoftonline.us": "https://graph.microsoft.us",
    "https://login.partner.microsoftonline.cn": "https://microsoftgraph.chinacloudapi.cn",
}
"""Microsoft Graph by authority: the global service and the national clouds."""
PAGES: Final = 3
"""Most pages, of 999 memberships each, which is Graph's maximum."""

_ANY_TENANT: Final = "{tenantid}"
"""The literal placeholder in the issuer of ``common`` and ``organizations``."""
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TRUE: Final = (True, "1", "true")
"""Known spellings of a true ``xms_edov``; the reference says "Boolean"."""
_MEMBERSHIPS: Final = "memberships"
_ABOUT_OVERAGE: Final = frozenset({"_claim_names", "hasgroups"})
_NOT_STORED: Final = frozenset({_MEMBERSHIPS, TRUNCATED, "_claim_sources", "aio", "rh", "uti"})
"""A list that the affiliation holds already, addresses that are not called, and what only Microsoft can read."""


def is_entra(named: object, claims: Mapping[str, object], spec: ProviderSpec) -> bool:
    """Return whether *named* is the issuer of the tenant of *claims*, in a token of version 2.0.

    For several tenants, the issuer is a template.  Every tenant fits it, private accounts too.  So without a list of
    tenants no issuer is accepted; ``portal.sign_in.admission`` compares the tenant with the list.
    """
    several = _ANY_TENANT in spec.issuer
    if not isinstance(named, str) or (several and not spec.admission.tenants):
        return False
    if not claims:  # a callback (RFC 9207): the ID token will name the tenant
        before, _, after = spec.issuer.partition(_ANY_TENANT)
        inner = named.removeprefix(before).removesuffix(after)
        return named == spec.issuer or (several and _is_guid(inner) and named == f"{before}{inner}{after}")
    tenant = claims.get("tid")
    if not _is_guid(tenant) or claims.get("ver") != "2.0":
        return False
    return named == spec.issuer.replace(_ANY_TENANT, tenant) and named.endswith(f"/{tenant}/v2.0")


def is_key_of(named: object, claims: Mapping[str, object]) -> bool:
    """Return whether a key with the issuer *named* beside it may sign *claims*.

    Keys of private accounts are in the same list as those of companies, and must not sign for a company.
    """
    return isinstance(named, str) and named.replace(_ANY_TENANT, str(claims.get("tid"))) == claims.get("iss")


def read_entra(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Entra's claims and, for a person in very many groups, the answer ``memberships``.

    Raises:
        CallbackRejected: they name no tenant, or no person in it.
    """
    tenant, person = claims.get("tid"), claims.get("oid")
    if not _is_guid(tenant) or not _is_guid(person):
        raise CallbackRejected("the ID token has no tid, or no oid (which takes the scope profile)")
    groups = _groups(claims)
    omitted = _NOT_STORED if groups is None else _NOT_STORED | _ABOUT_OVERAGE
    view = {name: value for name, value in claims.items() if name not in omitted}
    if "email" in view or "email_verified" in view:
        # No other claim verifies an address, whatever a tenant's own claims are called.
        view["email_verified"] = any(claims.get("xms_edov") == one for one in _TRUE)
    affiliation = Affiliation(
        tenant=tenant,
        roles=values.names(claims.get("roles")),
        groups=frozenset() if groups is None else groups,
        groups_left_out=_number_omitted(claims, groups),
    )
    identity = identity_of(view, spec=spec, affiliations=[affiliation])
    issuer = values.issuer(claims, configured=spec.issuer.replace(_ANY_TENANT, tenant))
    return replace(identity, issuer=issuer, subject=person)


def exceeds_token(claims: Mapping[str, object]) -> bool:
    """Return whether the person is in more groups than the token holds ("groups overage claim")."""
    sources = claims.get("_claim_names")
    return (isinstance(sources, Mapping) and "groups" in sources) or claims.get("hasgroups") in (True, "true")


def entra_sign_out(spec: ProviderSpec, request: SignOutRequest) -> str | None:
    """Return the URL that signs a browser out at Entra, of this account if the token has ``login_hint``.

    Entra needs no ID token; without the hint it asks for the account.
    """
    del spec
    if request.end_session is None:
        return None
    params = {"post_logout_redirect_uri": request.post_logout_redirect_uri, "state": request.state}
    hint = values.identifier(_members(request.id_token_hint).get("login_hint"))
    return with_query(request.end_session, params if hint is None else {"logout_hint": hint, **params})


def _groups(claims: Mapping[str, object]) -> frozenset[str] | None:
    """Return the groups in *claims*; ``None`` if the token holds too few and Graph did not answer."""
    if not exceeds_token(claims):
        return values.names(claims.get("groups"))
    answer = claims.get(_MEMBERSHIPS)
    if type(answer) is not list:
        return None
    # The list also holds directory roles and administrative units.
    groups = [one for one in answer if type(one) is dict and one.get("@odata.type") == "#microsoft.graph.group"]
    return frozenset(one["id"] for one in groups if _is_guid(one.get("id")))


def _number_omitted(claims: Mapping[str, object], groups: frozenset[str] | None) -> int:
    """Return the least number of groups that are not in *groups*: Graph does not tell how many it omits."""
    if not exceeds_token(claims):
        return values.unread(claims.get("groups"))
    return int(groups is None or _MEMBERSHIPS in values.names(claims.get(TRUNCATED)))


def _is_guid(value: object) -> TypeGuard[str]:
    return type(value) is str and _GUID.fullmatch(value) is not None


def _members(id_token: str | None) -> Mapping[str, object]:
    """Return the claims of an ID token that was verified at sign-in."""
    payload = (id_token or "").split(".")[1:2]
    try:
        claims = json.loads(urlsafe_b64decode(payload[0] + "=" * (-len(payload[0]) % 4))) if payload else {}
    except (ValueError, RecursionError):
        return {}
    return values.members(claims)


def _memberships_at(spec: ProviderSpec) -> str:
    base = spec.options.get("graph") or GRAPHS[spec.options.get("authority", AUTHORITY)]
    return f"{base}/v1.0/me/transitiveMemberOf?$select=id&$top=999"


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    authority = options.get("authority", AUTHORITY)
    graph = options.get("graph", GRAPHS.get(authority))
    if graph is None:
        raise UnusableOption("graph", "is missing beside a custom authority.", "Write its Graph's address.")
    if graph.startswith("http:") and not authority.startswith("http:"):
        raise UnusableOption("graph", "is plain http.", "Write the https address of the cloud's Microsoft Graph.")
    tenants = tuple(dict.fromkeys(one.lower() for one in re.split(r"[,\s]+", options["tenant_id"]) if one))
    for one in tenants or ("",):
        if not _is_guid(one):
            raise UnusableOption(
                "tenant_id",
                f"holds {one!r}, which is not the id of a tenant.",
                "Write the Directory (tenant) ID of the app's overview, a GUID; several are separated by commas.",
            )
    if len(tenants) == 1:
        return ProviderLocation(issuer=f"{authority}/{tenants[0]}/v2.0", tenants=frozenset(tenants))
    if "single_tenant" in options:
        raise UnusableOption("single_tenant", "is set, but tenant_id names several.", "Unset it, or name one tenant.")
    endpoint = "common" if CONSUMERS in tenants else "organizations"
    return ProviderLocation(
        issuer=f"{authority}/{_ANY_TENANT}/v2.0",
        discovery=f"{authority}/{endpoint}/v2.0{DISCOVERY}",
        tenants=frozenset(tenants),
    )


def _provider_type(provider_type_id: str, *, variables: str) -> ProviderType:
    return ProviderType(
        id=provider_type_id,
        label="Microsoft",
        flow="openid",
        read=read_entra,
        locate=_locate,
        options=(
            Option(
                key="tenant_id",
                variable=f"{variables}_TENANT_ID",
                meaning="The id of the company's tenant, or several ids, separated by commas.",
                example="8eaef023-2b34-4da1-9baa-8bc8c9d6a490",
                default=REQUIRED,
            ),
            Option(
                key="single_tenant",
                variable=f"{variables}_ENABLE_SINGLE_TENANT",
                meaning="Chainlit's switch, on with any text: `tenant_id` may name only one tenant.",
                example="true",
                default="as many as `tenant_id` names",
            ),
            Option(
                key="authority",
                meaning="Where people sign in, in a national cloud.",
                example="https://login.microsoftonline.us",
                default=AUTHORITY,
                form="base",
            ),
            Option(
                key="graph",
                meaning="Microsoft Graph's address, for people in very many groups.",
                example="https://dod-graph.microsoft.us",
                default="that of the authority",
                form="base",
            ),
        ),
        variables=variables,
        scopes=("openid", "profile", "email", "User.Read"),
        scopes_variable=f"{variables}_SCOPES",
        always_scopes=("openid", "profile", "email"),
        claim_scopes={"groups": (), "roles": ()},  # the app's registration says whether they come
        is_issuer=is_entra,
        is_key_issuer=is_key_of,
        asks_userinfo=False,
        token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method, no secret
        calls=(
            ApiCall(
                name=_MEMBERSHIPS,
                url=_memberships_at,
                needed=exceeds_token,
                pages=PAGES,
                is_odata=True,
                # Graph answers 401 to a token for another API, which custom scopes may cause.
                refusals=frozenset({401, 403, 404}),
            ),
        ),
        tenants=True,
        sign_out=entra_sign_out,
        refresh=Refresh(scopes=("offline_access",), repeats_scope=True),
        logout=Logout(front_channel=True, omits_issuer=True),
    )


AZURE_AD: Final = _provider_type("azure-ad", variables="OAUTH_AZURE_AD")
AZURE_AD_HYBRID: Final = _provider_type("azure-ad-hybrid", variables="OAUTH_AZURE_AD_HYBRID")
"""Chainlit's hybrid flow at the same provider; here both use the code flow, which shows the browser no token."""
