"""How calls leave this machine: through which proxy, and whose certificates are believed.  One rule for both sides.

Libraries read the environment each in a way of its own (``requests`` and ``httpx`` differ in ``NO_PROXY`` and
in the name of the bundle), at every call, and send what is meant for this machine away.  Here it is read once.
Whatever leaves this machine is https, so one proxy is all there is: it is asked to ``CONNECT`` (RFC 9110, 9.3.6), it
resolves the name, and unless it holds a certificate of one of the authorities, it sees a name and bytes.
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
"""Where a proxy is looked for; the first that is set counts, small letters before capitals as everywhere."""
_NO_PROXY_NAMES: Final = ("no_proxy", "NO_PROXY")
BUNDLE_NAMES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR")
"""Where the authorities are looked for that are believed instead of the public ones; the first that is set counts."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NotAProxy(ValueError):
    """The text names no proxy that can be used; its own text says why, and holds nothing of it."""


class NotABundle(ValueError):
    """There are no certificates at that place; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """The way out, as the environment and the configuration have it."""

    proxy: str | None = field(default=None, repr=False)
    """As it was written; may hold a password."""
    proxy_name: str = PROXY_NAMES[1]
    """The variable it stood in."""
    no_proxy: tuple[str, ...] = ()
    """Hosts, domains and networks that are called directly."""
    bundle: Path | None = None
    """Authorities that are believed instead of the public ones: a file of PEM, or a folder as OpenSSL hashes it."""
    bundle_name: str = BUNDLE_NAMES[0]
    """The variable it stood in."""
    authorities: Path | None = None
    """A file of PEM with authorities that are believed besides those."""

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
    """Return the way out that *environ* describes, with *authorities* besides; nothing is opened."""
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
        NotAProxy: it cannot be used; the message repeats nothing of *text*, which may hold a password.
    """
    url = text if "://" in text else f"http://{text}"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotAProxy("is no address")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise NotAProxy("is no address") from None  # the error repeats what was written
    if parts.scheme.startswith("socks"):
        raise NotAProxy("is a SOCKS proxy, which is not spoken here")
    if parts.scheme not in _DEFAULT_PORTS:
        raise NotAProxy("begins with neither http:// nor https://")
    if not host or port == 0 or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise NotAProxy("is more or less than a host with a port")
    return url.rstrip("/")


def shown_proxy(proxy: str) -> str:
    """Return host and port of *proxy*, which :func:`read_proxy` has passed, without the name and password in it."""
    parts = urlsplit(proxy)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def tls_context(egress: Egress, *, public: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return what TLS connections are opened with; *public* makes the context that believes the public authorities.

    Raises:
        NotABundle: a bundle cannot be used.
    """
    # Such a context checks certificate and name, and believes nobody yet.
    context = public() if egress.bundle is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for bundle in (egress.bundle, egress.authorities):
        if bundle is not None:
            load_authorities(context, bundle)
    return context


def count_authorities(bundle: Path) -> int | None:
    """Return how many certificates are in *bundle*; ``None`` for a folder, of which OpenSSL reads what it needs.

    Raises:
        NotABundle: it cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    load_authorities(context, bundle)
    return None if bundle.is_dir() else context.cert_store_stats()["x509"]


def load_authorities(context: ssl.SSLContext, bundle: Path) -> None:
    """Have *context* believe the authorities in *bundle* too.

    Raises:
        NotABundle: there is no such file, it cannot be read, or no certificate is in it.
    """
    try:
        if bundle.is_dir():
            next(bundle.iterdir(), None)  # OpenSSL says nothing of a folder that it may not read
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except ssl.SSLError as error:
        raise NotABundle("holds no certificate in PEM") from error
    except OSError as error:
        raise NotABundle(f"cannot be read: {error.strerror}") from error


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if environ.get(name, "").strip()), None)


def _matches(entry: str, parts: SplitResult) -> bool:
    """Say whether *entry* of ``NO_PROXY`` is about *parts*: a host, a domain with all below it, or a network."""
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
