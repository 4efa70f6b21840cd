"""Whose address a request comes from, when web servers stand before us: pure, and one rule for both sides.

``X-Forwarded-For`` is read from its end, the only part that a server of ours wrote, as far back
as the servers are trusted.  What is left of that is the client's own text.  Neither scheme nor
host is ever taken from a request: the configuration says where portal and apps are reached.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MOST_HOPS: Final = 16
"""Web servers in a row that are looked through; whoever needs more is playing."""
_WITH_PORT: Final = re.compile(r"\[([^\[\]]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}", re.ASCII)
"""``[2001:db8::1]:443``, ``[2001:db8::1]`` or ``192.0.2.1:443`` (RFC 7239, 6, as some servers write it)."""
_CUSTOMER_PREFIX: Final = 64
"""Length of the IPv6 prefix that one customer is given and can pick addresses from."""


class NotANetwork(ValueError):
    """The text names no network that can be trusted; its text says why."""


def read_network(text: str) -> Network:
    """Return the address or CIDR network that *text* names.

    Raises:
        NotANetwork: it names none, has bits beyond its prefix, or would be everybody.
    """
    try:
        network = ip_network(text)
    except ValueError as error:
        raise NotANetwork("is no address and no network like 10.0.0.0/8") from error
    if network.prefixlen == 0:
        raise NotANetwork("would trust everybody")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise NotANetwork("is an IPv4 network in IPv6 clothes; write it as IPv4")
    if isinstance(network, IPv6Network) and network.network_address.scope_id is not None:
        raise NotANetwork("names an interface")
    return network


def read_address(text: str) -> Address | None:
    """Return the address in *text*, without port, brackets and zone, IPv4 as IPv4; ``None`` where there is none."""
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
        if address.scope_id is not None:  # the zone is a word of the sender's own, and anything may stand in it
            return IPv6Address(int(address))
    return address


def rate_limit_key(address: Address) -> str:
    """Return what a client at *address* is counted by: the address, of IPv6 the part that one customer is given."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, _CUSTOMER_PREFIX), strict=False).network_address)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The web servers whose ``X-Forwarded-For`` is believed."""

    networks: tuple[Network, ...] = ()
    """Besides this machine's own: loopback peers and Unix sockets, which are always believed."""

    def __contains__(self, address: Address) -> bool:
        """Say whether a web server at *address* is believed."""
        return address.is_loopback or any(address in network for network in self.networks)

    def client_of(self, peer: str | None, forwarded_for: Iterable[str] = ()) -> Address | None:
        """Return the address of the client behind *peer*, or ``None`` where nothing names it.

        *peer* is the other end of the connection, empty or ``None`` for a Unix socket; *forwarded_for*
        are the values of all ``X-Forwarded-For`` headers, in their order.  The client is the first address
        from the end that is not trusted; where one cannot be read, or all are trusted, the last one that was.
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
