"""What counts as this computer."""

import pytest

from portal.demo.loopback import is_loopback_host, is_loopback_url, origin_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.3", "::1", "[::1]", "localhost", "LOCALHOST.", "a.localhost"])
def test_loopback_is_this_computer(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "localhost.example", "notlocalhost", "127.0.0.1.example", "0", "10.0.0.1", "::", "fe80::1", "127.1"],
)
def test_everything_else_is_not(host: str | None) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize("url", [None, 7, b"http://127.0.0.1/"])
def test_only_texts_are_urls(url: object) -> None:
    assert not is_loopback_url(url)


def test_an_origin_ends_before_the_path() -> None:
    assert origin_of("http://127.0.0.1:7800/a?b") == "http://127.0.0.1:7800"
