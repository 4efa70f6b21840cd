"""What counts as this computer, and nothing but it.

The demo provider lets anybody in as anybody, so whatever it listens on, answers to and
redirects to must be loopback.
"""

import ipaddress
from urllib.parse import urlsplit


def is_loopback_host(host: str | None) -> bool:
    """Say whether *host*, without a port, is a loopback address, ``localhost`` or a name under it (RFC 6761, 6.3)."""
    if not host:
        return False
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: object) -> bool:
    """Say whether *url* is an http(s) URL of this computer, free of credentials, fragments and odd characters."""
    if type(url) is not str or not url.isascii() or not url.isprintable() or not set(url).isdisjoint(" \\<>\"'`{}|^"):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or "#" in url or port == 0:
        return False
    return is_loopback_host(parts.hostname)


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
