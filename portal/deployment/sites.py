"""The host names of portal and apps, and the locations on each: what a reverse proxy must know.

Paths are forwarded unchanged: each guard answers under its own path.
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
"""Largest request body that a reverse proxy buffers for the portal, which itself accepts less."""


class CannotConfigure(Exception):
    """No reverse proxy can be configured for these settings; the text says why, and the fix."""


class PortConflict(CannotConfigure):
    """The reverse proxy would have to listen on a port of the portal or an app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A path of a host name, and the port that serves it."""

    what: str
    """For comments: :data:`PORTAL` or the app's slug."""
    path: str
    """Empty for the whole host; else with a leading and without a trailing slash."""
    port: int
    """Its port on this machine's loopback."""

    @property
    def is_app(self) -> bool:
        """Whether it has streams, and uploads and downloads of any size."""
        return self.what != PORTAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One public host name and port."""

    host: str
    """Without port; an IPv6 address in brackets."""
    port: int
    locations: tuple[Location, ...]
    """Longest paths first."""

    @property
    def has_root(self) -> bool:
        """Whether a location covers all other paths."""
        return any(not location.path for location in self.locations)

    @property
    def authority(self) -> str:
        """Host and port as in URLs."""
        return self.host if self.port == _HTTPS else f"{self.host}:{self.port}"


def sites_of(settings: Settings, *, port: int) -> tuple[Site, ...]:
    """Return the sites of the portal, on *port* of this machine, and of the apps on this machine.

    Apps on other machines have a reverse proxy there and are left out.  Apps whose ``internal_url`` is a port of this
    machine are included, like those in containers that share its loopback.

    Raises:
        CannotConfigure: an address is plain http, so there is no TLS to terminate.
        PortConflict: an address has the port of the portal or an app.
    """
    locations: dict[tuple[str, int], list[Location]] = {}
    _add(locations, settings.url, Location(what=PORTAL, path="", port=port))
    for app in settings.catalogue:
        own = _port_here(app)
        if own is not None:
            _add(locations, app.url, Location(what=app.slug, path=urlsplit(app.url).path.rstrip("/"), port=own))
    _require_free(locations)
    return tuple(
        Site(host=host, port=number, locations=tuple(sorted(found, key=lambda location: -len(location.path))))
        for (host, number), found in locations.items()
    )


def apps_here(settings: Settings) -> Iterable[AppSpec]:
    """Return the apps that the portal or systemd starts on this machine."""
    return (app for app in settings.catalogue if app.source is not None and app.port is not None)


def apps_elsewhere(settings: Settings) -> Iterable[AppSpec]:
    """Return the apps that do not listen on this machine, by the configuration."""
    return (app for app in settings.catalogue if _port_here(app) is None)


def _port_here(app: AppSpec) -> int | None:
    """Return the port of this machine's loopback that *app* listens on, or ``None``."""
    if app.source is not None:
        return app.port
    parts = urlsplit(app.internal_url or "")
    # The reverse proxy forwards to 127.0.0.1 with plain http; anything else needs its own proxy.
    return parts.port if parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"} else None


def _require_free(locations: Mapping[tuple[str, int], Iterable[Location]]) -> None:
    taken = {location.port: location.what for found in locations.values() for location in found}
    for host, number in locations:
        # Port 80 of a name without a port redirects to https.
        both = (_HTTPS, _HTTP) if number == _HTTPS else (number,)
        clash = next((one for one in both if one in taken), None)
        if clash is not None:
            raise PortConflict(
                f"For {host}, a reverse proxy must listen on port {clash}, where {taken[clash]} listens on this "
                "machine. Give one of the two another port; for apps, write {app} instead of {port} "
                "in portal.apps_url."
            )


def _add(locations: dict[tuple[str, int], list[Location]], url: str, location: Location) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise CannotConfigure(
            f"{url} ({location.what}) is plain http, so there is no TLS to terminate. "
            "Use https addresses in portal.url and portal.apps_url."
        )
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    locations.setdefault((host, parts.port or _HTTPS), []).append(location)
