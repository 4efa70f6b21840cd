"""The hook's arguments, in Chainlit's terms, and the reading of its answer.  Pure.

Chainlit passes on a provider's userinfo.  The portal passes verified claims, with an address only if the provider
vouches for it: a hook that admits people by their address must not get one that anyone could have typed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from portal.rules.identity import Identity
from portal.settings import ProviderSpec
from portal.sign_in.admission import Arrival
from portal.sign_in.claims import values
from portal.sign_in.hook.chainlit import ChainlitUser
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.base import TRUNCATED

_OF_GRAPH: Final = {"id": "oid", "displayName": "name", "mail": "email"}
_API_NAMES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "azure-ad": _OF_GRAPH,
        "azure-ad-hybrid": _OF_GRAPH,
        "google": {"id": "sub", "verified_email": "email_verified"},
    }
)
"""By provider type: the names that the API that Chainlit calls has for claims of the ID token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAnswer:
    """The person whom the hook admits."""

    identity: Identity
    unknown: frozenset[str]
    """Roles it named that are not in ``portal.toml``; ignored."""
    foreign: frozenset[str]
    """Tenants it named that are not the person's; ignored."""


def raw_user_data(arrival: Arrival, *, spec: ProviderSpec) -> dict[str, Any]:
    """Return a copy of the provider's claims, with the address only if it is verified."""
    provider_type = type_of(spec)
    data = deepcopy({name: value for name, value in arrival.claims.items() if name != TRUNCATED})
    if provider_type.flow == "oauth2" and provider_type.calls:  # the first answer is about the person
        user = data.pop(provider_type.calls[0].name, None)
        data = {**data, **values.members(user)}
    data.pop("email", None)
    if arrival.identity.verified_email is not None:
        data["email"] = arrival.identity.verified_email
    for name, claim in _API_NAMES.get(provider_type.id, {}).items():
        if claim in data:
            data.setdefault(name, data[claim])
    return data


def default_user(arrival: Arrival, *, spec: ProviderSpec, make: Callable[..., ChainlitUser]) -> ChainlitUser:
    """Return the user that Chainlit would admit, as *make* builds it."""
    identity = arrival.identity
    metadata: dict[str, Any] = {"provider": spec.chainlit_id or spec.id}
    if identity.picture is not None:
        metadata["image"] = identity.picture
    tenants = [tenant for tenant in identity.tenants if tenant]
    if tenants:
        metadata["tenants"] = tenants
    return make(identifier=_identifier(identity, spec), display_name=identity.name, metadata=metadata)


def _identifier(identity: Identity, spec: ProviderSpec) -> str:
    """Return GitHub's login, the member that ``user_identifier`` names, else the verified address, else the subject.

    Names that look like an address are not used: no one may get a company's address by choosing it as a name.
    """
    named = "preferred_username" if spec.provider_type == "github" else spec.options.get("user_identifier", "")
    chosen = identity.claims.get(named)
    if isinstance(chosen, str) and chosen and "@" not in chosen:
        return chosen
    if identity.verified_email is not None:
        return identity.verified_email
    return identity.id if "@" in identity.subject else identity.subject


def read_answer(returned: object, *, identity: Identity, roles: Collection[str]) -> HookAnswer:
    """Return *identity* with the roles that *returned*, a user, has in its metadata; nothing else of it is read.

    ``metadata["role"]`` is a name and ``metadata["roles"]`` a list of names, given in each tenant of this sign-in, or
    a mapping from tenants to such lists.  *roles* are those of ``portal.toml``.

    Raises:
        TypeError: it is not a user, or its roles are not names.
    """
    metadata = getattr(returned, "metadata", None)
    if not isinstance(getattr(returned, "identifier", None), str) or not isinstance(metadata, Mapping):
        raise TypeError(f"the hook returned a {type(returned).__name__}, which is not a user")
    everywhere = set(_names(metadata.get("role")))
    within: dict[str, set[str]] = {}
    roles_value = metadata.get("roles")
    if isinstance(roles_value, Mapping):
        for tenant, names in roles_value.items():
            within[tenant] = set(_names(names))
    else:
        everywhere |= set(_names(roles_value))
    affiliations = tuple(
        replace(one, hook_roles=frozenset((everywhere | within.get(one.tenant, set())) & set(roles)))
        for one in identity.affiliations
    )
    named = everywhere.union(*within.values())
    return HookAnswer(
        identity=replace(identity, affiliations=affiliations),
        unknown=frozenset(named - set(roles)),
        foreign=frozenset(str(tenant) for tenant in within if tenant not in identity.tenants),
    )


def _names(value: object) -> Iterator[str]:
    if value is None:
        return
    many = (value,) if isinstance(value, str) else value
    if not isinstance(many, list | tuple | set | frozenset) or not all(isinstance(one, str) for one in many):
        raise TypeError("the hook's metadata holds roles that are not a list of names")
    yield from many
