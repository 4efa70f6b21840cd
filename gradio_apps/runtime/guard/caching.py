"""Caching of an app's answers: only in the person's browser, and revalidated before each use.

A cached answer that is not revalidated is still shown after the person has signed out, and one in a shared cache is
shown to anyone.  An app's own headers were written without the portal in mind, so they can only make this stricter.
Pure: header values in, header values out.
"""

import re
from collections.abc import Iterable
from typing import Final

from gradio_apps.runtime.guard.gradio_routes import PREFIX
from gradio_apps.runtime.guard.headers import RawHeaders

REVALIDATE: Final = b"private, no-cache"
KEEP_A_DAY: Final = b"private, max-age=86400"
_FOR_OTHERS: Final = frozenset({"public", "s-maxage", "proxy-revalidate", "private", "no-cache"})
"""Directives for shared caches, and those that the guard sets itself."""
_HASHED: Final = re.compile(r"[-.]([A-Za-z0-9_-]{8,64})\.(?:css|js|map|mjs|wasm|woff|woff2)")
_DIRECTIVE: Final = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,;"]*))?')
_TAG: Final = re.compile(rb'(?:W/)?("[^"]*")')
_OF_THE_BODY: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"content-range", b"content-disposition"}
)


def cache_control(own: Iterable[bytes], *, path: str) -> bytes:
    """Return the ``Cache-Control`` of an app's answer for *path*; *own* are the app's values.

    Program files whose name changes with their content hold nothing personal.  Browsers keep those as the app allows,
    and those in Gradio's ``/assets/``, which has no such header, for a day.  Everything else is revalidated each time
    (RFC 9111, section 5.2.2.4); an ``ETag`` makes that quick.
    """
    directives = _read(own)
    if "no-store" in directives:
        return b"no-store"
    if PREFIX in path or not is_hashed(path):
        return REVALIDATE + (b", no-transform" if "no-transform" in directives else b"")
    if not directives:
        return KEEP_A_DAY if "/assets/" in path else REVALIDATE
    if "no-cache" in directives:
        return REVALIDATE
    parts = (name if value is None else f"{name}={value}" for name, value in directives.items())
    allowed = [one for one in parts if one.partition("=")[0] not in _FOR_OTHERS]
    return ", ".join(["private", *allowed]).encode("latin-1")


def is_hashed(path: str) -> bool:
    """Say whether the name of the program file at *path* has a hash: letters and digits, or capitals within a word."""
    match = _HASHED.search(path.rpartition("/")[2])
    if match is None or not path.endswith(match[0]):
        return False
    word = match[1]
    letters = any(one.isalpha() for one in word)
    inner = any(one.isupper() for one in word[1:]) and any(one.islower() for one in word)
    return letters and (inner or any(one.isdigit() for one in word))


def same(headers: RawHeaders, if_none_match: bytes | None) -> bool:
    """Say whether the browser has this answer already (RFC 9110, section 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    tags = [match[1] for name, value in headers if name == b"etag" and (match := _TAG.fullmatch(value.strip()))]
    return len(tags) == 1 and (if_none_match.strip() == b"*" or tags[0] in _TAG.findall(if_none_match))


def not_modified(headers: RawHeaders) -> RawHeaders:
    """Return *headers* without those of a body (RFC 9110, section 15.4.5)."""
    return [(name, value) for name, value in headers if name not in _OF_THE_BODY]


def _read(values: Iterable[bytes]) -> dict[str, str | None]:
    text = ",".join(value.decode("latin-1") for value in values)
    return {match[1].lower(): match[2] for match in _DIRECTIVE.finditer(text)}
