"""How well a hostile app is isolated, by the configuration.  Pure.

``portal check`` prints these texts, a test compares them with the table in ``docs/security-model.md``, and other tests
run hostile apps at each level.
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
    """How an app runs, and what a hostile one can reach."""

    word: str
    """A stable word."""
    runs: str
    """How it runs; continues "The app runs …"."""
    reaches: str
    """What it can reach if it is hostile."""

    def markdown(self) -> str:
        """Return its row in ``docs/security-model.md``."""
        return f"| `{self.word}` | {self.runs} | {self.reaches} |"


PORTAL_USER: Final = Level(
    word="portal-user",
    runs="as the portal's own user",
    reaches="the portal's database, key and environment, and everything of other apps at this level",
)
SHARED_USER: Final = Level(
    word="shared-user",
    runs="as the same user as another app",
    reaches="everything of that other app; nothing of the portal",
)
OWN_USER: Final = Level(
    word="own-user",
    runs="as a user of its own",
    reaches="of portal and other apps only what every user of the machine sees",
)
UNIT: Final = Level(
    word="unit",
    runs="as a systemd unit, as a user of its own",
    reaches="of portal and other apps only their ports; it does not see their processes and files",
)
ELSEWHERE: Final = Level(
    word="elsewhere",
    runs="on another machine",
    reaches="of the portal's machine only what the portal answers to everyone",
)
LEVELS: Final = (PORTAL_USER, SHARED_USER, OWN_USER, UNIT, ELSEWHERE)
"""Weakest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What a hostile app can reach."""

    level: str
    """``own-origin``, ``shared-host`` or ``portal-host``: stable words."""
    in_the_browser: str
    machine: Level
    """On the machine."""
    shared: str | None = None
    """The domain that untrusted apps share with the portal, and so can set cookies for."""


def isolation_of(settings: Settings) -> Isolation:
    """Return the isolation of the apps of *settings*, by the weakest of them."""
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
        return (
            "portal-host",
            "apps share the portal's host: a hostile app can act in the portal. Run only trusted apps",
        )
    if any(count > 1 for count in hosts.values()):
        return "shared-host", "some apps share a host: a hostile app can act in the other apps of that host"
    return "own-origin", "each app has its own host: a hostile app can act only in its own pages"


def _shared_domain(settings: Settings) -> str | None:
    """Return the domain that the portal's host shares with an app's host; ``None`` if there is none.

    It is the last two labels, or three if two look like a public suffix; the list of public suffixes is not used.
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
