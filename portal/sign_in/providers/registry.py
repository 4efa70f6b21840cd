"""From configuration to providers."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from portal.errors import Problem, SettingsError
from portal.settings import Settings
from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.sign_in.providers.base import Provider
from portal.sign_in.providers.flow import CodeFlow


def build_providers(settings: Settings) -> Mapping[str, Provider]:
    """Return the providers of *settings* by id, in the order of the configuration.

    Nothing is fetched yet: the portal starts while a provider is away.

    Raises:
        SettingsError: a provider is of a type that is not known.
    """
    unknown = [spec for spec in settings.providers if spec.provider_type not in PROVIDER_TYPES]
    if unknown:
        raise SettingsError(
            [
                Problem(
                    place="providers",
                    key=f"{spec.id}.type",
                    what=f"{spec.provider_type!r} is not a known provider type.",
                    fix=f"Use one of {', '.join(sorted(PROVIDER_TYPES))}.",
                )
                for spec in unknown
            ]
        )
    configured = frozenset(spec.issuer for spec in settings.providers if not spec.issuer_of_document)
    specs = (
        replace(spec, issuers_of_others=configured) if spec.issuer_of_document else spec for spec in settings.providers
    )
    return MappingProxyType({spec.id: CodeFlow(spec, egress=settings.egress) for spec in specs})
