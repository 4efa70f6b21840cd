"""What is this machine: how it is written, and all that only looks like it."""

import pytest

from portal.contract import is_localhost_name, is_loopback_host, is_loopback_url, takes_secure_cookies

HERE = [
    "127.0.0.1",
    "127.255.0.3",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    pytest.param("::ffff:127.0.0.1", id="IPv4 in IPv6 clothes"),
    pytest.param("[::ffff:7f00:1]", id="the same as browsers write it"),
    "localhost",
    "LOCALHOST",
    pytest.param("LOCALHOST.", id="the last dot of a full name"),
    "a.localhost",
    "a.b.localhost",
    "portal.demo.localhost.",
]
ELSEWHERE = [
    pytest.param(None, id="nothing"),
    pytest.param(7, id="a number"),
    pytest.param(b"127.0.0.1", id="bytes"),
    "",
    ".",
    "localhost..",
    ".localhost",
    "a..localhost",
    pytest.param("a" * 64 + ".localhost", id="a label that is too long"),
    pytest.param("a." * 130 + "localhost", id="a name that is too long"),
    # Names of others.
    "127.0.0.1.evil.com",
    "127.evil.com",
    "localhost.evil",
    "localhost.example.com",
    "notlocalhost",
    "evil-localhost",
    "localhost-evil",
    "localhost1",
    # What some readers end or decode earlier than others.
    "evil.com/.localhost",
    "evil.com#.localhost",
    "evil.com@a.localhost",
    "evil.com%00.localhost",
    "evil.com%2f.localhost",
    "evil.com\\.localhost",
    "evil.com;a.localhost",
    "evil.com\t.localhost",
    "localhost\n",
    " localhost",
    "localhost:80",
    "127.0.0.1:80",
    "[::1]:80",
    # Addresses to browsers, names to others.
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.1.",
    "0",
    # Unicode that browsers fold to ASCII.
    "\uff11\uff12\uff17.0.0.1",
    "\u0661\u0662\u0667.0.0.1",
    "127\u3002 0.0.1",
    "\u2113ocalhost",
    "local\u210eost",
    "localho\u017ft",
    "\u24d0.localhost",
    "xn--a.localhost.evil.com",
    # Addresses of others, and of everybody.
    "0.0.0.0",  # noqa: S104 - asked about, not bound
    "::",
    "[::]",
    "10.0.0.1",
    "128.0.0.1",
    "126.255.255.255",
    "169.254.169.254",
    "::2",
    "fe80::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    # Brackets and zones.
    "[127.0.0.1]",
    "[localhost]",
    "[::1",
    "::1]",
    "[[::1]]",
    "::1%eth0",
    "::1%a.localhost",
]


@pytest.mark.parametrize("host", HERE)
def test_hosts_of_this_machine(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_hosts_that_are_or_may_be_elsewhere(host: object) -> None:
    assert not is_loopback_host(host)
    assert not is_localhost_name(host)


@pytest.mark.parametrize(
    ("host", "is_name"), [("localhost", True), ("A.Localhost.", True), ("127.0.0.1", False), ("::1", False)]
)
def test_names_and_addresses_are_distinguished(host: str, *, is_name: bool) -> None:
    assert is_localhost_name(host) is is_name


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://127.255.0.1:1",
        "https://127.0.0.1:7800/a?b=c",
        "http://[::1]:7860/",
        "http://[::ffff:127.0.0.1]",
        "http://localhost",
        "HTTP://LOCALHOST.:80/",
        "http://a.demo.localhost:65535/path",
        "http://localhost?next=http://evil.com",
    ],
)
def test_addresses_of_this_machine(url: str) -> None:
    assert is_loopback_url(url)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(None, id="nothing"),
        pytest.param(7, id="a number"),
        pytest.param(b"http://127.0.0.1/", id="bytes"),
        "",
        "http://",
        "127.0.0.1",
        "//127.0.0.1",
        "ftp://127.0.0.1",
        "javascript://127.0.0.1/%0aalert(1)",
        "http:127.0.0.1",
        "http:/127.0.0.1",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://127.1",
        "http://0x7f.1",
        "http://169.254.169.254",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://evil.test/127.0.0.1",
        "http://evil.test?.localhost",
        "http://evil.test#.localhost",
        "http://localhost#fragment",
        "http://localhost:80@evil.test/",
        "http://evil.test@localhost/",
        "http://:@localhost/",
        "http://evil.test\\@localhost/",
        "http://localhost\\.evil.test",
        "http://localhost /",
        "http://local\thost/",
        "http://localhost\n",
        "http://localhost:",
        "http://localhost:0",
        "http://localhost:99999",
        "http://localhost:8o",
        "http://localhost:\u0668",
        "http://[::1",
        "http://::1",
        "http://[127.0.0.1]",
        "http://[::1%eth0]",
        "http://local\u210eost",
        "http://localhost/\u00e9",
    ],
)
def test_addresses_that_are_or_may_be_elsewhere(url: object) -> None:
    assert not is_loopback_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://portal.example.com", True),
        ("HTTPS://10.0.0.1", True),
        ("http://portal.demo.localhost:7800", True),
        ("http://A.LOCALHOST.", True),
        ("http://localhost:7800", False),
        ("http://localhost.", False),
        ("http://127.0.0.1:7800", False),
        ("http://[::1]", False),
        ("http://portal.example.com", False),
        ("http://notlocalhost", False),
        ("http://a.localhost.evil.test", False),
        ("http://evil.test%2f.localhost", False),
        ("ftp://a.localhost", False),
        ("http://[", False),
    ],
)
def test_where_browsers_keep_secure_cookies(url: str, *, expected: bool) -> None:
    assert takes_secure_cookies(url) is expected
