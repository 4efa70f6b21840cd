"""JSON objects from outside, read without surprises.

Stricter than ``json.loads``: duplicate members and ``NaN`` are refused, and nothing but
:class:`ValueError` comes out, however deep or broken the text is.
"""

import json


def read_object(raw: bytes) -> dict[str, object]:
    """Return the JSON object in *raw*.

    Raises:
        ValueError: it is not UTF-8, not JSON, not an object, or names a member twice.
    """
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if type(value) is not dict:
        raise ValueError("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):  # two readers could each believe another one (RFC 8259, section 4)
        raise ValueError("a member stands there twice")
    return members


def _refuse(_: str) -> object:
    raise ValueError("NaN and Infinity are no JSON")
