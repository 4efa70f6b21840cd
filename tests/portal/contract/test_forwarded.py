"""Whose address a request comes from: what web servers say, and what strangers make up."""

from ipaddress import ip_address

import pytest

from portal.contract import NotANetwork, TrustedProxies, read_network
from portal.contract.forwarded import read_address

OURS = TrustedProxies((read_network("10.0.0.0/8"), read_network("2001:db8:f::/48"), read_network("192.0.2.10")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Nobody in front, or nobody we know.
        ("203.0.113.7", [], "203.0.113.7"),
        ("2001:db8::7", [], "2001:db8::7"),
        pytest.param("203.0.113.7", ["10.0.0.1"], "203.0.113.7", id="a stranger's header is not believed"),
        pytest.param("203.0.113.7", ["127.0.0.1"], "203.0.113.7", id="not even if it says loopback"),
        pytest.param("192.0.2.11", ["198.51.100.1"], "192.0.2.11", id="a neighbour of a trusted one"),
        # One of ours in front.
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::1", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["203.0.113.7"], "203.0.113.7"),
        ("192.0.2.10", ["2001:db8::7"], "2001:db8::7"),
        ("2001:db8:f::1", ["2001:db8::7"], "2001:db8::7"),
        pytest.param("", ["203.0.113.7"], "203.0.113.7", id="a Unix socket"),
        pytest.param(None, ["203.0.113.7"], "203.0.113.7", id="a Unix socket, as ASGI has it"),
        # Spoofed: what the client wrote stands before what the server added.
        ("127.0.0.1", ["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["10.0.0.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["1.1.1.1", "203.0.113.7"], "203.0.113.7"),
        pytest.param("127.0.0.1", ["203.0.113.7", "1.1.1.1"], "1.1.1.1", id="the last header is the server's"),
        ("127.0.0.1", ["127.0.0.1, 203.0.113.7"], "203.0.113.7"),
        # Several of ours in a row.
        ("127.0.0.1", ["203.0.113.7, 10.0.0.9"], "203.0.113.7"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.7, 10.0.0.9, 10.0.0.8"], "203.0.113.7"),
        pytest.param("10.0.0.1", ["10.0.0.7, 10.0.0.8"], "10.0.0.7", id="a client inside the trusted network"),
        pytest.param("127.0.0.1", ["203.0.113.7, " + "10.0.0.9, " * 30 + "10.0.0.9"], "10.0.0.9", id="no end"),
        # IPv4 in IPv6 clothes.
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("::ffff:203.0.113.7", ["10.0.0.1"], "203.0.113.7"),
        # With a port, as some load balancers write it.
        ("127.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("127.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("127.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("127.0.0.1", ["203.0.113.7, 10.0.0.9:80"], "203.0.113.7"),
        ("127.0.0.1", ["fe80::7%eth0"], "fe80::7"),
        pytest.param("127.0.0.1", ["fe80::7%<script>"], "fe80::7", id="a zone is the sender's own text"),
        # What cannot be read ends the reading; nothing before it is believed.
        ("127.0.0.1", ["nonsense"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7,"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, _hidden, 10.0.0.9"], "10.0.0.9"),
        ("127.0.0.1", ["203.0.113.7 10.0.0.1"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7:99999999"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.256"], "127.0.0.1"),
        ("127.0.0.1", ["0x7f.1"], "127.0.0.1"),
        ("127.0.0.1", ["3405803783"], "127.0.0.1"),
        ("127.0.0.1", ["\u0662\u0660\u0663.0.113.7"], "127.0.0.1"),
        ("127.0.0.1", ["[203.0.113.7"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7\n10.0.0.1"], "127.0.0.1"),
        # Nothing that names anybody.
        ("garbage", ["203.0.113.7"], None),
        (None, [], None),
        ("", ["nonsense"], None),
    ],
)
def test_the_client_is_the_last_address_that_is_not_one_of_our_servers(
    peer: str | None, forwarded: list[str], client: str | None
) -> None:
    assert OURS.client_of(peer, forwarded) == (None if client is None else ip_address(client))


def test_only_this_machine_is_trusted_by_default() -> None:
    assert TrustedProxies().client_of("10.0.0.1", ["203.0.113.7"]) == ip_address("10.0.0.1")
    assert TrustedProxies().client_of("127.0.0.1", ["203.0.113.7"]) == ip_address("203.0.113.7")


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.10", "192.0.2.10/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_networks_are_read(text: str, network: str) -> None:
    assert str(read_network(text)) == network


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("proxy.example.com", "neither an address"),
        ("", "neither an address"),
        ("10.0.0.1/8", "neither an address"),
        ("10.0.0.0/33", "neither an address"),
        ("10.0.0", "neither an address"),
        ("0.0.0.0/0", "every client"),
        ("::/0", "every client"),
        ("::ffff:10.0.0.0/104", "IPv4"),
        ("fe80::1%eth0", "interface"),
    ],
)
def test_a_network_that_cannot_be_trusted_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotANetwork, match=said):
        read_network(text)


def test_text_without_an_address_gives_none() -> None:
    assert read_address("::1::") is None
