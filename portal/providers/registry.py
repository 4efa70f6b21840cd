"""From configuration to providers: which flow each kind speaks.

A provider of the OpenID Connect family needs a reading in ``portal.claims`` and a line here.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from portal.errors import Problem, SettingsError
from portal.providers.base import Provider
from portal.providers.oidc import OidcProvider
from portal.settings import ProviderSpec, Settings

FLOWS: Final[Mapping[str, Callable[[ProviderSpec], Provider]]] = {
    "descope": OidcProvider,
    "oidc": OidcProvider,
}
"""How each kind of provider signs people in."""


def build_providers(settings: Settings) -> Mapping[str, Provider]:
    """Return the providers of *settings* by id, in the order of the configuration.

    Nothing is fetched yet: the portal starts while a provider is away.

    Raises:
        SettingsError: a provider is of a kind nobody knows.
    """
    unknown = [spec for spec in settings.providers if spec.kind not in FLOWS]
    if unknown:
        raise SettingsError(
            [
                Problem(
                    place="providers",
                    key=f"{spec.id}.kind",
                    what=f"{spec.kind!r} is no kind of provider.",
                    mend=f"Use one of {', '.join(sorted(FLOWS))}.",
                )
                for spec in unknown
            ]
        )
    return MappingProxyType({spec.id: FLOWS[spec.kind](spec) for spec in settings.providers})
