"""Which addresses a provider's documents may lead the portal to.

The operator's configuration names hosts; those may be wherever they are.  Whatever else a provider names in its
metadata must be in the same kind of place: a provider on the Internet cannot lead the portal to the portal's own
neighbours, be it by a number, by a name, or by a name that points elsewhere from one moment to the next.  So what
counts is the address that was connected to, before anything is sent there, and not what a look-up said.
"""

import socket
from collections.abc import Collection
from contextlib import suppress
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from portal.contract.truncation import quoted
from portal.errors import ProviderUnavailable
from portal.settings import ProviderSpec
from portal.sign_in.provider_types.called_hosts import called_urls

_NAT64: Final = b"\x00\x64\xff\x9b" + bytes(8)
"""RFC 6052, section 2.1: an IPv4 address in the clothes of an IPv6 one."""


class AddressKind(Enum):
    """Where an address is, seen from here."""

    PUBLIC = "a public address"
    PRIVATE = "a private address"
    LINK_LOCAL = "a link-local address"
    """Where clouds keep the credentials of their machines."""
    LOOPBACK = "this machine"


def kind_of(address: str) -> AddressKind:
    """Return where *address*, an IP address, is; what is neither public nor on this machine counts as private.

    Raises:
        ValueError: it is no IP address.
    """
    number = ip_address(address.partition("%")[0])
    if isinstance(number, IPv6Address):
        number = _inner(number)
    if number.is_loopback or number.is_unspecified:
        return AddressKind.LOOPBACK
    if number.is_link_local:
        return AddressKind.LINK_LOCAL
    return AddressKind.PUBLIC if number.is_global and not number.is_multicast else AddressKind.PRIVATE


def _inner(number: IPv6Address) -> IPv4Address | IPv6Address:
    if number.packed.startswith(_NAT64):
        return IPv4Address(number.packed[12:])
    return number.ipv4_mapped or number.sixtofour or number


class SsrfPolicy:
    """What one provider's documents may lead to.  Safe to share between threads."""

    def __init__(self, named: Collection[str]) -> None:
        self._named = frozenset(named)
        self._met = frozenset({AddressKind.PUBLIC})
        self.pools: Final = _pools(self)
        """By scheme, pools whose connections keep to this."""

    def check(self, host: str, address: str) -> None:
        """Check the *address* behind *host*.

        Raises:
            ProviderUnavailable: only the provider names that host, and no host of the configuration is at such a place.
        """
        place = kind_of(address)
        if host not in self._named and place not in self._met:
            raise ProviderUnavailable(
                f"its metadata leads to {quoted(host)}, which is {place.value}, as no host of the configuration is"
            )

    def check_by_proxy(self, host: str) -> None:
        """Check *host* where a proxy connects: where names lead is its to know, but a number says so itself.

        Raises:
            ProviderUnavailable: as :meth:`check` does.
        """
        address = _number(host)
        if address is not None:
            self.check(host, address)

    def note(self, host: str, address: str) -> None:
        """Note that *host* is at *address*, as its certificate proves: where a named host is, others may be."""
        if host in self._named:
            self._met |= {kind_of(address)}


def ssrf_policy_of(spec: ProviderSpec) -> SsrfPolicy:
    """Return the reach of the provider *spec*: what its configuration names, and what that allows."""
    ends = spec.endpoints
    shown = () if ends is None else (ends.authorize, ends.end_session)
    hosts = (urlsplit(url).hostname for url in (spec.issuer, spec.discovery, *called_urls(spec), *shown) if url)
    return SsrfPolicy([host for host in hosts if host is not None])


def _number(host: str) -> str | None:
    """Return *host* as an address, if it is one in any spelling that a proxy may understand, like ``0x7f.1``."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):  # a name
        return None


class _Connection(HTTPConnection):
    ssrf_policy: SsrfPolicy

    def _new_conn(self) -> socket.socket:
        with suppress(ValueError):  # a name: its address is known when there is a connection
            self.ssrf_policy.check(self._name(), self._name())
        connected = super()._new_conn()
        try:
            self.ssrf_policy.check(self._name(), connected.getpeername()[0])
        except BaseException:
            connected.close()
            raise
        return connected

    def connect(self) -> None:
        super().connect()
        if self.sock is not None:
            self.ssrf_policy.note(self._name(), self.sock.getpeername()[0])

    def _name(self) -> str:
        return self.host.strip("[]").lower()


class _TlsConnection(_Connection, HTTPSConnection):
    pass


def _pools(policy: SsrfPolicy) -> dict[str, type[HTTPConnectionPool]]:
    class Connection(_Connection):
        ssrf_policy = policy

    class TlsConnection(_TlsConnection):
        ssrf_policy = policy

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": Pool, "https": TlsPool}
