"""From configuration to providers: which flow each make of provider speaks."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Protocol

from portal.contract.egress import Egress
from portal.errors import Problem, SettingsError
from portal.settings import ProviderSpec, Settings
from portal.sign_in.provider_types import PROVIDER_TYPES, type_of
from portal.sign_in.provider_types.base import Flow
from portal.sign_in.providers.base import Provider
from portal.sign_in.providers.oauth2 import OAuth2Provider
from portal.sign_in.providers.oidc import OidcProvider


class Maker(Protocol):
    """Makes the provider that a section of the configuration describes."""

    def __call__(self, spec: ProviderSpec, /, *, egress: Egress) -> Provider:
        """Return it; it calls out as *outbound* says."""


FLOWS: Final[Mapping[Flow, Maker]] = {
    "oauth2": OAuth2Provider,
    "openid": OidcProvider,
}
"""How each kind of provider signs people in."""


def build_providers(settings: Settings) -> Mapping[str, Provider]:
    """Return the providers of *settings* by id, in the order of the configuration.

    Nothing is fetched yet: the portal starts while a provider is away.

    Raises:
        SettingsError: a provider is of a make nobody knows.
    """
    unknown = [spec for spec in settings.providers if spec.provider_type not in PROVIDER_TYPES]
    if unknown:
        raise SettingsError(
            [
                Problem(
                    place="providers",
                    key=f"{spec.id}.type",
                    what=f"{spec.provider_type!r} is no make of provider.",
                    fix=f"Use one of {', '.join(sorted(PROVIDER_TYPES))}.",
                )
                for spec in unknown
            ]
        )
    written = frozenset(spec.issuer for spec in settings.providers if not spec.issuer_of_document)
    specs = (
        replace(spec, issuers_of_others=written) if spec.issuer_of_document else spec for spec in settings.providers
    )
    return MappingProxyType({spec.id: FLOWS[type_of(spec).flow](spec, egress=settings.egress) for spec in specs})
