"""The configuration of nginx (1.19 or later): TLS, HTTP/2, nothing buffered, and headers nobody else wrote.

Both portal and guards read one forwarded header, ``X-Forwarded-For``, and it is overwritten here,
never appended to.  ``Host`` goes on as it came: whether it is a right one, they decide.
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
"""What clients send under these names ends at the web server."""
_POINTER: Final = 8
_USUAL_BUCKET: Final = 64
"""Bytes: a line of the processor's cache, where it is not a rarer one of 32 or 128."""


def nginx_configuration(settings: Settings, *, port: int, certificate: Path, key: Path) -> str:
    """Return a file for ``/etc/nginx/conf.d``; the portal listens on *port* of this machine.

    Raises:
        CannotConfigure: an address is plain http.
        ValueError: a path cannot be written into a configuration of nginx.
    """
    sites = sites_of(settings, port=port)
    bucket = bucket_needed(sites)
    lines = [
        "# Written by `portal config nginx` from portal.toml; write it anew when that changes.",
        "# It belongs into the http context of nginx, as /etc/nginx/conf.d/gradio-portal.conf does.",
        "# By itself nginx takes 512 connections, slow ones included. Set in /etc/nginx/nginx.conf:",
        "# worker_rlimit_nofile 65536; and in its events section worker_connections 16384;",
        *([] if bucket is None else [f"# {line}" for line in long_names(bucket)]),
        *(
            f"# The app {app.slug} runs elsewhere, behind a web server of its own: {app.url}"
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
    """Return the ``server_names_hash_bucket_size`` that the names of *sites* need; ``None`` where nginx's own will do.

    A name takes two pointers more than its bytes and their count, in whole pointers (``ngx_hash.c``).
    """
    longest = max((len(site.host) for site in sites), default=0)
    needed = 2 * _POINTER + -(-(longest + 2) // _POINTER) * _POINTER
    if needed <= _USUAL_BUCKET:
        return None
    return 1 << (needed - 1).bit_length()


def long_names(bucket: int) -> tuple[str, ...]:
    """Return what is to be done where a name needs *bucket*, as lines of prose."""
    return (
        "A host name is longer than nginx takes by itself. Say once, in the http section of /etc/nginx/nginx.conf:",
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
    yield "    access_log off;  # it would keep queries, with codes in them; portal and guards write logs of their own"
    yield "    server_tokens off;"
    if settings.trusted_proxies.networks:
        yield ""
        yield "    # portal.trusted_proxies: the client is the one they name."
        for network in settings.trusted_proxies.networks:
            yield f"    set_real_ip_from {network};"
        yield "    real_ip_header X-Forwarded-For;"
        yield "    real_ip_recursive on;"
    yield ""
    yield "    # Answers of identity providers come back in the address, and a company's cookies with every request."
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
    for place in site.places:
        yield ""
        yield from _location(place)
    if not site.has_root:
        yield ""
        yield "    location / {"
        yield "        return 404;"
        yield "    }"
    yield "}"


def _location(place: Location) -> Iterator[str]:
    yield f"    # {place.what}"
    if place.path:
        yield f"    location = {place.path} {{"
        yield f"        proxy_pass http://127.0.0.1:{place.port};"
        yield "    }"
    yield f"    location {place.path}/ {{"
    yield f"        proxy_pass http://127.0.0.1:{place.port};"  # no path here: it goes on as it came
    if place.is_app:
        yield "        proxy_buffering off;"
        yield "        proxy_request_buffering off;"
        yield "        # for the heads of answers: a deep link stands in some of them"
        yield "        proxy_buffer_size 16k;"
        yield "        proxy_buffers 8 16k;"
        yield "        proxy_read_timeout 1h;"
        yield "        proxy_send_timeout 1h;"
        yield "        client_max_body_size 0;  # launch(max_file_size=…) of each app is the limit"
    else:
        yield "        # A whole request at once: a slow client must hold nothing of the portal."
        yield "        proxy_request_buffering on;"
        yield f"        client_max_body_size {LARGEST_BODY};"
        yield f"        client_body_buffer_size {LARGEST_BODY};"
        yield "        proxy_buffer_size 16k;"
        yield "        proxy_buffers 8 16k;"
    yield "    }"
    if not place.is_app:
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
