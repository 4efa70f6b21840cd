"""Any OpenID Connect provider: ``roles`` and ``groups`` at the top of the claims, and no tenants."""

from collections.abc import Mapping
from typing import Final

from portal.claims.reading import affiliation_in, identity_of
from portal.identity import NO_TENANT, Identity, VerifiedClaims
from portal.presets.base import REQUIRED, Option, Place, Preset, Refresh
from portal.presets.sign_out import standard_sign_out
from portal.settings import ProviderSpec


def read_oidc(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in the standard claims of OpenID Connect Core, section 5.1."""
    return identity_of(claims, spec=spec, affiliations=[affiliation_in(NO_TENANT, claims)])


def _locate(options: Mapping[str, str]) -> Place:
    return Place(issuer=options["issuer"])


OIDC: Final = Preset(
    id="oidc",
    label="OpenID Connect",
    flow="openid",
    read=read_oidc,
    locate=_locate,
    options=(
        Option(
            key="issuer",
            meaning="Exactly as the provider writes it in iss; a trailing slash counts.",
            example="https://id.example.com",
            default=REQUIRED,
            form="issuer",
        ),
    ),
    takes_endpoints=True,
    sign_out=standard_sign_out,
    refresh=Refresh(scopes=("offline_access",)),
)
