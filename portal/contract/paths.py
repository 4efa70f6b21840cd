"""Where a browser may be sent inside one origin: a path, never another place.

The same answer serves the portal's ``next``, the ticket's ``next`` and the guard's
redirect, so that no two parts can disagree on what is off-site.
"""

from typing import Final
from urllib.parse import unquote

MAX_PATH: Final = 2048
"""Longest path accepted, in characters."""

_UNSAFE: Final = frozenset("\\<>\"'`{}|^ ")


def is_local_path(target: object) -> bool:
    r"""Say whether *target* is an absolute path (with query and fragment) that cannot leave its origin.

    Browsers drop tabs and newlines inside a URL, read ``\\`` as ``/``, and take ``//host``
    for another site (WHATWG URL, 4.4); servers may decode ``%2F`` and ``%5C`` before they look.
    So a path must start with exactly one slash, in its decoded forms too, and hold printable
    ASCII only.
    """
    if type(target) is not str or not 0 < len(target) <= MAX_PATH:
        return False
    if not target.isascii() or not target.isprintable() or not _UNSAFE.isdisjoint(target):
        return False
    decoded = target
    for _ in range(3):  # a path decoded by a proxy and then again must not become "//host" either
        if not decoded.startswith("/") or decoded.startswith(("//", "/\\")):
            return False
        path = decoded.partition("?")[0].partition("#")[0]
        if "\\" in path or "//" in path or not path.isprintable():
            return False
        if any(segment in {".", ".."} for segment in path.split("/")):
            return False
        decoded = unquote(decoded)
    return True  # one leading slash: neither scheme nor authority can follow (RFC 3986, 3.3)


def local_path(target: object, *, default: str = "/") -> str:
    """Return *target* if it is a local path, else *default*."""
    return target if type(target) is str and is_local_path(target) else default
