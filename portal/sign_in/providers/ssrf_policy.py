"""Which addresses a provider's documents may make the portal call: protection against SSRF.

Hosts of the configuration may have any address.  Other hosts in a provider's metadata must have the same kind of
address: a provider on the Internet cannot make the portal call the portal's own neighbours, neither by number, nor by
name, nor by DNS rebinding.  So the check is of the address of the open connection, before anything is sent, and not of
a look-up.
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
"""RFC 6052, section 2.1: an IPv4 address embedded in an IPv6 one."""


class AddressKind(Enum):
    """What kind of address it is, from this machine."""

    PUBLIC = "a public address"
    PRIVATE = "a private address"
    LINK_LOCAL = "a link-local address"
    """Where clouds serve the credentials of their machines."""
    LOOPBACK = "this machine"


def kind_of(address: str) -> AddressKind:
    """Return the kind of *address*, an IP address; what is neither public nor on this machine counts as private.

    Raises:
        ValueError: it is not an IP address.
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
    """The SSRF policy of one provider.  Safe to share between threads."""

    def __init__(self, configured_hosts: Collection[str]) -> None:
        self._configured_hosts = frozenset(configured_hosts)
        self._allowed_kinds = frozenset({AddressKind.PUBLIC})
        self.pools: Final = _pools(self)
        """Connection pools, by scheme, that enforce the policy."""

    def check(self, host: str, address: str) -> None:
        """Check the *address* behind *host*.

        Raises:
            ProviderUnavailable: only the provider names that host, and no configured host has that kind of address.
        """
        kind = kind_of(address)
        if host not in self._configured_hosts and kind not in self._allowed_kinds:
            raise ProviderUnavailable(
                f"its metadata leads to {quoted(host)}, which is {kind.value}, as no host of the configuration is"
            )

    def check_by_proxy(self, host: str) -> None:
        """Check *host* if a proxy connects: only the proxy resolves names, but an IP address can be checked.

        Raises:
            ProviderUnavailable: as :meth:`check` does.
        """
        address = _number(host)
        if address is not None:
            self.check(host, address)

    def record(self, host: str, address: str) -> None:
        """Record the *address* of *host*, as its certificate proves: other hosts may have the same kind."""
        if host in self._configured_hosts:
            self._allowed_kinds |= {kind_of(address)}


def ssrf_policy_of(spec: ProviderSpec) -> SsrfPolicy:
    """Return the SSRF policy for the provider *spec*: its configuration names the hosts."""
    ends = spec.endpoints
    for_browsers = () if ends is None else (ends.authorize, ends.end_session)
    hosts = (urlsplit(url).hostname for url in (spec.issuer, spec.discovery, *called_urls(spec), *for_browsers) if url)
    return SsrfPolicy([host for host in hosts if host is not None])


def _number(host: str) -> str | None:
    """Return *host* as an IP address, if it is one in any spelling that a proxy may accept, like ``0x7f.1``."""
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
        with suppress(ValueError):  # a name: it is checked when there is a connection
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
            self.ssrf_policy.record(self._name(), self.sock.getpeername()[0])

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
