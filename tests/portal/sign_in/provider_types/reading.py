"""Reading claims as the portal does, at a provider of any type."""

from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from portal.rules.identity import Identity, VerifiedClaims
from portal.settings import Admission, ProviderSpec
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import Option, ProviderLocation
from tests.builders import a_provider


def read(provider_type: str, **claims: object) -> Identity:
    """Return the identity that *claims* describe at the company's provider of *provider_type*."""
    return read_identity(VerifiedClaims(claims), spec=a_provider(provider_type=provider_type))


def read_person(provider_type: str, **claims: object) -> Identity:
    """Return the identity of a person with *claims*, whose subject is ``s`` by default."""
    said = {"sub": "s", **claims}
    return read(provider_type, **{**beside(provider_type, said["sub"]), **said})


def beside(provider_type: str, sub: object) -> dict[str, object]:
    """Return the other claims that identify *sub* at *provider_type*: Entra has another id."""
    if not provider_type.startswith("azure-ad"):
        return {}
    person = str(uuid5(NAMESPACE_URL, sub)) if isinstance(sub, str) else sub
    return {"tid": "8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "oid": person}


def located(provider_type: str, **options: str) -> ProviderLocation:
    """Return the location for *options*."""
    return PROVIDER_TYPES[provider_type].locate({"client_id": "portal", **options})


def spec_at(provider_type: str, **options: str) -> ProviderSpec:
    """Return the company's provider of *provider_type* with *options*, as the configuration builds it."""
    place = located(provider_type, **options)
    make = PROVIDER_TYPES[provider_type]
    return replace(
        a_provider(),
        provider_type=provider_type,
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


def option(provider_type: str, key: str) -> Option:
    """Return the option *key* of *provider_type*."""
    return next(one for one in PROVIDER_TYPES[provider_type].options if one.key == key)


def without(claims: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return *claims* without *names*."""
    return {name: value for name, value in claims.items() if name not in names}
