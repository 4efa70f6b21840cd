"""Settings of the HTTP client: proxy, exceptions and certificate authorities, and whether they can be used."""

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
_HTTPS_PROXY: Final = Variable("HTTPS_PROXY", "ALL_PROXY", _PROXY)
"""Proxy for all calls beyond this machine. https_proxy wins over it. It may contain a password."""
_ALL_PROXY: Final = Variable("ALL_PROXY", "none: direct calls", _PROXY)
"""The same, if neither is set. all_proxy wins over it."""
_NO_PROXY: Final = Variable("NO_PROXY", "none", ".example.com, 10.0.0.0/8")
"""Hosts, domains with everything below them, and networks to call directly; * for everything. no_proxy wins over it."""
PROXIES: Final = (_HTTPS_PROXY, _ALL_PROXY, _NO_PROXY)
_BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
_SSL_CERT_FILE: Final = Variable("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", _BUNDLE)
"""PEM file with the certificate authorities to trust instead of the public ones."""
_REQUESTS_CA_BUNDLE: Final = Variable("REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", _BUNDLE)
"""The same; a file or a folder."""
_SSL_CERT_DIR: Final = Variable("SSL_CERT_DIR", "the public authorities, from certifi", "/etc/ssl/certs")
"""The same; a folder as OpenSSL's rehash makes it."""
BUNDLES: Final = (_SSL_CERT_FILE, _REQUESTS_CA_BUNDLE, _SSL_CERT_DIR)


def read_authorities(table: Table, file: Path) -> Path | None:
    """Return *file*, which *table* has as ``ca_file``, if there are certificates of authorities in it."""
    try:
        what = "names a folder." if count_authorities(file) is None else None
    except NotABundle as error:
        what = f"names a file that {error}."
    if what is not None:
        table.problem("ca_file", what, "Name a PEM file with the certificates of your own authorities.")
    return file if what is None else None


def read_client_settings(variables: Variables, *, ca_file: Path | None) -> Egress:
    """Return the settings of the HTTP client; :func:`check_client_settings` notes what is wrong with them."""
    return read_egress({name: variables.get(name) or "" for name in variables.names()}, authorities=ca_file)


def check_client_settings(settings: Settings, *, report: Report) -> None:
    """Note a proxy or a bundle that cannot be used, if there is anything to call with it."""
    egress, targets = settings.egress, list(targets_of(settings))
    try:
        for url in targets:
            egress.proxy_for(url)
    except NotAProxy as error:
        fix = "Write it as http://proxy.example.com:3128, or list in NO_PROXY what to call directly."
        report.environment(egress.proxy_name, f"{error}.", fix)
    if targets and egress.bundle is not None:
        try:
            count_authorities(egress.bundle)
        except NotABundle as error:
            report.environment(egress.bundle_name, f"names a place that {error}.", "Fix the path, or leave it out.")


def targets_of(settings: Settings) -> Iterator[str]:
    """Yield the addresses beyond this machine that the portal calls, as far as the configuration tells."""
    for spec in settings.providers:
        yield from (url for url in called_urls(spec) if not is_loopback_url(url))
    for app in settings.catalogue:
        url = app.internal_url or app.url
        if not is_loopback_url(url):
            yield url
