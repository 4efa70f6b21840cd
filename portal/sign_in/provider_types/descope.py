"""Descope: roles inside ``tenants``, one entry for each tenant the person belongs to.

An admin of one tenant has no rights in another, so tenants are never merged.  Project-level roles, at the top of the
claims, count only if there are no tenants at all.
"""

from collections.abc import Mapping
from typing import Final

from portal.rules.identity import NO_TENANT, Affiliation, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import affiliation_in, identity_of
from portal.sign_in.provider_types.base import (
    Logout,
    Option,
    ProviderLocation,
    ProviderType,
    Refresh,
)
from portal.sign_in.provider_types.sign_out import standard_sign_out


def read_descope(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Descope's claims; the current tenant (``dct``) comes first."""
    return identity_of(claims, spec=spec, affiliations=_affiliations(claims))


def _affiliations(claims: Mapping[str, object]) -> list[Affiliation]:
    current = values.identifier(claims.get("dct"))
    tenants = claims.get("tenants")
    if type(tenants) is not dict or not tenants:
        # A JWT template may omit tenants: then the roles at the top are those within dct.
        return [affiliation_in(current or NO_TENANT, claims)]
    ids = sorted((one for one in tenants if values.identifier(one) is not None), key=lambda one: (one != current, one))
    # No entry is usable: the person belongs to no tenant, and roles at the top do not count.
    return [_within(one, tenants[one]) for one in ids] or [Affiliation()]


def _within(tenant: str, entry: object) -> Affiliation:
    members = values.members(entry)
    return affiliation_in(tenant, members, name=values.identifier(members.get("name")))


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    return ProviderLocation(issuer=options.get("issuer") or f"https://api.descope.com/{options['client_id']}")


DESCOPE: Final = ProviderType(
    id="descope",
    label="Descope",
    flow="openid",
    read=read_descope,
    locate=_locate,
    options=(
        Option(
            key="issuer",
            meaning="The project's issuer, if it has a custom domain or is in another region.",
            example="https://api.descope.com/P2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
            default="https://api.descope.com/<client_id>",
            form="issuer",
        ),
    ),
    variables="OAUTH_DESCOPE",
    scopes=("openid", "profile", "email", "descope.claims"),
    source_claims=dict.fromkeys(("groups", "permissions", "roles"), ("tenants",)),
    claim_scopes=dict.fromkeys(("groups", "permissions", "roles", "tenants"), ("descope.claims",)),
    takes_endpoints=True,
    prompts=frozenset({"login"}),
    tenants=True,
    sign_out=standard_sign_out,
    refresh=Refresh(scopes=("offline_access",)),
    logout=Logout(back_channel=True),
)
