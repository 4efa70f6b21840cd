"""Egress: what goes through the proxy, which proxies can be used, and whose certificates are trusted."""

import ssl
from pathlib import Path

import pytest

from portal.contract.egress import (
    Egress,
    NotABundle,
    NotAProxy,
    count_authorities,
    format_proxy,
    read_egress,
    read_proxy,
    tls_context,
)
from tests.certificates import issue

PROXY = "http://proxy.example.com:3128"


def through(url: str, *no_proxy: str) -> bool:
    return Egress(proxy=PROXY, no_proxy=no_proxy).proxy_for(url) == PROXY


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://id.example.com/token", (), True),
        ("https://10.0.0.7/", (), True),
        ("https://[2001:db8::1]/", (), True),
        # this machine, however it is written, never
        ("https://localhost/", (), False),
        ("https://portal.demo.localhost:7800/", (), False),
        ("https://127.8.9.10/", (), False),
        ("https://[::1]:7800/", (), False),
        # a name that only looks like this machine does
        ("https://localhost.example.com/", (), True),
        ("https://127.0.0.1.example.com/", (), True),
        ("https://localhost:80@id.example.com/", (), True),
        # plain http goes nowhere but to this machine
        ("http://id.example.com/", (), False),
        # names: the host and what is below it, with or without a dot or a star before it
        ("https://id.example.com/", ("id.example.com",), False),
        ("https://id.example.com/", ("example.com",), False),
        ("https://id.example.com/", (".example.com",), False),
        ("https://id.example.com/", ("*.example.com",), False),
        ("https://ID.Example.com./", ("EXAMPLE.com",), False),
        ("https://evilexample.com/", ("example.com",), True),
        ("https://example.com.evil.test/", ("example.com",), True),
        ("https://id.example.com/", ("*",), False),
        ("https://id.example.com/", ("*.", ".", "*.*"), True),
        # with a port: that port alone
        ("https://id.example.com/", ("id.example.com:443",), False),
        ("https://id.example.com:8443/", ("id.example.com:443",), True),
        ("https://id.example.com:8443/", ("example.com:8443",), False),
        # networks
        ("https://10.0.0.7/", ("10.0.0.0/8",), False),
        ("https://10.0.0.7/", ("10.0.0.7",), False),
        ("https://10.0.0.7:8443/", ("10.0.0.7:8443",), False),
        ("https://11.0.0.7/", ("10.0.0.0/8",), True),
        ("https://[2001:db8::1]/", ("2001:db8::/32",), False),
        ("https://[2001:db8::1]/", ("[2001:db8::1]",), False),
        ("https://[2001:db8::1]:8443/", ("[2001:db8::1]:8443",), False),
        ("https://10.0.0.7/", ("0.0.7",), True),
        ("https://id.example.com/", ("10.0.0.0/8", "nonsense/", ""), True),
    ],
)
def test_what_goes_through_the_proxy(url: str, no_proxy: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001 - an expectation
    assert through(url, *no_proxy) is expected


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, "https_proxy"),
        ({"HTTPS_PROXY": PROXY, "all_proxy": "http://other:1"}, "HTTPS_PROXY"),
        ({"ALL_PROXY": f" {PROXY} ", "HTTPS_PROXY": " "}, "ALL_PROXY"),
    ],
)
def test_the_first_that_is_set_counts(environ: dict[str, str], name: str) -> None:
    egress = read_egress(environ)

    assert (egress.proxy, egress.proxy_name) == (PROXY, name)
    assert egress.proxy_for("https://id.example.com/") == PROXY


def test_a_proxy_for_plain_http_has_nothing_to_do() -> None:
    assert read_egress({"HTTP_PROXY": PROXY, "http_proxy": PROXY}).proxy is None


def test_exceptions_are_separated_by_commas_or_spaces() -> None:
    assert read_egress({"NO_PROXY": "a.test, b.test c.test,,"}).no_proxy == ("a.test", "b.test", "c.test")
    assert read_egress({"no_proxy": "a.test", "NO_PROXY": "b.test"}).no_proxy == ("a.test",)


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        (PROXY, PROXY, "proxy.example.com:3128"),
        ("proxy.example.com:3128", PROXY, "proxy.example.com:3128"),
        ("https://me:p%40ss@proxy.example.com/", "https://me:p%40ss@proxy.example.com", "proxy.example.com:443"),
        ("http://me:secret@[2001:db8::1]", "http://me:secret@[2001:db8::1]", "[2001:db8::1]:80"),
    ],
)
def test_a_proxy_is_shown_without_its_password(text: str, url: str, shown: str) -> None:
    assert read_proxy(text) == url
    assert format_proxy(read_proxy(text)) == shown
    assert "secret" not in repr(Egress(proxy=text))


@pytest.mark.parametrize(
    "text",
    [
        "socks5://me:secret@proxy.example.com:1080",
        "ftp://secret@proxy.example.com",
        "http://me:secret@",
        "http://me:secret@proxy.example.com:port",
        "http://me:secret@proxy.example.com:0",
        "http://me:secret@proxy.example.com/path",
        "http://me:secret@proxy.example.com/?query",
        "http://me:secret@proxy example.com",
        "http://me:secret@proxy.example.com\\evil",
        "http://me:secret@[2001:db8::1",
        "http://me:secret@próxy.example.com",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(NotAProxy) as caught:
        Egress(proxy=text).proxy_for("https://id.example.com/")

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert Egress(proxy=text).proxy_for("http://127.0.0.1:7800/") is None  # nobody needs it there


def public() -> ssl.SSLContext:
    """An authority of our own in the place of the public ones."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def test_a_bundle_of_the_environment_replaces_the_public_one_and_keeps_the_companys(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.append(issue(tmp_path / name, [f"{name}.example.com"]).authority)
    (tmp_path / "both.pem").write_bytes(files[0].read_bytes() + files[1].read_bytes())

    def believed(egress: Egress) -> int:
        return tls_context(egress, public=public).cert_store_stats()["x509"]

    assert believed(Egress()) == 0
    assert believed(Egress(authorities=files[0])) == 1
    assert believed(Egress(bundle=files[0], authorities=files[1])) == 2
    assert count_authorities(tmp_path / "both.pem") == 2
    for egress in (Egress(), Egress(bundle=files[0]), Egress(authorities=files[1])):
        context = tls_context(egress, public=public)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
def test_each_name_of_a_bundle_is_known(name: str, tmp_path: Path) -> None:
    egress = read_egress({name: str(tmp_path)})

    assert (egress.bundle, egress.bundle_name) == (tmp_path, name)


def test_a_folder_is_not_counted(tmp_path: Path) -> None:
    assert count_authorities(tmp_path) is None


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("no certificate", "no certificate in PEM")])
def test_a_bundle_that_cannot_be_used_says_why(content: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(NotABundle, match=said):
        tls_context(Egress(authorities=file), public=public)
