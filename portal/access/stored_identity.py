"""An identity as JSON text in the database, read back exactly.

Reading is cached by text, because every request reads the same row.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from types import MappingProxyType
from typing import Final, TypeVar, TypeVarTuple

from portal.rules.identity import Affiliation, Identity
from portal.rules.policy import RoleRule, Standing, standing_in

_LARGE: Final = 96 * 1024
"""In characters.  Few texts above this size are cached: two thousand of the largest would fill the memory."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def write_identity(identity: Identity) -> str:
    """Return *identity*, claims included, as JSON text."""
    affiliations = [
        {
            "tenant": one.tenant,
            "tenant_name": one.tenant_name,
            "roles": sorted(one.roles),
            "groups": sorted(one.groups),
            "permissions": sorted(one.permissions),
            "given": sorted(one.hook_roles),
            "groups_left_out": one.groups_left_out,
        }
        for one in identity.affiliations
    ]
    members = {
        "provider": identity.provider,
        "issuer": identity.issuer,
        "subject": identity.subject,
        "name": identity.name,
        "email": identity.email,
        "email_verified": identity.email_verified,
        "picture": identity.picture,
        "handle": identity.handle,
        "handle_is_unique": identity.handle_is_unique,
        "affiliations": affiliations,
        "claims": identity.claims,
        "sent": identity.sent,
        "unread": identity.unread,
    }
    return json.dumps(members, separators=(",", ":"), sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):  # read-only views of dictionaries
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"claims have a {type(value).__name__}, which is not a JSON value")


def _cache_by_text(function: Callable[[str, *Ts], T]) -> Callable[[str, *Ts], T]:
    """Return *function* with a cache for many short texts and for few long ones."""
    short, long = lru_cache(maxsize=2048)(function), lru_cache(maxsize=64)(function)

    @wraps(function)
    def cached(text: str, *others: *Ts) -> T:
        return (short if len(text) <= _LARGE else long)(text, *others)

    return cached


@_cache_by_text
def read_identity(text: str) -> Identity:
    """Return the identity that :func:`write_identity` wrote as *text*."""
    members = json.loads(text)
    affiliations = tuple(
        Affiliation(
            tenant=one["tenant"],
            tenant_name=one["tenant_name"],
            roles=frozenset(one["roles"]),
            groups=frozenset(one["groups"]),
            permissions=frozenset(one["permissions"]),
            hook_roles=frozenset(one.get("given", ())),  # absent in rows of older versions
            groups_left_out=one.get("groups_left_out", 0),  # likewise
        )
        for one in members["affiliations"]
    )
    return Identity(
        provider=members["provider"],
        issuer=members["issuer"],
        subject=members["subject"],
        name=members["name"],
        email=members["email"],
        email_verified=members["email_verified"],
        picture=members["picture"],
        handle=members.get("handle"),  # absent in rows of older versions
        handle_is_unique=members.get("handle_is_unique", False),
        affiliations=affiliations,
        claims=MappingProxyType(members["claims"]),
        sent=tuple(members.get("sent", ())),  # likewise
        unread=tuple(members.get("unread", ())),  # likewise
    )


class StandingCache:
    """A cache of standings by stored identity and tenant, under one set of rules."""

    def __init__(self, rules: Iterable[RoleRule]) -> None:
        all_rules = tuple(rules)

        @_cache_by_text
        def standing(text: str, tenant: str) -> Standing | None:
            return standing_in(read_identity(text), tenant=tenant, rules=all_rules)

        self._standing = standing

    def of(self, text: str, *, tenant: str) -> Standing | None:
        """Return the standing of the identity stored as *text*; ``None`` if it does not belong to *tenant*."""
        return self._standing(text, tenant)
