"""The port that the portal listens on, for commands that run it and those that write what stands before it."""

from urllib.parse import urlsplit

from portal.contract import is_loopback_url
from portal.machine.ports import DEFAULT
from portal.settings import Settings


def port_of(settings: Settings) -> int:
    """Return the port to listen on: that of the portal's loopback address, else the default."""
    for url in (settings.internal_url, settings.url):
        if url is not None and is_loopback_url(url) and (port := urlsplit(url).port):
            return port
    return DEFAULT
