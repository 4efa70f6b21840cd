"""Who caused a request: pure functions of its headers.

The apps are the same site as the portal, so ``SameSite`` cookies do not protect it from them.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110, section 9.2.1."""
_OWN_SITES: Final = frozenset({"same-origin", "none"})
"""``none``: the person typed the address or used a bookmark."""
PURPOSES: Final = ("Sec-Purpose", "Purpose", "X-Moz")
"""Headers that mark prefetch requests."""
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class LaunchRefusal(StrEnum):
    """Why a launch is refused.  Values are logged; keep alphabetized."""

    FOREIGN = "foreign"
    """Another origin caused it."""
    NO_NAVIGATION = "no-navigation"
    """A script, an image or similar caused it."""
    PREFETCH = "prefetch"
    """A browser prefetched it; no one asked for it yet."""
    UNPROVEN = "unproven"
    """The browser does not report who caused it."""


def unsafe_request_allowed(method: str, sec_fetch_site: str | None, origin: str | None, own_origin: str) -> bool:
    """Return whether a request may change something, judging by its origin.

    At least one of the headers must be there, and each must allow it.  ``Origin: null`` comes from sandboxed frames
    and ``data:`` pages, never from the portal.
    """
    if method in SAFE_METHODS:
        return True
    if origin is None and sec_fetch_site is None:
        return False
    if origin is not None and origin != own_origin:
        return False
    return sec_fetch_site is None or sec_fetch_site in _OWN_SITES


def sign_in_may_begin(sec_fetch_site: str | None) -> bool:
    """Return whether a request may begin a sign-in at once, without showing the sign-in page.

    The provider may sign the person in without asking.  Another site's page could then replace the current sign-in and
    close its apps.
    """
    return sec_fetch_site is None or sec_fetch_site in _OWN_SITES


def is_prefetch(purposes: Iterable[str | None]) -> bool:
    """Return whether one of *purposes*, the values of the headers :data:`PURPOSES`, marks a prefetch."""
    return any("prefetch" in (purpose or "").lower() for purpose in purposes)  # also "prefetch;prerender"


def host_allowed(host: str | None, *, own_url: str) -> bool:
    """Return whether the ``Host`` header names the portal at *own_url*, with or without a default port."""
    if host is None:
        return False
    parts = urlsplit(own_url)
    default = _DEFAULT_PORTS.get(parts.scheme, "")
    return host.lower().removesuffix(default) == parts.netloc.lower().removesuffix(default)


def launch_refusal(
    *,
    site: str | None,
    mode: str | None,
    dest: str | None,
    purposes: Iterable[str | None],
    origin: str | None,
    referer: str | None,
    own_origin: str,
) -> LaunchRefusal | None:
    """Return why a launch is refused, or ``None`` if the portal's own page or the person caused it.

    *site*, *mode* and *dest* are the ``Sec-Fetch`` headers, *purposes* the values of :data:`PURPOSES`.  A framed app
    can navigate its own frame, or a window it opens, to another app's launch: that arrives as ``same-site`` or
    ``cross-site``.  Without ``Sec-Fetch`` headers, ``Origin`` or ``Referer`` must name the portal.
    """
    if is_prefetch(purposes):
        return LaunchRefusal.PREFETCH
    if site is None and mode is None and dest is None:
        if origin is None and referer is None:
            return LaunchRefusal.UNPROVEN
        named = [one for one in (origin, None if referer is None else origin_of(referer)) if one is not None]
        return None if named and all(one == own_origin for one in named) else LaunchRefusal.FOREIGN
    if site not in _OWN_SITES:
        return LaunchRefusal.FOREIGN
    if mode != "navigate" or dest not in {"iframe", "document"}:
        return LaunchRefusal.NO_NAVIGATION
    return None


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url*, or an empty string."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""
