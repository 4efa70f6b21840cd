"""How far a hostile app is held apart, as the configuration has it: pure, and in plain words.

What the levels of the machine give is written here once: ``portal check`` prints it, the table in
``docs/security-model.md`` is held against it, and hostile apps are held to it by the tests.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portal.configuration.addresses import host_of, is_site, is_within, looks_like_public_suffix
from portal.contract.loopback import is_loopback_host
from portal.rules.catalogue import AppSpec
from portal.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How one app runs on the portal's machine, or not on it."""

    word: str
    """A stable word."""
    runs: str
    """How it runs; begins where "The app …" ends."""
    reaches: str
    """What it reaches if it is hostile."""

    def markdown(self) -> str:
        """Return the row of ``docs/security-model.md`` about this."""
        return f"| `{self.word}` | {self.runs} | {self.reaches} |"


PORTAL_USER: Final = Level(
    word="portal-user",
    runs="as the portal's own user",
    reaches="the portal's database, key and environment, and everything of the other apps that run so",
)
SHARED_USER: Final = Level(
    word="shared-user",
    runs="as a user that another app runs as, too",
    reaches="everything of that other app; of the portal nothing",
)
OWN_USER: Final = Level(
    word="own-user",
    runs="as a user of its own",
    reaches="of portal and other apps nothing but what everybody on the machine sees",
)
UNIT: Final = Level(
    word="unit",
    runs="as a unit of systemd, as a user of its own",
    reaches="of portal and other apps nothing but their ports; it does not see their processes and files",
)
ELSEWHERE: Final = Level(
    word="elsewhere",
    runs="elsewhere",
    reaches="of the portal's machine nothing but what the portal answers to everybody",
)
LEVELS: Final = (PORTAL_USER, SHARED_USER, OWN_USER, UNIT, ELSEWHERE)
"""The weakest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What a hostile app could reach."""

    level: str
    """``own-origin``, ``shared-host`` or ``portal-host``: stable words."""
    in_the_browser: str
    machine: Level
    """On the machine."""
    shared: str | None = None
    """The domain that apps share with the portal, whose cookies they can set, where they are not trusted."""


def isolation_of(settings: Settings) -> Isolation:
    """Return what holds the apps of *settings* apart, by the weakest of them."""
    level, in_the_browser = _in_the_browser(settings)
    machine = min((level_of(app, settings) for app in settings.catalogue), key=LEVELS.index, default=ELSEWHERE)
    shared = None if settings.trust_apps else _shared_domain(settings)
    return Isolation(level=level, in_the_browser=in_the_browser, machine=machine, shared=shared)


def level_of(app: AppSpec, settings: Settings) -> Level:
    """Return how *app* of *settings* runs."""
    if app.source is None:
        return ELSEWHERE
    if app.user is not None and any(other.user == app.user for other in settings.catalogue if other is not app):
        return SHARED_USER
    if settings.apps_run_by == "systemd":
        return UNIT
    return PORTAL_USER if app.user is None else OWN_USER


def _in_the_browser(settings: Settings) -> tuple[str, str]:
    # Hosts, not origins: browsers keep one cookie jar per host, whatever the port.
    portal = urlsplit(settings.url).hostname
    hosts = Counter(urlsplit(app.url).hostname for app in settings.catalogue)
    if portal in hosts:
        return "portal-host", "apps share the portal's host: a hostile app reaches the portal; run only apps you trust"
    if any(count > 1 for count in hosts.values()):
        return "shared-host", "some apps share a host: a hostile app reaches the other apps of that host"
    return "own-origin", "each app has a host of its own: a hostile app reaches no page but its own"


def _shared_domain(settings: Settings) -> str | None:
    """Return the domain of the portal's host that an app's host is under, too; ``None`` where none is.

    The list of public suffixes is not consulted: it is the last two labels, or three where two look like a suffix.
    """
    portal = host_of(settings.url)
    if is_loopback_host(portal) or not is_site(domain := _domain_of(portal)):
        return None
    hosts = (host_of(app.url) for app in settings.catalogue)
    return domain if any(host != portal and is_within(host, domain) for host in hosts) else None


def _domain_of(host: str) -> str:
    labels = host.split(".")
    two = ".".join(labels[-2:])
    return ".".join(labels[-3:]) if looks_like_public_suffix(two) else two
