"""The egress settings in the report of ``portal check``: certificate authorities and proxy."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from portal.contract import is_loopback_url
from portal.contract.egress import Egress, NotABundle, NotAProxy, count_authorities, format_proxy, read_proxy
from portal.settings import Settings
from portal.sign_in.provider_types.called_hosts import called_urls


def format_egress(settings: Settings) -> Iterator[str]:
    """Yield lines on certificate authorities, the proxy without its password, and the calls through it."""
    egress = settings.egress
    yield f"trusted certificate authorities: {', and '.join(_authorities(egress))}"
    if egress.proxy is None:
        yield "no proxy: all calls are direct"
        return
    try:
        proxy = format_proxy(read_proxy(egress.proxy))
    except NotAProxy as error:
        yield f"the proxy of {egress.proxy_name} {error}; nothing uses it"
        return
    yield f"proxy {proxy}, by {egress.proxy_name}; it resolves host names"
    for spec in settings.providers:
        routes = {urlsplit(url).hostname: _route(url, egress) for url in called_urls(spec)}
        for route in dict.fromkeys(routes.values()):
            hosts = ", ".join(str(host) for host, its_route in routes.items() if its_route == route)
            yield f"{spec.id}{f', {hosts}' if len(set(routes.values())) > 1 else ''}: {route}"
    for app in settings.catalogue:
        if app.source is None:
            internal = app.internal_url is not None
            yield f"{app.slug}: {'directly, at its internal_url' if internal else _route(app.url, egress)}"


def _authorities(egress: Egress) -> Iterator[str]:
    yield ("the public authorities" if egress.bundle is None else f"{_count(egress.bundle)}, by {egress.bundle_name}")
    if egress.authorities is not None:
        yield _count(egress.authorities)


def _count(bundle: Path) -> str:
    try:
        count = count_authorities(bundle)
    except NotABundle as error:  # nothing uses it, or it would be a problem of the configuration
        return f"{bundle} ({error})"
    return f"those in {bundle}" if count is None else f"{count} in {bundle}"


def _route(url: str, egress: Egress) -> str:
    if egress.proxy_for(url) is not None:
        return "through the proxy"
    return "directly, on this machine" if is_loopback_url(url) else "directly, by NO_PROXY"
