"""What of a person's claims is kept with their sign-in: all of it where it is small, else what rules read.  Pure.

A sign-in's row is looked up with every request, so what no rule reads must not make it large; and what a rule does
read is never cut: where that is too much, the sign-in is refused, with the name of the claim.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from portal.claims.expressions import NAMED, claims_read
from portal.errors import ClaimsTooLarge
from portal.identity import Identity
from portal.policy import RoleRule, is_about

MAX_KEPT: Final = 64 * 1024
"""Bytes of JSON kept with a sign-in, whether a rule reads them or not."""
MAX_READ: Final = 256 * 1024
"""Bytes kept where rules do read them."""


def kept(identity: Identity, *, rules: Iterable[RoleRule]) -> Identity:
    """Return *identity* with as much of its claims as is kept; what was dropped stands in ``unread``.

    Raises:
        ClaimsTooLarge: what rules read is larger than :data:`MAX_READ`.
    """
    about = [rule for rule in rules if is_about(rule.provider, identity)]
    sizes = _sizes(identity)
    read = _read_by_expressions(about)
    by_group = frozenset[str]().union(*(rule.groups for rule in about))
    dropped: list[str] = []
    for name in sorted(sizes, key=lambda one: (-sizes[one], one)):
        unread = {} if read is None else {one: size for one, size in sizes.items() if one not in read}
        if sum(unread.values()) <= MAX_KEPT and sum(sizes.values()) <= MAX_READ:
            break
        if name in unread:
            identity, words = _without(identity, name, but=by_group if name == "groups" else frozenset())
            sizes = _sizes(identity)
            dropped.append(words)
    if sum(sizes.values()) > MAX_READ:
        largest = max(sizes, key=lambda one: (sizes[one], one))
        raise ClaimsTooLarge(
            f"{largest} takes {sizes[largest]} bytes of {sum(sizes.values())}, more than the {MAX_READ} that are kept"
        )
    return replace(identity, unread=(*identity.unread, *dropped)) if dropped else identity


def _read_by_expressions(rules: Iterable[RoleRule]) -> frozenset[str] | None:
    """Return the claims that some ``when`` reads; ``None`` where one may read all."""
    read = [claims_read(rule.when) for rule in rules if rule.when is not None]
    return None if None in read else frozenset[str]().union(*(one for one in read if one is not None))


def _without(identity: Identity, name: str, *, but: frozenset[str]) -> tuple[Identity, str]:
    """Return *identity* without the claim *name*, of a list of names all *but* some, and that in words."""
    size = _sizes(identity)[name]
    claims = MappingProxyType({one: value for one, value in identity.claims.items() if one != name})
    lists = [getattr(one, name) for one in identity.affiliations] if name in NAMED else []
    affiliations = tuple(
        replace(one, **{name: names & but}) for one, names in zip(identity.affiliations, lists, strict=False)
    )
    number = sum(len(names - but) for names in lists)
    words = f"{number} of {name}" if number else f"{name} ({size} bytes)"
    without = replace(identity, claims=claims, affiliations=affiliations or identity.affiliations)
    return without, f"{words} not kept: no rule reads {'them' if number else 'it'}"


def _sizes(identity: Identity) -> dict[str, int]:
    """Return bytes of JSON by the name of the claim; of lists of names, those of all tenants together."""
    sizes = {name: _size(value) for name, value in identity.claims.items()}
    for name in NAMED:
        listed = sum(_size(sorted(getattr(one, name))) for one in identity.affiliations if getattr(one, name))
        sizes[name] = sizes.get(name, 0) + listed
    return sizes


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":"), default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"claims hold a {type(value).__name__}, which is not a JSON value")
