"""Reading claims as the portal does, at a provider of any make."""

from dataclasses import replace
from typing import Any

from portal.identity import Identity, VerifiedClaims
from portal.presets import PRESETS, read_identity
from portal.presets.base import Option, Place
from portal.settings import ProviderSpec
from tests.builders import a_provider


def read(preset: str, **claims: object) -> Identity:
    """Return the identity that *claims* describe at the company's provider of the make *preset*."""
    return read_identity(VerifiedClaims(claims), spec=a_provider(preset=preset))


def read_somebody(preset: str, **claims: object) -> Identity:
    """Return the identity of somebody with *claims*, whose subject is ``s`` unless they say otherwise."""
    return read(preset, **{"sub": "s", **claims})


def located(preset: str, **options: str) -> Place:
    """Return the place that *options*, already read, lead to."""
    return PRESETS[preset].locate({"client_id": "portal", **options})


def spec_at(preset: str, **options: str) -> ProviderSpec:
    """Return the company's provider of the make *preset*, as the configuration would make it of *options*."""
    place = located(preset, **options)
    make = PRESETS[preset]
    return replace(
        a_provider(),
        preset=preset,
        issuer=place.issuer,
        discovery=place.discovery,
        endpoints=place.endpoints,
        scopes=make.scopes,
        token_endpoint_auth_method=make.token_endpoint_auth_method,
        authorize_params=(*make.authorize_params, *place.authorize_params),
        options=options,
    )


def option(preset: str, key: str) -> Option:
    """Return the option *key* of *preset*."""
    return next(one for one in PRESETS[preset].options if one.key == key)


def without(claims: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return *claims* without *names*."""
    return {name: value for name, value in claims.items() if name not in names}
