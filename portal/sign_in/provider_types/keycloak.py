"""Keycloak: one realm; realm roles, the roles of the portal's own client, groups and organizations.

Roles of other clients are not read.  Other people may administer the client's roles than the realm's, so a role of the
client is named ``<client id>:<role>``.
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
    Logout,
    Option,
    ProviderLocation,
    ProviderType,
    UnusableOption,
)
from portal.sign_in.provider_types.sign_out import standard_sign_out

_REALMS: Final = "/realms"


def read_keycloak(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Keycloak's claims, as far as its mappers put roles and groups into them."""
    flat = affiliation_in(NO_TENANT, named_claims(claims, spec))
    realm_names = values.names(values.members(claims.get("realm_access")).get("roles"))
    # A role of the realm must not look like one of the client.
    of_realm = {role for role in realm_names if not role.startswith(f"{spec.client_id}:")}
    of_client = values.members(values.members(claims.get("resource_access")).get(spec.client_id)).get("roles")
    roles = flat.roles | of_realm | {f"{spec.client_id}:{role}" for role in values.names(of_client)}
    return identity_of(claims, spec=spec, affiliations=[replace(flat, roles=roles)])


def organisations_of(identity: Identity) -> frozenset[str]:
    """Return the person's organizations, by alias, and as ``org:<id>`` if the mapper adds ids."""
    claim = identity.claims.get("organization")
    if type(claim) is not dict:
        return frozenset(name for name in values.names(claim) if ":" not in name)
    return frozenset(name for alias, entry in claim.items() for name in _names(alias, entry))


def _names(alias: str, entry: object) -> Iterator[str]:
    # An alias with a colon could look like the id of another organization.
    if values.identifier(alias) is not None and ":" not in alias:
        yield values.compared(alias)
    if (number := values.identifier(values.members(entry).get("id"))) is not None:
        yield f"org:{number}"


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    """Return the realm's issuer, and the address of its metadata if that is elsewhere."""
    base, realm = options["base_url"], options["realm"]
    if f"{_REALMS}/" in f"{base}/":
        raise UnusableOption("base_url", f"contains {_REALMS}.", "End it before that; realm adds the rest.")
    if realm in {".", ".."} or "/" in realm or not values.is_plain(realm):
        raise UnusableOption("realm", "is not the name of a realm.", "Write the realm's name, not its address.")
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
            meaning="Keycloak's address; before version 17 it ends in /auth.",
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
            meaning="The realm's issuer, if its hostname setting has another address than base_url.",
            example="https://sso.example.com/realms/acme",
            default="<base_url>/realms/<realm>",
            form="issuer",
        ),
        *CLAIM_OPTIONS,
    ),
    variables="OAUTH_KEYCLOAK",
    name_variable="OAUTH_KEYCLOAK_NAME",
    # Roles come with a client scope that every client has by default.
    source_claims={"roles": ("realm_access", "resource_access", "roles")},
    claim_scopes={
        **dict.fromkeys(("realm_access", "resource_access", "roles"), ()),
        **dict.fromkeys(("organisations", "organization"), ("organization",)),
    },
    prompts=frozenset({"none", "login", "consent"}),
    organisations=organisations_of,
    may_assume_email=True,
    sign_out=standard_sign_out,
    logout=Logout(back_channel=True, front_channel=True, confirms=True),
)
