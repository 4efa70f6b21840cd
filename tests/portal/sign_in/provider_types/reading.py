"""Reading claims as the portal does, at a provider of any make."""

from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from portal.rules.identity import Identity, VerifiedClaims
from portal.settings import Admission, ProviderSpec
from portal.sign_in.provider_types import PRESETS, read_identity
from portal.sign_in.provider_types.base import Option, Place
from tests.builders import a_provider


def read(preset: str, **claims: object) -> Identity:
    """Return the identity that *claims* describe at the company's provider of the make *preset*."""
    return read_identity(VerifiedClaims(claims), spec=a_provider(preset=preset))


def read_somebody(preset: str, **claims: object) -> Identity:
    """Return the identity of somebody with *claims*, whose subject is ``s`` unless they say otherwise."""
    said = {"sub": "s", **claims}
    return read(preset, **{**beside(preset, said["sub"]), **said})


def beside(preset: str, sub: object) -> dict[str, object]:
    """Return what a token for *sub* must say besides at *preset*: Entra knows people by another id."""
    if not preset.startswith("azure-ad"):
        return {}
    person = str(uuid5(NAMESPACE_URL, sub)) if isinstance(sub, str) else sub
    return {"tid": "8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "oid": person}


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
        issuer_of_document=place.issuer_of_document,
        issuer_of_token=place.issuer_of_token,
        discovery=place.discovery,
        endpoints=place.endpoints,
        scopes=(*make.scopes, *place.scopes),
        token_endpoint_auth_method=make.token_endpoint_auth_method,
        authorize_params=(*make.authorize_params, *place.authorize_params),
        options=options,
        admission=Admission(tenants=place.tenants),
    )


def option(preset: str, key: str) -> Option:
    """Return the option *key* of *preset*."""
    return next(one for one in PRESETS[preset].options if one.key == key)


def without(claims: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return *claims* without *names*."""
    return {name: value for name, value in claims.items() if name not in names}
