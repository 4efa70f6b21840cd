"""Limits the claims that are stored with a sign-in: all if they are small, else those that rules read.  Pure.

Every request reads a sign-in's row, so claims that no rule reads must not make it large.  Claims that a rule reads are
never cut: if they are too large, the sign-in is refused, with the name of the claim.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from portal.errors import ClaimsTooLarge
from portal.rules.expressions import NAME_LISTS, claims_read
from portal.rules.identity import Identity
from portal.rules.policy import RoleRule, is_about
from portal.sign_in.claims.reading import MAX_SHOWN_NAMES

MAX_KEPT: Final = 64 * 1024
"""Most bytes of JSON stored with a sign-in that no rule reads."""
MAX_READ: Final = 256 * 1024
"""Most bytes of JSON stored with a sign-in."""


def identity_to_store(identity: Identity, *, rules: Iterable[RoleRule]) -> Identity:
    """Return *identity* with the claims to store; ``unread`` lists what was dropped.

    Raises:
        ClaimsTooLarge: what rules read is larger than :data:`MAX_READ`.
    """
    about = [rule for rule in rules if is_about(rule.provider, identity)]
    read = _read_by_expressions(about)
    named = frozenset[str]().union(*(rule.groups for rule in about))
    sizes = {name: _size_of(identity, name) for name in {*identity.claims, *NAME_LISTS}}
    if read is None:
        unread = {}
    else:
        unread = {name: sizes[name] - _size_of_lists(_remaining(identity, name, named)) for name in sizes.keys() - read}
    of_all, of_unread = sum(sizes.values()), sum(unread.values())
    dropped: list[str] = []
    for name in sorted(unread, key=lambda one: (-unread[one], one)):
        if of_unread <= MAX_KEPT and of_all <= MAX_READ:
            break
        of_all, of_unread = of_all - unread[name], of_unread - unread[name]
        sizes[name] -= unread[name]
        dropped.append(name)
    if of_all > MAX_READ:
        largest = max(sizes, key=lambda one: (sizes[one], one))
        raise ClaimsTooLarge(
            f"{largest} takes {sizes[largest]} bytes of {of_all}, more than the {MAX_READ} that are stored"
        )
    return _without(identity, dropped, named=named) if dropped else identity


def _read_by_expressions(rules: Iterable[RoleRule]) -> frozenset[str] | None:
    """Return the claims that some ``when`` reads; ``None`` if one may read all."""
    read = [claims_read(rule.when) for rule in rules if rule.when is not None]
    return None if None in read else frozenset[str]().union(*(one for one in read if one is not None))


def _without(identity: Identity, dropped: Sequence[str], *, named: frozenset[str]) -> Identity:
    """Return *identity* without the claims *dropped*, except the groups that rules have *named*."""
    affiliations = list(identity.affiliations)
    notes = []
    for name in dropped:
        remaining = _remaining(identity, name, named)
        number = sum(len(names - rest) for names, rest in zip(_lists(identity, name), remaining, strict=True))
        if number:
            notes.append(f"{number} of {name} not stored: no rule reads them")
        elif name in identity.claims:
            notes.append(f"{name} ({_size(identity.claims[name])} bytes) not stored: no rule reads it")
        for index, names in enumerate(remaining):
            change: dict[str, Any] = {name: names}
            affiliations[index] = replace(affiliations[index], **change)
    beyond = len(notes) - MAX_SHOWN_NAMES
    if beyond > 0:
        notes[MAX_SHOWN_NAMES:] = [f"{beyond} more claims not stored: no rule reads them"]
    gone = frozenset(dropped)
    claims = MappingProxyType({name: value for name, value in identity.claims.items() if name not in gone})
    return replace(identity, claims=claims, affiliations=tuple(affiliations), unread=(*identity.unread, *notes))


def _lists(identity: Identity, name: str) -> list[frozenset[str]]:
    """Return the names that each affiliation has under *name*; none for a claim that is not a list of names."""
    return [getattr(one, name) for one in identity.affiliations] if name in NAME_LISTS else []


def _remaining(identity: Identity, name: str, named: frozenset[str]) -> list[frozenset[str]]:
    """Return what remains of these lists if *name* is dropped: the groups that rules have *named*."""
    return [names & named if name == "groups" else frozenset() for names in _lists(identity, name)]


def _size_of(identity: Identity, name: str) -> int:
    """Return the bytes of JSON that the claim *name* takes, with the lists of names of all tenants."""
    of_claim = _size({name: identity.claims[name]}) if name in identity.claims else 0
    return of_claim + _size_of_lists(_lists(identity, name))


def _size_of_lists(lists: Iterable[frozenset[str]]) -> int:
    return sum(_size(sorted(names)) for names in lists if names)


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":"), default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"claims hold a {type(value).__name__}, which is not a JSON value")
