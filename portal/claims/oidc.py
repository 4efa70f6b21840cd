"""Any OpenID Connect provider: ``roles`` and ``groups`` at the top of the claims, and no tenants."""

from portal.claims.reading import affiliation_in, identity_of
from portal.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import ProviderSpec


def read_oidc(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in the standard claims of OpenID Connect Core, section 5.1."""
    return identity_of(claims, spec=spec, affiliations=[affiliation_in(NO_TENANT, claims)])
