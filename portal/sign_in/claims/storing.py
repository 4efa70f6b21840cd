"""What of a person's claims is kept with their sign-in: all of it where it is small, else what rules read.  Pure.

A sign-in's row is looked up with every request, so what no rule reads must not make it large; and what a rule does
read is never cut: where that is too much, the sign-in is refused, with the name of the claim.
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
"""Bytes of JSON kept with a sign-in, whether a rule reads them or not."""
MAX_READ: Final = 256 * 1024
"""Bytes kept where rules do read them."""


def identity_to_store(identity: Identity, *, rules: Iterable[RoleRule]) -> Identity:
    """Return *identity* with as much of its claims as is kept; what was dropped stands in ``unread``.

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
        unread = {name: sizes[name] - _size_of_lists(_left(identity, name, named)) for name in sizes.keys() - read}
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
            f"{largest} takes {sizes[largest]} bytes of {of_all}, more than the {MAX_READ} that are kept"
        )
    return _without(identity, dropped, named=named) if dropped else identity


def _read_by_expressions(rules: Iterable[RoleRule]) -> frozenset[str] | None:
    """Return the claims that some ``when`` reads; ``None`` where one may read all."""
    read = [claims_read(rule.when) for rule in rules if rule.when is not None]
    return None if None in read else frozenset[str]().union(*(one for one in read if one is not None))


def _without(identity: Identity, dropped: Sequence[str], *, named: frozenset[str]) -> Identity:
    """Return *identity* without the claims *dropped*, but for the groups that rules have *named*."""
    affiliations = list(identity.affiliations)
    words = []
    for name in dropped:
        left = _left(identity, name, named)
        number = sum(len(names - kept) for names, kept in zip(_lists(identity, name), left, strict=True))
        if number:
            words.append(f"{number} of {name} not kept: no rule reads them")
        elif name in identity.claims:
            words.append(f"{name} ({_size(identity.claims[name])} bytes) not kept: no rule reads it")
        for place, names in enumerate(left):
            change: dict[str, Any] = {name: names}
            affiliations[place] = replace(affiliations[place], **change)
    beyond = len(words) - MAX_SHOWN_NAMES
    if beyond > 0:
        words[MAX_SHOWN_NAMES:] = [f"{beyond} more claims not kept: no rule reads them"]
    gone = frozenset(dropped)
    claims = MappingProxyType({name: value for name, value in identity.claims.items() if name not in gone})
    return replace(identity, claims=claims, affiliations=tuple(affiliations), unread=(*identity.unread, *words))


def _lists(identity: Identity, name: str) -> list[frozenset[str]]:
    """Return the names that each affiliation has under *name*; nothing for a claim that is not such a list."""
    return [getattr(one, name) for one in identity.affiliations] if name in NAME_LISTS else []


def _left(identity: Identity, name: str, named: frozenset[str]) -> list[frozenset[str]]:
    """Return what stays of these lists where *name* is dropped: the groups that rules have *named*."""
    return [names & named if name == "groups" else frozenset() for names in _lists(identity, name)]


def _size_of(identity: Identity, name: str) -> int:
    """Return the bytes of JSON that the claim *name* takes; of lists of names, those of all tenants together."""
    written = _size({name: identity.claims[name]}) if name in identity.claims else 0
    return written + _size_of_lists(_lists(identity, name))


def _size_of_lists(lists: Iterable[frozenset[str]]) -> int:
    return sum(_size(sorted(names)) for names in lists if names)


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":"), default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"claims hold a {type(value).__name__}, which is not a JSON value")
