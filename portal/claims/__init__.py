"""From verified claims to an identity: one small reading for each kind of provider.

Pure: a new provider is a function here and a row in :data:`READINGS`.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from portal.claims.descope import read_descope
from portal.claims.oidc import read_oidc
from portal.identity import Identity, VerifiedClaims
from portal.settings import ProviderSpec

Reading: TypeAlias = Callable[[VerifiedClaims, ProviderSpec], Identity]
"""Raises ``CallbackRejected`` for claims that identify nobody."""

READINGS: Final[Mapping[str, Reading]] = {
    "descope": read_descope,
    "oidc": read_oidc,
}
"""The readings by :attr:`ProviderSpec.kind`."""


def read_identity(claims: VerifiedClaims, *, spec: ProviderSpec) -> Identity:
    """Return who *claims* of the provider *spec* are about.

    Raises:
        CallbackRejected: the claims identify nobody.
        KeyError: there is no reading of that kind; the configuration names only those there are.
    """
    return READINGS[spec.kind](claims, spec)
