"""Which host names there are, and where on each of them portal and apps are: what a web server must know.

Paths are handed on as they are: each guard answers under its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portal.rules.catalogue import AppSpec
from portal.settings import Settings

_HTTP: Final = 80
_HTTPS: Final = 443
PORTAL: Final = "the portal"
LARGEST_BODY: Final = "128k"
"""Most that a reverse proxy takes and buffers of a request to the portal, which itself takes less."""


class CannotConfigure(Exception):
    """No web server can be configured for these settings; the text says why, and what to do."""


class PortTaken(CannotConfigure):
    """The web server would have to listen where the portal or an app listens already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Somewhere on a host name."""

    what: str
    """For a comment: :data:`PORTAL`, or the app's slug."""
    path: str
    """Empty for the whole name; else with a leading and no trailing slash."""
    port: int
    """Where it listens on this machine's loopback."""

    @property
    def is_app(self) -> bool:
        """Whether streams, uploads and downloads of any size are to be expected."""
        return self.what != PORTAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One name that browsers know, on one port."""

    host: str
    """Without port; an IPv6 address in brackets."""
    port: int
    places: tuple[Location, ...]
    """The longest paths first."""

    @property
    def has_root(self) -> bool:
        """Whether somebody answers for whatever no path names."""
        return any(not place.path for place in self.places)

    @property
    def authority(self) -> str:
        """Host and port, as addresses write them."""
        return self.host if self.port == _HTTPS else f"{self.host}:{self.port}"


def sites_of(settings: Settings, *, port: int) -> tuple[Site, ...]:
    """Return the names under which the portal, on *port* of this machine, and the apps it starts are reached.

    Apps that run elsewhere have a web server of their own there, and are left out; but not those whose
    ``internal_url`` is a port of this machine, like apps in containers that share its loopback.

    Raises:
        CannotConfigure: an address is plain http, so that there is no TLS to end.
        PortTaken: an address has the port of one who listens on this machine.
    """
    places: dict[tuple[str, int], list[Location]] = {}
    _add(places, settings.url, Location(what=PORTAL, path="", port=port))
    for app in settings.catalogue:
        own = _port_here(app)
        if own is not None:
            _add(places, app.url, Location(what=app.slug, path=urlsplit(app.url).path.rstrip("/"), port=own))
    _require_free(places)
    return tuple(
        Site(host=host, port=number, places=tuple(sorted(found, key=lambda place: -len(place.path))))
        for (host, number), found in places.items()
    )


def apps_here(settings: Settings) -> Iterable[AppSpec]:
    """Yield the apps that the portal, or systemd, starts on this machine."""
    return (app for app in settings.catalogue if app.source is not None and app.port is not None)


def apps_elsewhere(settings: Settings) -> Iterable[AppSpec]:
    """Yield the apps that do not listen on this machine, as far as the configuration tells."""
    return (app for app in settings.catalogue if _port_here(app) is None)


def _port_here(app: AppSpec) -> int | None:
    """Return the port of this machine's loopback that *app* listens on, or ``None``."""
    if app.source is not None:
        return app.port
    parts = urlsplit(app.internal_url or "")
    # The web servers are told 127.0.0.1 and plain http; what is anything else needs a server of its own.
    return parts.port if parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"} else None


def _require_free(places: Mapping[tuple[str, int], Iterable[Location]]) -> None:
    taken = {place.port: place.what for found in places.values() for place in found}
    for host, number in places:
        # On 80 a name without a port is led to https.
        both = (_HTTPS, _HTTP) if number == _HTTPS else (number,)
        clash = next((one for one in both if one in taken), None)
        if clash is not None:
            raise PortTaken(
                f"For {host} a web server must listen on port {clash}, where {taken[clash]} listens on this machine: "
                "it could not start. Give one of the two another port; for apps, {app} in the place of {port} in "
                "portal.apps_url does."
            )


def _add(places: dict[tuple[str, int], list[Location]], url: str, place: Location) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise CannotConfigure(
            f"{url} ({place.what}) is plain http, so there is no TLS to end. "
            "Write https addresses into portal.url and portal.apps_url."
        )
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    places.setdefault((host, parts.port or _HTTPS), []).append(place)
