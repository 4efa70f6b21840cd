"""Where a request comes from: pure answers over its headers.

Cookies are sent with requests that other sites cause, and sibling apps are even the same
site as the portal, so ``SameSite`` alone stops nothing between them.
"""

from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110, section 9.2.1."""
_OWN_SITES: Final = frozenset({"same-origin", "none"})
"""``none``: the person's own doing, such as a typed address or a bookmark."""
PURPOSES: Final = ("Sec-Purpose", "Purpose", "X-Moz")
"""Headers in which browsers say why they ask."""
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class LaunchRefusal(StrEnum):
    """Why a launch is refused.  Values are logged; keep alphabetized."""

    FOREIGN = "foreign"
    """Another origin caused it."""
    NO_NAVIGATION = "no-navigation"
    """A script, an image or the like asked for it."""
    PREFETCH = "prefetch"
    """Nobody is looking at it yet."""
    UNPROVEN = "unproven"
    """The browser does not say who caused it."""


def unsafe_request_allowed(method: str, sec_fetch_site: str | None, origin: str | None, own_origin: str) -> bool:
    """Say whether a request may change something, as far as its origin goes.

    Every header that is there must speak for it, and one must be there.  ``Origin: null``
    is what sandboxed frames and ``data:`` pages say: never ours.
    """
    if method in SAFE_METHODS:
        return True
    if origin is None and sec_fetch_site is None:
        return False
    if origin is not None and origin != own_origin:
        return False
    return sec_fetch_site is None or sec_fetch_site in _OWN_SITES


def sign_in_may_begin(sec_fetch_site: str | None) -> bool:
    """Say whether a request may begin a sign-in at once, rather than show the page that asks.

    The provider may know the browser and send it back without a word; who is signed in here would then be
    replaced, and their apps closed, by a page of somebody else's.
    """
    return sec_fetch_site is None or sec_fetch_site in _OWN_SITES


def is_prefetch(purpose: str | None) -> bool:
    """Say whether a browser only fetches ahead, by one of the headers :data:`PURPOSES`: nobody is looking yet."""
    return purpose is not None and "prefetch" in purpose.lower()  # also "prefetch;prerender"


def host_allowed(host: str | None, *, own_url: str) -> bool:
    """Say whether the ``Host`` header names the portal at *own_url*; a default port may be left out or written."""
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
    purpose: str | None,
    origin: str | None,
    referer: str | None,
    own_origin: str,
) -> LaunchRefusal | None:
    """Return why a launch must not happen, or ``None`` if the portal's own page or the person asked for it.

    *site*, *mode* and *dest* are the ``Sec-Fetch`` headers, *purpose* whichever of ``Sec-Purpose``,
    ``Purpose`` and ``X-Moz`` is there.  A framed app can navigate its own frame, or a window it
    opens, to another app's launch: that arrives as ``same-site`` or ``cross-site``.
    Browsers without ``Sec-Fetch`` headers must show one of our pages in ``Origin`` or ``Referer``.
    """
    if is_prefetch(purpose):
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
    """Return scheme, host and port of *url*, or an empty string where it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""
