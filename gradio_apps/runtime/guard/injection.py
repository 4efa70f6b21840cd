"""Puts the guard's script into an app's pages, without holding a stream back.

The tag goes after ``<head>``, so that it runs before the app's own scripts; without a head in the first
:data:`SEARCHED` bytes, at the end, which HTML parsers accept too.
"""

import re
from html import escape
from typing import Final

from gradio_apps.runtime.guard.framing import script_nonce
from gradio_apps.runtime.guard.headers import RawHeaders
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract.known_addresses import KNOWN_ADDRESSES

SEARCHED: Final = 64 * 1024
"""Bytes at the beginning of a page that are searched for its head."""
_HEAD: Final = re.compile(rb"<head(?:\s[^>]*)?>", re.IGNORECASE)
_PLAIN: Final = re.compile(rb"[A-Za-z0-9+/_-]{1,256}={0,2}")
"""The form of a nonce (CSP Level 3, section 2.3.1); nothing else is written into a page."""
_ASCII_BASED: Final = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252"})
_WITHOUT_BODY: Final = frozenset({204, 205, 206, 304})


def script_tag(settings: GuardSettings, *, event: str = "") -> bytes:
    """Return the tag that loads the guard's script; the script reports *event* to the portal's page at once."""
    attributes = {
        "src": f"{settings.path}/.portal/frame.js",
        "data-portal": settings.portal_origin,
        "data-app": settings.app,
        "data-base": settings.path,
        "data-cookies": settings.cookies,
        "data-event": event,
        # If the app has a path, links to the host's root would miss it.
        "data-known": " ".join(KNOWN_ADDRESSES) if settings.path else "",
    }
    text = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value)
    return f"<script{text}></script>".encode("ascii")


class Injector:
    """Adds the tag to one answer, if that is a page."""

    __slots__ = ("_held", "_looking", "_tag", "active")

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._held = b""
        self._looking = True
        self.active = False
        """Whether the tag still has to be added."""

    def start(self, status: int, headers: RawHeaders) -> RawHeaders:
        """Return the headers of the answer, with the length corrected for a page."""
        known = {name: value for name, value in headers if name != b"set-cookie"}
        self.active = (
            status not in _WITHOUT_BODY
            and not 300 <= status < 400  # noqa: PLR2004 - redirections
            and _is_page(known.get(b"content-type", b"").decode("latin-1"))
            and known.get(b"content-encoding", b"identity") == b"identity"
            and not known.get(b"content-disposition", b"").strip().lower().startswith(b"attachment")
        )
        if not self.active:
            return headers
        nonces = (script_nonce(value) for name, value in headers if name == b"content-security-policy")
        nonce = next((one for one in nonces if one is not None and _PLAIN.fullmatch(one)), None)
        if nonce is not None:
            self._tag = self._tag.replace(b"<script ", b'<script nonce="' + nonce + b'" ', 1)
        return [
            (name, str(int(value) + len(self._tag)).encode("ascii"))
            if name == b"content-length" and value.isdigit()
            else (name, value)
            for name, value in headers
        ]

    def feed(self, body: bytes, *, more: bool) -> bytes:
        """Return what to send for *body*: with the tag, nothing yet, or *body* itself."""
        held = self._held + body
        head = _HEAD.search(held) if self._looking else None
        if head is not None:
            self.active = False
            return held[: head.end()] + self._tag + held[head.end() :]
        if not more:
            self.active = False
            return held + self._tag
        if self._looking and len(held) < SEARCHED:
            self._held = held
            return b""
        self._looking = False
        self._held = b""  # no head found: send it, and add the tag to the last piece
        return held


def _is_page(content_type: str) -> bool:
    kind, _, parameters = content_type.lower().partition(";")
    if kind.strip() != "text/html":
        return False
    name, _, charset = parameters.strip().partition("=")
    return name.strip() != "charset" or charset.strip().strip('"') in _ASCII_BASED
