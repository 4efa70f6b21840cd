"""The egress settings in the report of ``portal check``: certificate authorities and proxy."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from portal.contract import is_loopback_url
from portal.contract.egress import Egress, NotABundle, NotAProxy, count_authorities, read_proxy, shown_proxy
from portal.settings import Settings
from portal.sign_in.provider_types.called_hosts import called_urls


def format_egress(settings: Settings) -> Iterator[str]:
    """Yield lines on certificate authorities, the proxy without its password, and the calls through it."""
    egress = settings.egress
    yield f"trusted certificate authorities: {', and '.join(_authorities(egress))}"
    if egress.proxy is None:
        yield "no proxy: everything is called directly"
        return
    try:
        proxy = shown_proxy(read_proxy(egress.proxy))
    except NotAProxy as error:
        yield f"the proxy of {egress.proxy_name} {error}; nothing needs it"
        return
    yield f"proxy {proxy}, by {egress.proxy_name}; it resolves the names"
    for spec in settings.providers:
        by_host = {urlsplit(url).hostname: _way(url, egress) for url in called_urls(spec)}
        ways = dict.fromkeys(by_host.values())
        for way in ways:
            hosts = ", ".join(str(host) for host, its_way in by_host.items() if its_way == way)
            yield f"{spec.id}{f', {hosts}' if len(ways) > 1 else ''}: {way}"
    for app in settings.catalogue:
        if app.source is None:
            internal = app.internal_url is not None
            yield f"{app.slug}: {'directly, at its internal_url' if internal else _way(app.url, egress)}"


def _authorities(egress: Egress) -> Iterator[str]:
    yield ("the public authorities" if egress.bundle is None else f"{_counted(egress.bundle)}, by {egress.bundle_name}")
    if egress.authorities is not None:
        yield _counted(egress.authorities)


def _counted(bundle: Path) -> str:
    try:
        count = count_authorities(bundle)
    except NotABundle as error:  # nothing needs it, or the configuration would have a problem
        return f"{bundle} ({error})"
    return f"those in {bundle}" if count is None else f"{count} in {bundle}"


def _way(url: str, egress: Egress) -> str:
    if egress.proxy_for(url) is not None:
        return "through the proxy"
    return "directly, on this machine" if is_loopback_url(url) else "directly, by NO_PROXY"
