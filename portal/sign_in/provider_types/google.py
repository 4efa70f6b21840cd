"""Google: any Google account, and those of a Workspace, whose domain is their tenant.

Only the claim ``hd`` proves a Workspace.  The parameter of that name is a hint that people can remove, and an address
in a company's domain may be a private account that once could read its mail.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import affiliation_in, identity_of
from portal.sign_in.provider_types.base import ProviderLocation, ProviderType, Refresh

ISSUER: Final = "https://accounts.google.com"
LEGACY_ISSUER: Final = "accounts.google.com"
"""Google writes either; both are the same Google (OpenID Connect reference, "iss")."""
_GOOGLE_MAIL: Final = ("@gmail.com", "@googlemail.com")


def is_google(named: object, claims: Mapping[str, object], spec: ProviderSpec) -> bool:
    """Return whether *named* is the configured issuer, or Google's other name for itself."""
    del claims
    return named == spec.issuer or (spec.issuer == ISSUER and named == LEGACY_ISSUER)


def read_google(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Google's claims, in the tenant of its Workspace.

    Stored under one issuer, however the token spells it.  An address counts as verified only in Google's own mail or in
    a Workspace: Google checked any other only once, when the account was created.
    """
    workspace = values.identifier(claims.get("hd"))
    one_name = {**claims, "iss": spec.issuer} if "iss" in claims else claims
    affiliation = affiliation_in(workspace or NO_TENANT, {})
    identity = identity_of(one_name, spec=spec, affiliations=[affiliation])
    is_googles = workspace is not None or (identity.email or "").lower().endswith(_GOOGLE_MAIL)
    return replace(identity, email_verified=identity.email_verified and is_googles)


def workspace_of(identity: Identity) -> str | None:
    """Return the domain of the account's Workspace."""
    return identity.tenants[0].lower() or None


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    del options
    return ProviderLocation(issuer=ISSUER)


GOOGLE: Final = ProviderType(
    id="google",
    label="Google",
    flow="openid",
    read=read_google,
    locate=_locate,
    variables="OAUTH_GOOGLE",
    is_issuer=is_google,
    issuers=frozenset({ISSUER}),
    prompts=frozenset({"none", "consent", "select_account"}),
    domain=workspace_of,
    tenants=True,
    groups=False,
    refresh=Refresh(params=(("access_type", "offline"),), once=True),
)
