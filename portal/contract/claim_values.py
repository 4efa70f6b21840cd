"""Reads claim values exactly: the right type and a bounded size, or a rejection.

``type(x) is int`` and not ``isinstance``, because ``True`` is an ``int``.
"""

from collections.abc import Mapping
from typing import Final

from portal.contract.rejection import Rejected, Rejection

MAX_TEXT: Final = 512
MAX_ROLES: Final = 64
_LATEST: Final = 1 << 40
"""A bound on times, in Unix seconds, so that arithmetic stays ordinary."""


def text(claims: Mapping[str, object], name: str, *, longest: int = MAX_TEXT) -> str:
    """Return the non-empty string *name*, free of control characters and lone surrogates."""
    value = claims.get(name)
    if type(value) is not str or not 0 < len(value) <= longest or not _is_plain(value):
        raise Rejected(Rejection.BAD_SHAPE)
    return value


def optional_text(claims: Mapping[str, object], name: str, *, longest: int = MAX_TEXT) -> str | None:
    """Return the string *name*, or ``None`` where it is absent or null."""
    return None if claims.get(name) is None else text(claims, name, longest=longest)


def moment(claims: Mapping[str, object], name: str) -> int:
    """Return the Unix time *name*, in whole seconds."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < _LATEST:
        raise Rejected(Rejection.BAD_SHAPE)
    return value


def texts(claims: Mapping[str, object], name: str) -> frozenset[str]:
    """Return the list of strings *name* as a set."""
    value = claims.get(name)
    if type(value) is not list or len(value) > MAX_ROLES:
        raise Rejected(Rejection.BAD_SHAPE)
    return frozenset(text({"item": item}, "item") for item in value)


def _is_plain(value: str) -> bool:
    return not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in value)  # noqa: PLR2004
