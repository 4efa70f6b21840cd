"""Keycloak: one realm; realm roles, the roles of the portal's own client, groups and organizations.

Roles of other clients are other applications' business.  A client's roles may be in other hands than the realm's, so
they go by ``<client id>:<role>``: whoever may name the one cannot make the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import affiliation_in, identity_of, named_claims
from portal.sign_in.provider_types.base import (
    CLAIM_OPTIONS,
    DISCOVERY,
    REQUIRED,
    Option,
    ProviderLocation,
    ProviderType,
    Refresh,
    UnusableOption,
)
from portal.sign_in.provider_types.sign_out import standard_sign_out

_REALMS: Final = "/realms"


def read_keycloak(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Keycloak's claims, as far as its mappers put roles and groups into them."""
    flat = affiliation_in(NO_TENANT, named_claims(claims, spec))
    named = values.names(_object(claims.get("realm_access")).get("roles"))
    # A role of the realm that is called like one of the client's would pass for it.
    of_realm = {role for role in named if not role.startswith(f"{spec.client_id}:")}
    of_client = _object(_object(claims.get("resource_access")).get(spec.client_id)).get("roles")
    roles = flat.roles | of_realm | {f"{spec.client_id}:{role}" for role in values.names(of_client)}
    return identity_of(claims, spec=spec, affiliations=[replace(flat, roles=roles)])


def organisations_of(identity: Identity) -> frozenset[str]:
    """Return the organizations somebody is a member of, by alias, and as ``org:<id>`` where the mapper adds ids."""
    claim = identity.claims.get("organization")
    if type(claim) is not dict:
        return frozenset(name for name in values.names(claim) if ":" not in name)
    return frozenset(name for alias, entry in claim.items() for name in _names(alias, entry))


def _names(alias: str, entry: object) -> Iterator[str]:
    # An alias with a colon could pass for somebody else's id.
    if values.identifier(alias) is not None and ":" not in alias:
        yield values.compared(alias)
    if (number := values.identifier(_object(entry).get("id"))) is not None:
        yield f"org:{number}"


def _object(value: object) -> Mapping[str, object]:
    return value if type(value) is dict else {}


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    """Return where the realm is: what it calls itself, and where the portal asks."""
    base, realm = options["base_url"], options["realm"]
    if f"{_REALMS}/" in f"{base}/":
        raise UnusableOption("base_url", f"goes on to {_REALMS}.", "End it before that; realm says the rest.")
    if realm in {".", ".."} or "/" in realm or not values.is_plain(realm):
        raise UnusableOption("realm", "is no name of a realm.", "Write the realm's name, not its address.")
    here = f"{base}{_REALMS}/{quote(realm, safe='')}"
    issuer = options.get("issuer", here)
    return ProviderLocation(issuer=issuer, discovery=None if issuer == here else f"{here}{DISCOVERY}")


KEYCLOAK: Final = ProviderType(
    id="keycloak",
    label="Keycloak",
    flow="openid",
    read=read_keycloak,
    locate=_locate,
    options=(
        Option(
            key="base_url",
            variable="OAUTH_KEYCLOAK_BASE_URL",
            meaning="Where Keycloak is; before version 17 it ends in /auth.",
            example="https://sso.example.com",
            default=REQUIRED,
            form="base",
        ),
        Option(
            key="realm",
            variable="OAUTH_KEYCLOAK_REALM",
            meaning="The realm's name.",
            example="acme",
            default=REQUIRED,
        ),
        Option(
            key="issuer",
            meaning="What the realm calls itself, where its hostname setting says another address than base_url.",
            example="https://sso.example.com/realms/acme",
            default="<base_url>/realms/<realm>",
            form="issuer",
        ),
        *CLAIM_OPTIONS,
    ),
    variables="OAUTH_KEYCLOAK",
    name_variable="OAUTH_KEYCLOAK_NAME",
    # Roles come by a client scope that every client has from the start, asked for or not.
    source_claims={"roles": ("realm_access", "resource_access", "roles")},
    claim_scopes={
        **dict.fromkeys(("realm_access", "resource_access", "roles"), ()),
        **dict.fromkeys(("organisations", "organization"), ("organization",)),
    },
    prompts=frozenset({"none", "login", "consent"}),
    organisations=organisations_of,
    may_assume_email=True,
    sign_out=standard_sign_out,
    refresh=Refresh(),
)
