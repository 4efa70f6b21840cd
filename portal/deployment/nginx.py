"""The configuration of nginx (1.19 or later): TLS, HTTP/2, no buffering for apps, and its own forwarded headers.

Portal and guards read one forwarded header, ``X-Forwarded-For``, which is overwritten here, never appended to.
``Host`` is forwarded unchanged; portal and guards check it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from portal.contract.strict_transport import STRICT_TRANSPORT
from portal.deployment.sites import LARGEST_BODY, Location, Site, apps_elsewhere, sites_of
from portal.settings import Settings

_HTTPS: Final = 443
_NOT_FORWARDED: Final = (
    "Forwarded",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Real-IP",
)
"""Headers of clients that are not forwarded."""
_POINTER: Final = 8
_USUAL_BUCKET: Final = 64
"""Bytes of a processor's cache line; rarely 32 or 128."""


def nginx_configuration(settings: Settings, *, port: int, certificate: Path, key: Path) -> str:
    """Return a file for ``/etc/nginx/conf.d``; the portal listens on *port* of this machine.

    Raises:
        CannotConfigure: an address is plain http.
        ValueError: a path cannot be written into a configuration of nginx.
    """
    sites = sites_of(settings, port=port)
    bucket = bucket_needed(sites)
    lines = [
        "# Written by `portal config nginx` from portal.toml. Write it again when portal.toml changes.",
        "# It belongs in the http context of nginx, like /etc/nginx/conf.d/gradio-portal.conf.",
        "# By default nginx accepts 512 connections, slow ones included. Set in /etc/nginx/nginx.conf:",
        "# worker_rlimit_nofile 65536; and in its events section worker_connections 16384;",
        *([] if bucket is None else [f"# {line}" for line in long_names(bucket)]),
        *(
            f"# The app {app.slug} runs on another machine, behind its own reverse proxy: {app.url}"
            for app in apps_elsewhere(settings)
        ),
        "",
        "map $http_upgrade $gradio_portal_connection {",
        "    default upgrade;",
        "    ''      close;",
        "}",
    ]
    for site in sites:
        lines += ["", *_server(site, settings, certificate=_quoted(certificate), key=_quoted(key))]
    for site in sites:
        if site.port == _HTTPS:
            lines += ["", *_redirect(site)]
    return "\n".join(lines) + "\n"


def bucket_needed(sites: Iterable[Site]) -> int | None:
    """Return the ``server_names_hash_bucket_size`` that the names of *sites* need; ``None`` if the default is enough.

    A name takes its length, two bytes and two pointers, rounded up to whole pointers (``ngx_hash.c``).
    """
    longest = max((len(site.host) for site in sites), default=0)
    needed = 2 * _POINTER + -(-(longest + 2) // _POINTER) * _POINTER
    if needed <= _USUAL_BUCKET:
        return None
    return 1 << (needed - 1).bit_length()


def long_names(bucket: int) -> tuple[str, ...]:
    """Return instructions for names that need *bucket*, as lines of text."""
    return (
        "A host name is too long for nginx's default. Set once, in the http section of /etc/nginx/nginx.conf:",
        f"    server_names_hash_bucket_size {bucket};",
    )


def _server(site: Site, settings: Settings, *, certificate: str, key: str) -> Iterator[str]:
    yield "server {"
    yield f"    listen {site.port} ssl http2;"
    yield f"    listen [::]:{site.port} ssl http2;"
    yield f"    server_name {site.host};"
    yield ""
    yield f"    ssl_certificate {certificate};"
    yield f"    ssl_certificate_key {key};"
    yield "    ssl_protocols TLSv1.2 TLSv1.3;"
    yield "    ssl_session_cache shared:gradio_portal:10m;"
    yield "    ssl_session_timeout 1d;"
    yield "    ssl_session_tickets off;"
    yield ""
    yield "    access_log off;  # it would contain queries with codes; portal and guards write their own logs"
    yield "    server_tokens off;"
    if settings.trusted_proxies.networks:
        yield ""
        yield "    # portal.trusted_proxies: their X-Forwarded-For names the client."
        for network in settings.trusted_proxies.networks:
            yield f"    set_real_ip_from {network};"
        yield "    real_ip_header X-Forwarded-For;"
        yield "    real_ip_recursive on;"
    yield ""
    yield "    # Identity providers answer in the query, and a company's cookies come with every request."
    yield "    large_client_header_buffers 8 16k;"
    yield ""
    yield "    proxy_hide_header Strict-Transport-Security;"
    yield f'    add_header Strict-Transport-Security "{STRICT_TRANSPORT}" always;'
    yield ""
    yield "    proxy_http_version 1.1;"
    yield "    proxy_redirect off;"
    yield "    proxy_set_header Host $http_host;"
    yield "    proxy_set_header X-Forwarded-For $remote_addr;"
    yield "    proxy_set_header X-Forwarded-Proto https;"
    for name in _NOT_FORWARDED:
        yield f"    proxy_set_header {name} '';"
    yield "    proxy_set_header Upgrade $http_upgrade;"
    yield "    proxy_set_header Connection $gradio_portal_connection;"
    for location in site.locations:
        yield ""
        yield from _location(location)
    if not site.has_root:
        yield ""
        yield "    location / {"
        yield "        return 404;"
        yield "    }"
    yield "}"


def _location(location: Location) -> Iterator[str]:
    yield f"    # {location.what}"
    if location.path:
        yield f"    location = {location.path} {{"
        yield f"        proxy_pass http://127.0.0.1:{location.port};"
        yield "    }"
    yield f"    location {location.path}/ {{"
    yield f"        proxy_pass http://127.0.0.1:{location.port};"  # no path here: it is forwarded unchanged
    if location.is_app:
        yield "        proxy_buffering off;"
        yield "        proxy_request_buffering off;"
        yield "        # for response headers: some contain a deep link"
        yield "        proxy_buffer_size 16k;"
        yield "        proxy_buffers 8 16k;"
        yield "        proxy_read_timeout 1h;"
        yield "        proxy_send_timeout 1h;"
        yield "        client_max_body_size 0;  # each app sets launch(max_file_size=…)"
    else:
        yield "        # Forward whole requests: a slow client must not occupy the portal."
        yield "        proxy_request_buffering on;"
        yield f"        client_max_body_size {LARGEST_BODY};"
        yield f"        client_body_buffer_size {LARGEST_BODY};"
        yield "        proxy_buffer_size 16k;"
        yield "        proxy_buffers 8 16k;"
    yield "    }"
    if not location.is_app:
        yield "    location = /metrics {"
        yield "        return 404;"
        yield "    }"


def _redirect(site: Site) -> Iterator[str]:
    yield "server {"
    yield "    listen 80;"
    yield "    listen [::]:80;"
    yield f"    server_name {site.host};"
    yield "    access_log off;"
    yield f"    return 308 https://{site.authority}$request_uri;"
    yield "}"


def _quoted(path: Path) -> str:
    text = str(path)
    if not text.isprintable() or not set("\"'\\$;{}").isdisjoint(text):
        raise ValueError(f"{text!r} cannot be written into a configuration of nginx. Use a plainer name.")
    return f'"{text}"'
