"""Egress: the proxy of calls that leave this machine, and the certificate authorities to trust.

``requests`` and ``httpx`` read the environment at every call, differ in ``NO_PROXY`` and in the name of the bundle,
and send calls for this machine through the proxy.  Here it is read once, for portal and apps.
Every call that leaves this machine is https, so there is one proxy: it gets a ``CONNECT`` (RFC 9110, section 9.3.6) and
resolves the host name.  Unless one of the authorities gave it a certificate, it sees only the name and encrypted bytes.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from portal.contract.loopback import is_loopback_url

PROXY_NAMES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""Variables for the proxy; the first that is set counts, lower case first."""
_NO_PROXY_NAMES: Final = ("no_proxy", "NO_PROXY")
BUNDLE_NAMES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR")
"""Variables for authorities to trust instead of the public ones; the first that is set counts."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NotAProxy(ValueError):
    """The proxy cannot be used; ``str(error)`` says why, and repeats nothing of its address."""


class NotABundle(ValueError):
    """There are no certificates in the bundle; ``str(error)`` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """Proxy and certificate authorities, from the environment and the configuration."""

    proxy: str | None = field(default=None, repr=False)
    """As it is written; may contain a password."""
    proxy_name: str = PROXY_NAMES[1]
    """The variable that it came from."""
    no_proxy: tuple[str, ...] = ()
    """Hosts, domains and networks that are called directly."""
    bundle: Path | None = None
    """Authorities to trust instead of the public ones: a PEM file, or a folder as OpenSSL hashes it."""
    bundle_name: str = BUNDLE_NAMES[0]
    """The variable that it came from."""
    authorities: Path | None = None
    """A PEM file with authorities to trust as well."""

    def proxy_for(self, url: str) -> str | None:
        """Return the URL of the proxy that *url* is called through, or ``None`` where it is called directly.

        Raises:
            NotAProxy: the proxy cannot be used.
        """
        if self.proxy is None or is_loopback_url(url) or urlsplit(url).scheme != "https" or self._is_excepted(url):
            return None
        return read_proxy(self.proxy)

    def _is_excepted(self, url: str) -> bool:
        parts = urlsplit(url)
        return any(_matches(entry, parts) for entry in self.no_proxy)


def read_egress(environ: Mapping[str, str], *, authorities: Path | None = None) -> Egress:
    """Return the egress that *environ* describes, with *authorities* as well; no file is opened."""
    proxy_name = _first(environ, PROXY_NAMES)
    bundle_name = _first(environ, BUNDLE_NAMES)
    excepted = _first(environ, _NO_PROXY_NAMES)
    return Egress(
        proxy=None if proxy_name is None else environ[proxy_name].strip(),
        proxy_name=proxy_name or PROXY_NAMES[1],
        no_proxy=() if excepted is None else tuple(environ[excepted].replace(",", " ").split()),
        bundle=None if bundle_name is None else Path(environ[bundle_name].strip()),
        bundle_name=bundle_name or BUNDLE_NAMES[0],
        authorities=authorities,
    )


def read_proxy(text: str) -> str:
    """Return the URL of the proxy that *text* names, with its scheme.

    Raises:
        NotAProxy: it cannot be used; the message repeats nothing of *text*, which may contain a password.
    """
    url = text if "://" in text else f"http://{text}"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotAProxy("is not an address")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise NotAProxy("is not an address") from None  # its own message repeats the text
    if parts.scheme.startswith("socks"):
        raise NotAProxy("is a SOCKS proxy, which is not supported")
    if parts.scheme not in _DEFAULT_PORTS:
        raise NotAProxy("begins with neither http:// nor https://")
    if not host or port == 0 or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise NotAProxy("is not just a host with a port")
    return url.rstrip("/")


def format_proxy(proxy: str) -> str:
    """Return host and port of *proxy*, which comes from :func:`read_proxy`, without its user name and password."""
    parts = urlsplit(proxy)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def tls_context(egress: Egress, *, public: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return the context for TLS connections; *public* makes one that trusts the public authorities.

    Raises:
        NotABundle: a bundle cannot be used.
    """
    # Such a context checks certificate and name, and trusts no authority yet.
    context = public() if egress.bundle is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for bundle in (egress.bundle, egress.authorities):
        if bundle is not None:
            load_authorities(context, bundle)
    return context


def count_authorities(bundle: Path) -> int | None:
    """Return the number of certificates in *bundle*; ``None`` for a folder, from which OpenSSL reads on demand.

    Raises:
        NotABundle: it cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    load_authorities(context, bundle)
    return None if bundle.is_dir() else context.cert_store_stats()["x509"]


def load_authorities(context: ssl.SSLContext, bundle: Path) -> None:
    """Have *context* trust the authorities in *bundle* as well.

    Raises:
        NotABundle: the file does not exist, cannot be read, or has no certificate.
    """
    try:
        if bundle.is_dir():
            next(bundle.iterdir(), None)  # OpenSSL reports no error for a folder that it may not read
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except ssl.SSLError as error:
        raise NotABundle("has no certificate in PEM") from error
    except OSError as error:
        raise NotABundle(f"cannot be read: {error.strerror}") from error


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if environ.get(name, "").strip()), None)


def _matches(entry: str, parts: SplitResult) -> bool:
    """Return whether *entry* of ``NO_PROXY`` matches *parts*: a host, a domain and all below it, or a network."""
    if entry == "*":
        return True
    host = (parts.hostname or "").removesuffix(".")
    try:
        address = ip_address(host)
    except ValueError:
        name, port = _split_port(entry.lower())
        name = name.removeprefix("*").strip(".")
        return bool(name) and port in {None, _port_of(parts)} and (host == name or host.endswith(f".{name}"))
    try:
        return address in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        name, port = _split_port(entry)
        return name.strip("[]") == str(address) and port == _port_of(parts)


def _split_port(entry: str) -> tuple[str, int | None]:
    name, separator, port = entry.rpartition(":")
    if separator and port.isascii() and port.isdigit() and (":" not in name or name.endswith("]")):
        return name, int(port)
    return entry, None


def _port_of(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
