"""Paths that a browser may be redirected to inside one origin.

The portal's ``next``, the ticket's ``next`` and the guard's redirects share this rule.
"""

from typing import Final
from urllib.parse import quote, unquote

MAX_PATH: Final = 4096
"""Longest path accepted, with its query, in characters once encoded."""
MAX_CARRIED: Final = 7680
"""Longest path as a parameter of another address: web servers take a request line of about 8 KB."""
PLACE_LOST: Final = "portal-place=lost"
"""Query field of an app page: the path inside the app was too long to carry over, so it is lost."""

_UNSAFE: Final = frozenset("\\<>\"'`{}|^ ")
_CONTROLS: Final = frozenset(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
_BARE: Final = "".join(character for character in map(chr, range(0x21, 0x7F)) if character not in _UNSAFE)
"""Characters that stay unchanged in a path or a query; ``%`` too, so that encoded ones stay as they are."""


def is_local_path(target: object) -> bool:
    r"""Return whether *target* is an absolute path (with query and fragment) that cannot leave its origin.

    Browsers drop tabs and newlines inside a URL, read ``\\`` as ``/``, and take ``//host``
    for another site (WHATWG URL, 4.4); servers may decode ``%2F`` and ``%5C`` first.
    So a path must start with exactly one slash, in its decoded forms too, and have only printable
    ASCII.  A later ``//`` is harmless: an authority can only be at the beginning (RFC 3986, 3.3 and 4.2).
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
        if "\\" in path or not path.isprintable():
            return False
        if any(segment in {".", ".."} for segment in path.split("/")):
            return False
        decoded = unquote(decoded)
    return True  # one leading slash: neither scheme nor authority can follow (RFC 3986, 3.3)


def local_path(target: object, *, default: str = "/") -> str:
    r"""Return *target* as a local path, percent-encoded where necessary, or *default* if it is not one.

    Browsers send ``|``, ``^``, a backquote, braces and, in a query, ``\\`` as they are (WHATWG URL, 1.3); parameters
    may have any character.  Encoded they mean the same and fit into any address.  Control characters, and a ``\\``
    in the path, which browsers read as ``/``, stay refused.
    """
    if type(target) is not str or not 0 < len(target) <= MAX_PATH or not _CONTROLS.isdisjoint(target):
        return default
    end = min((at for at in map(target.find, "?#") if at >= 0), default=len(target))
    try:
        encoded = quote(target[:end], safe=_BARE + "\\") + quote(target[end:], safe=_BARE)
    except UnicodeEncodeError:  # half a surrogate pair
        return default
    return encoded if is_local_path(encoded) and len(in_query(encoded)) <= MAX_CARRIED else default


def in_query(path: str) -> str:
    """Return the local *path* as the value of a parameter of another address."""
    return quote(path, safe="")
