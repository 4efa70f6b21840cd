"""JMESPath expressions over claims: evaluation, and which claims one reads.  Pure."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

import jmespath
from jmespath.exceptions import JMESPathError

RAW: Final = "claims"
"""The name under which an expression finds the claims as the provider wrote them."""
NAME_LISTS: Final = ("groups", "permissions", "roles")
"""Claims that are lists of names for rules, whatever their type at the provider."""
_LEADING: Final = frozenset(
    {"filter_projection", "flatten", "index_expression", "pipe", "projection", "slice", "subexpression"}
    | {"value_projection"}
)
"""Nodes of which only the first child reads the document; the others read what that one yields."""


def evaluate(expression: str, document: Mapping[str, object]) -> object:
    """Return what *expression* yields over *document*; ``None`` where a claim has another type than it expects."""
    try:
        yielded: object = jmespath.search(expression, document)
    except (JMESPathError, ArithmeticError, TypeError, ValueError):
        return None
    return yielded


@lru_cache(maxsize=512)
def claims_read(expression: str) -> frozenset[str] | None:
    """Return the names of the claims that *expression* reads, ``claims.x`` as ``x``; ``None`` where it may read all.

    An expression that is not JMESPath reads nothing.
    """
    try:
        parsed = jmespath.compile(expression).parsed
    except JMESPathError:
        return frozenset()
    paths = list(_paths(parsed))
    names = [_claim_of(path) for path in paths]
    return None if None in names else frozenset(name for name in names if name is not None)


def names_taken_for_objects(expression: str) -> tuple[str, str] | None:
    """Return the list of names that *expression* takes for objects, and the member that it reads of each; or ``None``.

    ``groups[].id`` yields nothing: groups, roles and permissions at the top are names.
    """
    try:
        return _name_list_with_member(jmespath.compile(expression).parsed)
    except JMESPathError:
        return None


def _name_list_with_member(node: Mapping[str, object]) -> tuple[str, str] | None:
    kind = node.get("type")
    children = _children(node)
    if kind in {"expref", "literal", "index"} or not children:
        return None
    if kind == "projection":
        base, member = children[0], children[1]
        base = _children(base)[0] if base.get("type") == "flatten" else base
        if base.get("type") == "field" and base.get("value") in NAME_LISTS and member.get("type") == "field":
            return str(base["value"]), str(member["value"])
    within = children[:1] if kind in _LEADING else children
    return next((found for child in within if (found := _name_list_with_member(child)) is not None), None)


def _children(node: Mapping[str, object]) -> list[Mapping[str, object]]:
    children = node.get("children")
    return [child for child in children if isinstance(child, Mapping)] if isinstance(children, list | tuple) else []


def _claim_of(path: tuple[str, ...]) -> str | None:
    """Return the claim at *path*, which begins at the document; ``None`` for all of them."""
    below = path[1:] if path[:1] == (RAW,) else path
    return below[0] if below else None


def _paths(node: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    """Yield the paths from the document's top that *node* begins with, two names long where it goes so far."""
    kind = node.get("type")
    children = _children(node)
    if kind == "field":
        yield (str(node.get("value")),)
    elif kind in {"current", "identity"}:
        yield ()
    elif kind == "subexpression":
        yield from ((*path, *_steps(children))[:2] for path in _paths(children[0]))
    elif kind in _LEADING:
        yield from _paths(children[0])
    elif kind not in {"expref", "literal", "index"}:
        for child in children:
            yield from _paths(child)


def _steps(children: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Yield the names that follow in a subexpression of *children*, as far as they are plain."""
    if children[0].get("type") not in {"current", "field", "subexpression"}:
        return
    for child in children[1:]:
        if child.get("type") == "field":
            yield str(child.get("value"))
            continue
        if child.get("type") in _LEADING:  # such as groups[0]
            for path in _paths(child):
                yield from path
        return
