"""Whether a host is this machine: one rule for portal and apps.  Pure.

Three things depend on it: where plain http is allowed, where browsers keep ``Secure`` cookies all the same,
and whether a call may go through a proxy.  So only the spelling of a host counts and nothing is resolved.
A spelling that two programs could read as two hosts is not this machine.
"""

import re
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)
_MAX_HOST: Final = 253
_ODD: Final = frozenset(" \\<>\"'`{}|^#")
"""Characters that no address needs, and that browsers and libraries read differently."""


def is_localhost_name(host: object) -> bool:
    """Return whether *host*, without a port, is ``localhost`` or a name under it (RFC 6761, section 6.3).

    In any case, and with or without the last dot of a full name.
    """
    if type(host) is not str or len(host) > _MAX_HOST:
        return False
    labels = host.removesuffix(".").split(".")
    return labels[-1].lower() == "localhost" and all(map(_LABEL.fullmatch, labels))


def is_loopback_host(host: object) -> bool:
    """Return whether *host*, without a port, can only mean this machine.

    That is ``localhost`` and names under it, ``127.0.0.0/8`` as four decimal numbers, ``::1`` with or without
    brackets, and 127.0.0.0/8 as IPv4-mapped IPv6.  ``0.0.0.0`` and ``::`` are not: to listen there is to listen
    everywhere.  Nor are ``127.1`` and ``0x7f.1``: addresses to browsers (WHATWG URL, 3.5), names to others.
    """
    if is_localhost_name(host):
        return True
    if type(host) is not str:
        return False
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return False
    if not isinstance(address, IPv6Address):
        return address.is_loopback and not bracketed
    if address.scope_id is not None:  # a zone is free text
        return False
    return (address.ipv4_mapped or address).is_loopback


def is_loopback_url(url: object) -> bool:
    """Return whether *url* is an http(s) URL of this machine, free of credentials, fragments and odd characters."""
    if type(url) is not str or not url.isascii() or not url.isprintable() or not _ODD.isdisjoint(url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is not a number, half an IPv6 address
        return False
    # "http://localhost:80@evil.example" names another host than it seems to; "http://localhost:" has two readings.
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.netloc.endswith(":") or port == 0:
        return False
    host = parts.hostname
    return is_loopback_host(f"[{host}]" if parts.netloc.startswith("[") else host)


def takes_secure_cookies(url: str) -> bool:
    """Return whether browsers keep ``Secure`` cookies for *url*: https, or a name under ``.localhost``.

    Chromium and Firefox take them over plain http for such names; for bare ``localhost`` and
    loopback addresses Safari does not, so those go without.
    """
    if url.lower().startswith("https://"):
        return True
    host = (urlsplit(url).hostname or "") if is_loopback_url(url) else ""
    return is_localhost_name(host) and "." in host.removesuffix(".")
