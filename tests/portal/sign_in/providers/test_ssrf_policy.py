import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from portal.errors import ProviderUnavailable
from portal.settings import Endpoints
from portal.sign_in.providers.ssrf_policy import AddressKind, SsrfPolicy, kind_of, ssrf_policy_of
from portal.sign_in.providers.transport import Limits, Transport
from tests.builders import a_provider
from tests.provider.misbehaving import MisbehavingProvider, as_json, misbehaving_provider

PLACES: dict[str, AddressKind] = {
    "8.8.8.8": AddressKind.PUBLIC,
    "2606:4700::1111": AddressKind.PUBLIC,
    "127.0.0.1": AddressKind.LOOPBACK,
    "127.255.0.1": AddressKind.LOOPBACK,
    "::1": AddressKind.LOOPBACK,
    "0.0.0.0": AddressKind.LOOPBACK,  # noqa: S104 - connecting there reaches this machine
    "::": AddressKind.LOOPBACK,
    "::ffff:127.0.0.1": AddressKind.LOOPBACK,
    "169.254.169.254": AddressKind.LINK_LOCAL,
    "fe80::1%eth0": AddressKind.LINK_LOCAL,
    "::ffff:169.254.169.254": AddressKind.LINK_LOCAL,
    "10.0.0.1": AddressKind.PRIVATE,
    "172.16.0.1": AddressKind.PRIVATE,
    "192.168.1.1": AddressKind.PRIVATE,
    "100.64.0.1": AddressKind.PRIVATE,
    "198.18.0.1": AddressKind.PRIVATE,
    "224.0.0.1": AddressKind.PRIVATE,
    "255.255.255.255": AddressKind.PRIVATE,
    "fd00:ec2::254": AddressKind.PRIVATE,
    "ff02::1": AddressKind.PRIVATE,
    "2001:db8::1": AddressKind.PRIVATE,
    "::ffff:10.0.0.1": AddressKind.PRIVATE,
    "64:ff9b::a00:1": AddressKind.PRIVATE,
    "64:ff9b::808:808": AddressKind.PUBLIC,
    "2002:a00:1::": AddressKind.PRIVATE,
}


@pytest.mark.parametrize(("address", "place"), PLACES.items(), ids=PLACES)
def test_where_an_address_is(address: str, place: AddressKind) -> None:
    assert kind_of(address) is place


class TestAddresses:
    @pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "8.8.8.8"])
    def test_what_the_configuration_names_may_be_anywhere(self, address: str) -> None:
        SsrfPolicy({"id.example.com"}).check("id.example.com", address)

    @pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"])
    def test_what_the_provider_names_must_be_public(self, address: str) -> None:
        policy = SsrfPolicy({"id.example.com"})
        policy.record("id.example.com", "8.8.8.8")

        with pytest.raises(ProviderUnavailable, match=r"leads to 'keys\.example\.com'"):
            policy.check("keys.example.com", address)
        policy.check("keys.example.com", "8.8.4.4")

    def test_or_where_the_configurations_own_host_is(self) -> None:
        policy = SsrfPolicy({"sso.corp.example"})
        policy.record("sso.corp.example", "10.0.0.1")
        policy.check("keys.corp.example", "10.0.0.2")

        for elsewhere in ("127.0.0.1", "169.254.169.254"):
            with pytest.raises(ProviderUnavailable):
                policy.check("keys.corp.example", elsewhere)

    def test_what_the_provider_names_opens_nothing_further(self) -> None:
        policy = SsrfPolicy({"id.example.com"})
        policy.record("keys.example.com", "10.0.0.1")

        with pytest.raises(ProviderUnavailable):
            policy.check("keys.example.com", "10.0.0.1")

    @pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1", "169.254.169.254", "127.1", "2130706433", "0x7f.1"])
    def test_a_proxy_is_not_led_to_a_private_number(self, host: str) -> None:
        with pytest.raises(ProviderUnavailable, match="leads to"):
            SsrfPolicy({"id.example.com"}).check_by_proxy(host)
        SsrfPolicy({"id.example.com", host}).check_by_proxy(host)

    @pytest.mark.parametrize("host", ["keys.example.com", "8.8.8.8", "intranet", "10.0.0.1.example.com", ""])
    def test_what_a_name_means_is_the_proxys_word(self, host: str) -> None:
        SsrfPolicy({"id.example.com"}).check_by_proxy(host)

    def test_a_name_that_was_elsewhere_a_moment_ago_is_checked_anew(self) -> None:
        policy = SsrfPolicy({"id.example.com"})
        policy.check("keys.example.com", "8.8.8.8")

        with pytest.raises(ProviderUnavailable):
            policy.check("keys.example.com", "10.0.0.1")


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        provider.respond["/a"] = lambda _: as_json({"b": 1})
        yield provider


def port_of(theirs: MisbehavingProvider) -> int:
    return urlsplit(theirs.issuer).port or 0


def get(url: str, *named: str) -> dict[str, object]:
    transport = Transport(Limits(read=60, total=60), ssrf_policy=SsrfPolicy(named))
    return transport.get_object(url, budget=transport.budget())


class TestConnections:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433"])
    def test_nothing_is_sent_where_it_must_not_go(self, theirs: MisbehavingProvider, host: str) -> None:
        with pytest.raises(ProviderUnavailable, match="this machine"):
            get(f"http://{host}:{port_of(theirs)}/a", "id.example.com")
        assert theirs.asked == []

    def test_a_name_that_leads_here_leads_nowhere(
        self, theirs: MisbehavingProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What an earlier look-up returned does not matter."""
        look_up = socket.getaddrinfo

        def moved(host: Any, *args: Any, **options: Any) -> Any:
            return look_up("127.0.0.1" if host in {"keys.example.com", "id.example.com"} else host, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", moved)
        with pytest.raises(ProviderUnavailable, match="this machine"):
            get(f"http://keys.example.com:{port_of(theirs)}/a", "id.example.com")
        assert theirs.asked == []
        assert get(f"http://id.example.com:{port_of(theirs)}/a", "id.example.com") == {"b": 1}

    def test_where_the_named_host_is_others_may_be(self, theirs: MisbehavingProvider) -> None:
        transport = Transport(Limits(read=60, total=60), ssrf_policy=SsrfPolicy({"127.0.0.1"}))
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{port_of(theirs)}/a"
            assert transport.get_object(url, budget=transport.budget()) == {"b": 1}


def test_the_configuration_names_issuer_discovery_endpoints_and_apis() -> None:
    ends = Endpoints(authorize="https://a.test/x", token="https://b.test/x", jwks="https://[fd00::1]/x")
    spec = a_provider(issuer="https://ID.test:8443/x", discovery="https://c.test/x", endpoints=ends)
    policy = ssrf_policy_of(spec)

    for host in ("id.test", "a.test", "b.test", "c.test", "fd00::1"):
        policy.check(host, "10.0.0.1")
    with pytest.raises(ProviderUnavailable):
        policy.check("x.test", "10.0.0.1")


def test_an_api_is_named_by_what_its_call_says() -> None:
    ssrf_policy_of(a_provider(provider_type="azure-ad")).check("graph.microsoft.com", "10.0.0.1")
