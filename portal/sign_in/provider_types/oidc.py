"""Any OpenID Connect provider: ``roles`` and ``groups`` at the top of the claims, and no tenants."""

from collections.abc import Mapping
from typing import Final

from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims.reading import affiliation_in, identity_of, named_claims
from portal.sign_in.provider_types.base import (
    CLAIM_OPTIONS,
    REQUIRED,
    Logout,
    Option,
    ProviderLocation,
    ProviderType,
    Refresh,
    UnusableOption,
    is_document,
    location_of_document,
)
from portal.sign_in.provider_types.sign_out import standard_sign_out


def read_oidc(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in the standard claims of OpenID Connect Core, section 5.1."""
    return identity_of(claims, spec=spec, affiliations=[affiliation_in(NO_TENANT, named_claims(claims, spec))])


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    issuer, discovery = options["issuer"], options.get("discovery")
    if not is_document(issuer):
        return ProviderLocation(issuer=issuer, discovery=discovery)
    if discovery is not None:
        raise UnusableOption(
            "issuer", "is the address of metadata, beside discovery.", "Write the issuer that the metadata names."
        )
    return location_of_document(issuer)


OIDC: Final = ProviderType(
    id="oidc",
    label="OpenID Connect",
    flow="openid",
    read=read_oidc,
    locate=_locate,
    options=(
        Option(
            key="issuer",
            meaning="Exactly as in iss, including a trailing slash; or the address of its discovery document, if "
            "the issuer is at the same host.",
            example="https://id.example.com",
            default=REQUIRED,
            form="issuer",
        ),
        Option(
            key="discovery",
            meaning="The address of its discovery document, if not below the issuer.",
            example="https://id.example.com/tenant/.well-known/openid-configuration",
            default="below the issuer",
            form="endpoint",
        ),
        *CLAIM_OPTIONS,
    ),
    takes_endpoints=True,
    may_assume_email=True,
    sign_out=standard_sign_out,
    refresh=Refresh(scopes=("offline_access",)),
    logout=Logout(back_channel=True, front_channel=True),
)
