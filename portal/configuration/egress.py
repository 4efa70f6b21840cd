"""The way out of this machine: proxy, exceptions and authorities, and whether they can be used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from portal.configuration.declaration import Variable
from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.configuration.tables import Table
from portal.contract import is_loopback_url
from portal.contract.egress import Egress, NotABundle, NotAProxy, count_authorities, read_egress
from portal.settings import Settings
from portal.sign_in.provider_types.called_hosts import called_urls

_PROXY: Final = "http://proxy.example.com:3128"
PROXIES: Final = (
    Variable(
        "HTTPS_PROXY",
        "Proxy for all calls beyond this machine. https_proxy wins over it. It may contain a password.",
        "ALL_PROXY",
        _PROXY,
    ),
    Variable("ALL_PROXY", "The same, if neither is set. all_proxy wins over it.", "none: direct calls", _PROXY),
    Variable(
        "NO_PROXY",
        "Hosts, domains with everything below them, and networks to call directly; * for everything. no_proxy wins "
        "over it.",
        "none",
        ".example.com, 10.0.0.0/8",
    ),
)
_BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
BUNDLES: Final = (
    Variable(
        "SSL_CERT_FILE",
        "PEM file with the certificate authorities to trust instead of the public ones.",
        "REQUESTS_CA_BUNDLE",
        _BUNDLE,
    ),
    Variable("REQUESTS_CA_BUNDLE", "The same; a file or a folder.", "SSL_CERT_DIR", _BUNDLE),
    Variable(
        "SSL_CERT_DIR",
        "The same; a folder as OpenSSL's rehash makes it.",
        "the public authorities, from certifi",
        "/etc/ssl/certs",
    ),
)


def read_authorities(table: Table, file: Path) -> Path | None:
    """Return *file*, which *table* has as ``ca_file``, if there are certificates of authorities in it."""
    try:
        what = "names a folder." if count_authorities(file) is None else None
    except NotABundle as error:
        what = f"names a file that {error}."
    if what is not None:
        table.problem("ca_file", what, "Name a PEM file with the certificates of your own authorities.")
    return file if what is None else None


def read_way_out(variables: Variables, *, ca_file: Path | None) -> Egress:
    """Return the way out; what is wrong with it is noted by :func:`check_way_out`, where it is needed."""
    return read_egress({name: variables.get(name) or "" for name in variables.names()}, authorities=ca_file)


def check_way_out(settings: Settings, *, report: Report) -> None:
    """Note a proxy or a bundle that cannot be used, if there is anything to be called with them."""
    egress, targets = settings.egress, list(targets_of(settings))
    try:
        for url in targets:
            egress.proxy_for(url)
    except NotAProxy as error:
        fix = "Write it as http://proxy.example.com:3128, or name in NO_PROXY what is called directly."
        report.environment(egress.proxy_name, f"{error}.", fix)
    if targets and egress.bundle is not None:
        try:
            count_authorities(egress.bundle)
        except NotABundle as error:
            report.environment(egress.bundle_name, f"names what {error}.", "Fix the path, or leave it out.")


def targets_of(settings: Settings) -> Iterator[str]:
    """Yield the addresses beyond this machine that the portal calls, as far as the configuration tells."""
    for spec in settings.providers:
        yield from (url for url in called_urls(spec) if not is_loopback_url(url))
    for app in settings.catalogue:
        url = app.internal_url or app.url
        if not is_loopback_url(url):
            yield url
