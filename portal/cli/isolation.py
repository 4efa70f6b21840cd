"""How far a hostile app is held apart, as the configuration has it: pure, and in plain words."""

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from portal.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What a hostile app could reach."""

    level: str
    """``own-origin``, ``shared-host`` or ``portal-host``: stable words."""
    in_the_browser: str
    on_the_machine: str


def isolation_of(settings: Settings) -> Isolation:
    """Return what holds the apps of *settings* apart, by the weakest of them."""
    level, in_the_browser = _in_the_browser(settings)
    return Isolation(level=level, in_the_browser=in_the_browser, on_the_machine=_on_the_machine(settings))


def _in_the_browser(settings: Settings) -> tuple[str, str]:
    # Hosts, not origins: browsers keep one cookie jar per host, whatever the port.
    portal = urlsplit(settings.url).hostname
    hosts = Counter(urlsplit(app.url).hostname for app in settings.catalogue)
    if portal in hosts:
        return "portal-host", "apps share the portal's host: a hostile app reaches the portal; run only apps you trust"
    if any(count > 1 for count in hosts.values()):
        return "shared-host", "some apps share a host: a hostile app reaches the other apps of that host"
    return "own-origin", "each app has a host of its own: a hostile app reaches nothing but itself"


def _on_the_machine(settings: Settings) -> str:
    if any(app.source is not None for app in settings.catalogue):
        return "apps run as the portal's own user: a hostile app can read the portal's database, key and environment"
    return "apps run elsewhere: a hostile app reaches nothing of the portal's machine"
