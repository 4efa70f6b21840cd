"""The provider types the portal knows: one module each, and one line here.

Pure.  "Adding a provider" in ``CONTRIBUTING.md`` says what else a new one needs.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from portal.rules.identity import Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims.reading import names_sent
from portal.sign_in.claims.values import handle
from portal.sign_in.provider_types.auth0 import AUTH0
from portal.sign_in.provider_types.azure_ad import AZURE_AD, AZURE_AD_HYBRID
from portal.sign_in.provider_types.base import ProviderType
from portal.sign_in.provider_types.cognito import COGNITO
from portal.sign_in.provider_types.descope import DESCOPE
from portal.sign_in.provider_types.generic import GENERIC
from portal.sign_in.provider_types.github import GITHUB
from portal.sign_in.provider_types.gitlab import GITLAB
from portal.sign_in.provider_types.google import GOOGLE
from portal.sign_in.provider_types.huggingface import HUGGINGFACE
from portal.sign_in.provider_types.keycloak import KEYCLOAK
from portal.sign_in.provider_types.oidc import OIDC
from portal.sign_in.provider_types.okta import OKTA

PROVIDER_TYPES: Final[Mapping[str, ProviderType]] = MappingProxyType(
    {
        provider_type.id: provider_type
        for provider_type in (
            OIDC,
            DESCOPE,
            GITHUB,
            GITLAB,
            GOOGLE,
            AZURE_AD,
            AZURE_AD_HYBRID,
            HUGGINGFACE,
            KEYCLOAK,
            OKTA,
            AUTH0,
            COGNITO,
            GENERIC,
        )
    }
)
"""By id, in the order in which the environment turns them on."""


def type_of(spec: ProviderSpec) -> ProviderType:
    """Return the provider type of *spec*.

    Raises:
        KeyError: there is no such type; the configuration names only known ones.
    """
    return PROVIDER_TYPES[spec.provider_type]


def provider_type_at(issuer: str) -> ProviderType | None:
    """Return the only provider type with *issuer*, with or without its last slash; ``None``: any may have it."""
    plain = issuer.rstrip("/").lower()
    return next((one for one in PROVIDER_TYPES.values() if plain in one.issuers), None)


def names_provider(named: object, claims: Mapping[str, object], spec: ProviderSpec) -> bool:
    """Return whether the issuer *named*, with the other *claims* of an ID token, is the provider *spec*.

    Raises:
        KeyError: there is no such provider type.
    """
    provider_type = type_of(spec)
    if spec.issuer_of_token:
        return provider_type.of_token is not None and provider_type.of_token(spec, named) is not None
    return provider_type.is_issuer(named, claims, spec)


def read_identity(claims: VerifiedClaims, *, spec: ProviderSpec) -> Identity:
    """Return the identity in *claims* of the provider *spec*.

    Raises:
        CallbackRejected: the claims identify no one.
        KeyError: there is no such provider type.
    """
    provider_type = type_of(spec)
    identity = provider_type.read(claims, spec)
    return replace(
        identity, sent=names_sent(claims), handle=handle(identity.claims), handle_is_unique=provider_type.unique_handles
    )
