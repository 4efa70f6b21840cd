"""Strict reading of untrusted JSON.

Unlike ``json.loads``, it refuses duplicate members and ``NaN``, and raises only :class:`ValueError`, however deep or
broken the text is.
"""

import json
from typing import Final

MAX_DEPTH: Final = 64
"""Most objects and arrays within each other: later readers walk the document by recursion."""


def read_object(raw: bytes) -> dict[str, object]:
    """Return the JSON object in *raw*.

    Raises:
        ValueError: it is not UTF-8, not JSON, not an object, nested too deeply, or names a member twice.
    """
    value = _read(raw)
    if type(value) is not dict:
        raise ValueError("not a JSON object")
    return value


def read_list(raw: bytes) -> list[object]:
    """Return the JSON array in *raw*.

    Raises:
        ValueError: it is not UTF-8, not JSON, not an array, nested too deeply, or names a member of an object twice.
    """
    value = _read(raw)
    if type(value) is not list:
        raise ValueError("not a JSON array")
    return value


def _read(raw: bytes) -> object:
    try:
        # RFC 8259, section 8.1, lets readers ignore a byte-order mark.
        value: object = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _check_depth(value)
    return value


def _check_depth(value: object) -> None:
    """Check the depth level by level: a parser with enough stack reads deeper than its callers can walk."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = [one for one in level if isinstance(one, dict | list)]
        if not inner:
            return
        level = [member for one in inner for member in (one.values() if isinstance(one, dict) else one)]
    raise ValueError("nested too deeply")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):  # two readers could use different ones (RFC 8259, section 4)
        raise ValueError("a member is there twice")
    return members


def _refuse(_: str) -> object:
    raise ValueError("NaN and Infinity are not JSON")
