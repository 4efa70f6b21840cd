"""The client's address of a request that comes through reverse proxies: one rule for portal and apps.  Pure.

``X-Forwarded-For`` is read from its end, as far back as the proxies are trusted.  Everything before that
is the client's own text.  Scheme and host never come from a request: the configuration has the addresses
of portal and apps.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

PROXY_HEADERS: Final = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip")
"""Headers that reverse proxies add."""
_MOST_HOPS: Final = 16
"""Most reverse proxies in a row."""
_WITH_PORT: Final = re.compile(r"\[([^\[\]]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}", re.ASCII)
"""``[2001:db8::1]:443``, ``[2001:db8::1]`` or ``192.0.2.1:443`` (RFC 7239, 6, as some servers write it)."""
_CUSTOMER_PREFIX: Final = 64
"""Length of the IPv6 prefix that one customer gets and can choose addresses from."""


class NotANetwork(ValueError):
    """The text does not name a network that can be trusted; ``str(error)`` says why."""


def read_network(text: str) -> Network:
    """Return the address or CIDR network that *text* names.

    Raises:
        NotANetwork: it is not a network, has bits beyond its prefix, or includes every address.
    """
    try:
        network = ip_network(text)
    except ValueError as error:
        raise NotANetwork("is neither an address nor a network like 10.0.0.0/8") from error
    if network.prefixlen == 0:
        raise NotANetwork("would trust every client")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise NotANetwork("is an IPv4 network written as IPv6; write it as IPv4")
    if isinstance(network, IPv6Network) and network.network_address.scope_id is not None:
        raise NotANetwork("names an interface")
    return network


def read_address(text: str) -> Address | None:
    """Return the address in *text*, without port, brackets or zone, or ``None``; an IPv4-mapped one becomes IPv4."""
    text = text.strip(" \t")
    match = _WITH_PORT.fullmatch(text)
    if match is not None:
        text = match[1] or match[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:  # the zone is free text of the sender
            return IPv6Address(int(address))
    return address


def rate_limit_key(address: Address) -> str:
    """Return the rate-limit key of *address*: the address itself, or the IPv6 prefix of one customer."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, _CUSTOMER_PREFIX), strict=False).network_address)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The reverse proxies whose ``X-Forwarded-For`` is trusted."""

    networks: tuple[Network, ...] = ()
    """Besides loopback peers and Unix sockets, which are always trusted."""

    def __contains__(self, address: Address) -> bool:
        """Return whether a reverse proxy at *address* is trusted."""
        return address.is_loopback or any(address in network for network in self.networks)

    def client_of(self, peer: str | None, forwarded_for: Iterable[str] = ()) -> Address | None:
        """Return the address of the client behind *peer*, or ``None`` if it is unknown.

        *peer* is the other end of the connection, empty or ``None`` for a Unix socket; *forwarded_for*
        are the values of all ``X-Forwarded-For`` headers, in order.  The client is the first address
        from the end that is not trusted; if one cannot be read, or all are trusted, the last one that was read.
        """
        nearest = read_address(peer) if peer else None
        if (peer and nearest is None) or (nearest is not None and nearest not in self):
            return nearest
        entries = ",".join(forwarded_for).rsplit(",", _MOST_HOPS)
        for entry in reversed(entries[-_MOST_HOPS:]):
            address = read_address(entry)
            if address is None:
                break
            nearest = address
            if address not in self:
                break
        return nearest
