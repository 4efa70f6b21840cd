"""The configuration of Caddy 2: TLS, HTTP/2, no buffering for apps, and its own forwarded headers.

Caddy writes ``X-Forwarded-For`` itself and trusts an existing one only from its ``trusted_proxies``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from portal.contract.strict_transport import STRICT_TRANSPORT
from portal.deployment.sites import LARGEST_BODY, Location, Site, apps_elsewhere, sites_of
from portal.settings import Settings

CURRENT: Final = (2, 7)
"""First version with ``request_buffers``; Debian 12 has 2.6."""
_SIZE: Final = f"{LARGEST_BODY.upper()}iB"


def caddy_configuration(
    settings: Settings, *, port: int, certificate: Path | None, key: Path | None, version: tuple[int, int] = CURRENT
) -> str:
    """Return a Caddyfile for *version* of Caddy; without *certificate* and *key*, Caddy gets its own by ACME.

    Raises:
        CannotConfigure: an address is plain http.
        ValueError: a path cannot be written into a Caddyfile.
    """
    lines = ["# Written by `portal config caddy` from portal.toml. Write it again when portal.toml changes."]
    lines += [
        f"# The app {app.slug} runs on another machine, behind its own reverse proxy: {app.url}"
        for app in apps_elsewhere(settings)
    ]
    networks = settings.trusted_proxies.networks
    if networks:
        trusted = " ".join(map(str, networks))
        lines += ["{", "\tservers {", f"\t\ttrusted_proxies static {trusted}", "\t}", "}"]
    tls = f"\ttls {_quoted(certificate)} {_quoted(key)}" if certificate is not None and key is not None else None
    for site in sites_of(settings, port=port):
        lines += ["", *_site(site, tls, version)]
    return "\n".join(lines) + "\n"


def _site(site: Site, tls: str | None, version: tuple[int, int]) -> Iterator[str]:
    yield f"https://{site.authority} {{"
    if tls is not None:
        yield tls
    yield "\theader {"
    yield f'\t\tStrict-Transport-Security "{STRICT_TRANSPORT}"'
    yield "\t\tdefer"
    yield "\t}"
    for number, location in enumerate(site.locations):
        matcher = f"@app{number}"
        if location.path:
            yield f"\t{matcher} path {location.path} {location.path}/*"
        yield f"\thandle {matcher} {{" if location.path else "\thandle {"
        yield from _proxy(location, version)
        yield "\t}"
    if not site.has_root:
        yield "\thandle {"
        yield "\t\trespond 404"
        yield "\t}"
    yield "}"


def _proxy(location: Location, version: tuple[int, int]) -> Iterator[str]:
    yield f"\t\t# {location.what}"
    if not location.is_app:
        yield "\t\trespond /metrics 404"
        yield "\t\trequest_body {"
        yield f"\t\t\tmax_size {_SIZE}"
        yield "\t\t}"
    yield f"\t\treverse_proxy 127.0.0.1:{location.port} {{"
    yield "\t\t\theader_up -Forwarded"
    yield "\t\t\theader_up -X-Real-IP"
    if location.is_app:
        yield "\t\t\tflush_interval -1"
    elif version >= CURRENT:
        yield f"\t\t\trequest_buffers {_SIZE}  # a slow client must not occupy the portal"
    else:
        yield "\t\t\tbuffer_requests  # a slow client must not occupy the portal"
        yield f"\t\t\tmax_buffer_size {_SIZE}"
    yield "\t\t}"


def _quoted(path: Path) -> str:
    text = str(path)
    if not text.isprintable() or not set('"`\\{}').isdisjoint(text):
        raise ValueError(f"{text!r} cannot be written into a Caddyfile. Use a plainer name.")
    return f'"{text}"'
