"""Which addresses the portal can use, and which of them browsers treat as one site.

Pure: nothing here resolves a name or opens a connection.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import SplitResult, urlsplit

from portal.contract import is_loopback_url
from portal.rules.catalogue import AppSpec
from portal.settings import Settings

CookieMode: TypeAlias = Literal["lax", "partitioned"]

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_HOST: Final = 253
_SECOND_LEVEL: Final = frozenset({"ac", "co", "com", "edu", "gob", "gov", "gouv", "mil", "ne", "net", "or", "org"})


class AddressProblem(NamedTuple):
    """Why an address cannot be used, and what to write instead."""

    what: str
    fix: str


def problem_of(url: str, *, path: Literal["none", "plain", "any"], query: bool = False) -> AddressProblem | None:
    """Return what is wrong with *url*, or ``None``.

    *path* is what may follow the host: nothing, plain segments, or anything.
    Plain ``http`` is accepted for loopback addresses and names under ``.localhost`` only.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or not _is_host(parts.hostname or ""):
        return AddressProblem(
            "is not an http(s) address with a plain host name.", "Write it like https://portal.example.com."
        )
    if parts.username is not None or parts.password is not None:
        return AddressProblem("has a name or password in it.", "Leave out everything before the @.")
    if parts.fragment or "#" in url or (not query and "?" in url):
        return AddressProblem("has a query or fragment.", "End it before the ? or #.")
    if path == "none" and parts.path not in {"", "/"}:
        return AddressProblem(
            "has a path.", "Write scheme, host and port only; the portal lives at the root of its host."
        )
    if path == "plain" and (not _PLAIN_PATH.fullmatch(parts.path) or {".", ".."} & set(parts.path.split("/"))):
        return AddressProblem(
            "has a path that is not plain.", "Use letters, digits and . _ ~ - between single slashes."
        )
    if parts.scheme == "http" and not is_loopback_url(url):
        return AddressProblem("is plain http outside loopback.", "Use https.")
    return None


def _split(url: str) -> SplitResult | None:
    if not url.isascii() or not url.isprintable() or not set("\\ \"'<>`{}|^").isdisjoint(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    # "https://host:" and port 0 are read differently by different readers.
    return None if port == 0 or parts.netloc.endswith(":") else parts


def _is_host(host: str) -> bool:
    if _ip(host) is not None:
        return True
    labels = host.split(".")
    # Browsers read a host whose last label is a number as an IPv4 address (WHATWG URL, 3.5): 127.1, 2130706433, 0x7f.1.
    return len(host) <= _MAX_HOST and all(map(_LABEL.fullmatch, labels)) and not re.match(r"\d+$|0x", labels[-1])


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def host_of(url: str) -> str:
    """Return the lower-case host of *url*, without port or brackets."""
    return (urlsplit(url).hostname or "").lower()


def normalised(url: str) -> str:
    """Return *url*, in which :func:`problem_of` found nothing, in its one normal form.

    Scheme and host in lower case, no default port, no trailing slash.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url*, normalised."""
    parts = urlsplit(url)
    return normalised(f"{parts.scheme}://{parts.netloc}")


def same_site(portal_url: str, app_url: str, *, site: str | None = None) -> bool:
    """Return whether browsers surely treat both as one site (HTML, "schemelessly same site", plus the scheme).

    Sites are defined by the public suffix list, which the portal does not have.  So this is true only for equal
    hosts, for a host under the other, for names under the same second-level ``.localhost`` name, and for hosts
    under *site*, the registrable domain that the operator configured.  A wrong "no" costs little (partitioned
    cookies work within a site too); with a wrong "yes" a frame never gets its cookie.
    """
    if urlsplit(portal_url).scheme != urlsplit(app_url).scheme:
        return False
    portal, app = host_of(portal_url), host_of(app_url)
    if portal == app:
        return True
    if _ip(portal) is not None or _ip(app) is not None:
        return False
    if portal.endswith(".localhost") and app.endswith(".localhost"):
        return portal.split(".")[-2:] == app.split(".")[-2:]
    if site is not None and is_within(portal, site) and is_within(app, site):
        return True
    longer, shorter = (app, portal) if len(app) > len(portal) else (portal, app)
    return "." in shorter and is_within(longer, shorter)


def is_within(host: str, domain: str) -> bool:
    """Return whether *host* is *domain* or a name under it."""
    return host == domain or host.endswith(f".{domain}")


def looks_like_public_suffix(domain: str) -> bool:
    """Return whether *domain* is not registrable: one label, or one like ``co.uk``."""
    labels = domain.split(".")
    return len(labels) < 2 or (len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL)  # noqa: PLR2004 - two labels; a country's two letters


def is_site(domain: str) -> bool:
    """Return whether *domain* looks like a registrable domain in lower case."""
    return (
        _is_host(domain) and domain == domain.lower() and _ip(domain) is None and not looks_like_public_suffix(domain)
    )


def cookie_mode(settings: Settings, app: AppSpec) -> CookieMode:
    """Return the mode of *app*'s session cookie with which its frame gets it: partitioned, unless surely same-site."""
    return "lax" if same_site(settings.url, app.url, site=settings.site) else "partitioned"
