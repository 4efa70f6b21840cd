"""What may keep an app's answers: the person's own browser, and only if it asks again before it shows them.

An answer that is shown without asking is still there after the person has signed out, and one in a shared cache is
there for anybody.  What an app says itself was written without the portal in mind, so it may only make this stricter.
Pure: header values in, header values out.
"""

import re
from collections.abc import Iterable
from typing import Final

from gradio_apps.runtime.guard.gradio_routes import PREFIX
from gradio_apps.runtime.guard.headers import RawHeaders

ASK_AGAIN: Final = b"private, no-cache"
KEEP_A_DAY: Final = b"private, max-age=86400"
_FOR_OTHERS: Final = frozenset({"public", "s-maxage", "proxy-revalidate", "private", "no-cache"})
"""Directives that are for shared caches, and those that are said anew."""
_HASHED: Final = re.compile(r"[-.]([A-Za-z0-9_-]{8,64})\.(?:css|js|map|mjs|wasm|woff|woff2)")
_DIRECTIVE: Final = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,;"]*))?')
_TAG: Final = re.compile(rb'(?:W/)?("[^"]*")')
_OF_THE_BODY: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"content-range", b"content-disposition"}
)


def cache_control(said: Iterable[bytes], *, path: str) -> bytes:
    """Return the ``Cache-Control`` of an app's answer to a request for *path* that *said* its own, if any.

    Program files whose name changes with their content hold nothing of one person.  Of those a browser keeps what
    the app allows, and what lies in Gradio's ``/assets/``, which says nothing of it, for a day.  All else is asked for
    again each time (RFC 9111, section 5.2.2.4); an ``ETag`` makes that quick.
    """
    directives = _read(said)
    if "no-store" in directives:
        return b"no-store"
    if PREFIX in path or not is_hashed(path):
        return ASK_AGAIN + (b", no-transform" if "no-transform" in directives else b"")
    if not directives:
        return KEEP_A_DAY if "/assets/" in path else ASK_AGAIN
    if "no-cache" in directives:
        return ASK_AGAIN
    kept = (name if value is None else f"{name}={value}" for name, value in directives.items())
    own = [one for one in kept if one.partition("=")[0] not in _FOR_OTHERS]
    return ", ".join(["private", *own]).encode("latin-1")


def is_hashed(path: str) -> bool:
    """Say whether *path* names a program file by its content: with letters and digits, or capitals within a word."""
    found = _HASHED.search(path.rpartition("/")[2])
    if found is None or not path.endswith(found[0]):
        return False
    word = found[1]
    letters = any(one.isalpha() for one in word)
    inner = any(one.isupper() for one in word[1:]) and any(one.islower() for one in word)
    return letters and (inner or any(one.isdigit() for one in word))


def same(headers: RawHeaders, if_none_match: bytes | None) -> bool:
    """Say whether the browser has this very answer already (RFC 9110, section 13.1.2: compared weakly)."""
    if if_none_match is None:
        return False
    tags = [found[1] for name, value in headers if name == b"etag" and (found := _TAG.fullmatch(value.strip()))]
    return len(tags) == 1 and (if_none_match.strip() == b"*" or tags[0] in _TAG.findall(if_none_match))


def not_modified(headers: RawHeaders) -> RawHeaders:
    """Return *headers* without those of a body (RFC 9110, section 15.4.5)."""
    return [(name, value) for name, value in headers if name not in _OF_THE_BODY]


def _read(said: Iterable[bytes]) -> dict[str, str | None]:
    text = ",".join(value.decode("latin-1") for value in said)
    return {found[1].lower(): found[2] for found in _DIRECTIVE.finditer(text)}
