"""An identity as the database keeps it: JSON text, read back exactly.

Reading is remembered by text, because the same row is looked up with every request.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from types import MappingProxyType
from typing import Final, TypeVar, TypeVarTuple

from portal.rules.identity import Affiliation, Identity
from portal.rules.policy import RoleRule, Standing, standing_in

_LARGE: Final = 96 * 1024
"""Characters from which on a text is remembered among few: two thousand of the largest would fill a machine."""

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
            "given": sorted(one.given),
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
    raise TypeError(f"claims hold a {type(value).__name__}, which is no JSON value")


def _remembered(work_out: Callable[[str, *Ts], T]) -> Callable[[str, *Ts], T]:
    """Return *work_out* with a memory of what it said of many texts, and of few that are long."""
    of_many, of_few = lru_cache(maxsize=2048)(work_out), lru_cache(maxsize=64)(work_out)

    @wraps(work_out)
    def remembered(text: str, *others: *Ts) -> T:
        return (of_many if len(text) <= _LARGE else of_few)(text, *others)

    return remembered


@_remembered
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
            given=frozenset(one.get("given", ())),  # written since there is a sign-in hook
            groups_left_out=one.get("groups_left_out", 0),  # written since it is known
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
        handle=members.get("handle"),  # written since apps learn it
        handle_is_unique=members.get("handle_is_unique", False),
        affiliations=affiliations,
        claims=MappingProxyType(members["claims"]),
        sent=tuple(members.get("sent", ())),  # written since admins may look at it
        unread=tuple(members.get("unread", ())),  # as above
    )


class StandingCache:
    """Roles of stored identities, worked out once per identity, tenant and set of rules."""

    def __init__(self, rules: Iterable[RoleRule]) -> None:
        known = tuple(rules)

        @_remembered
        def standing(text: str, tenant: str) -> Standing | None:
            return standing_in(read_identity(text), tenant=tenant, rules=known)

        self._standing = standing

    def of(self, text: str, *, tenant: str) -> Standing | None:
        """Return the standing of the identity stored as *text*; ``None`` if they do not belong to *tenant*."""
        return self._standing(text, tenant)
