"""The doctor with a real nginx: no finding for the configuration that the portal writes, one for each bad one."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.certificates import Certificate, issue
from tests.journeys.reverse_proxy import nginx
from tests.portal.doctor.provider import discovery
from tests.portal.doctor.reverse_proxy import Behind, behind, doctor, in_app, reverse_proxy, wrong

pytestmark = pytest.mark.usefixtures("journey")

NAMES = ["portal.demo.localhost", "forecast.apps.demo.localhost"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue(tmp_path_factory.mktemp("certificate"), NAMES)


@pytest.fixture(scope="module")
def on_a_host(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    nginx()  # or skip, before everything else is started
    folder = tmp_path_factory.mktemp("host")
    with (
        discovery() as provider,
        behind(folder, certificate, host="forecast.apps.demo.localhost", path="", provider=provider) as there,
    ):
        yield there


@pytest.fixture(scope="module")
def under_a_path(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    nginx()
    folder = tmp_path_factory.mktemp("path")
    with (
        discovery() as provider,
        behind(folder, certificate, host="portal.demo.localhost", path="/run/forecast", provider=provider) as there,
    ):
        yield there


@pytest.fixture
def examined(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[tuple[str, str], dict[str, str]]]:
    """Runs the doctor through a reverse proxy and returns warnings and problems."""

    def run(behind: Behind, *more: str, ca: Certificate | None = None) -> dict[tuple[str, str], dict[str, str]]:
        for name, value in behind.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(behind.folder)
        code = doctor("--json", "--ca", str((ca or behind.certificate).authority), *more)
        found = wrong(capsys.readouterr().out)
        assert code == (1 if any(one["level"] == "problem" for one in found.values()) else 0)
        return found

    return run


Examined = Callable[..., dict[tuple[str, str], dict[str, str]]]


def test_the_configuration_that_the_portal_writes_has_no_findings(
    on_a_host: Behind, certificate: Certificate, examined: Examined
) -> None:
    with reverse_proxy(on_a_host, certificate):
        assert examined(on_a_host, "--silence", "2") == {}


def test_nor_has_that_of_an_app_under_a_path(
    under_a_path: Behind, certificate: Certificate, examined: Examined
) -> None:
    with reverse_proxy(under_a_path, certificate):
        assert examined(under_a_path, "--quick") == {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """One configuration of nginx that breaks something, and the doctor's findings."""

    name: str
    change: Callable[[str], str]
    found: tuple[tuple[str, str], ...]
    fix: str
    """Is in the fix of each."""
    more: tuple[str, ...] = ("--quick",)


def drop(*lines: str) -> Callable[[str], str]:
    """Leave out the lines that begin like this."""

    def change(text: str) -> str:
        changed = "\n".join(line for line in text.split("\n") if not line.strip().startswith(lines))
        assert changed != text
        return changed

    return change


def instead(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def app_says(*lines: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        changed = in_app(text, *lines)
        assert changed != text
        return changed

    return change


def packed(text: str) -> str:
    """Compressed and buffered, as a careless ``gzip_types *`` has it."""
    return in_app(drop("proxy_buffering")(text), "gzip on;", "gzip_types text/event-stream;", "gzip_proxied any;")


def short(text: str) -> str:
    return in_app(drop("proxy_read_timeout 1h")(text), "proxy_read_timeout 2s;")


def small(text: str) -> str:
    return in_app(drop("client_max_body_size 0")(text), "client_max_body_size 1m;")


def appended(text: str) -> str:
    return instead("X-Forwarded-For $remote_addr;", "X-Forwarded-For $proxy_add_x_forwarded_for;")(text)


def bad_gateway(text: str) -> str:
    return re.sub(r"(    # forecast\n(?:.*\n)*?.*proxy_pass http://127.0.0.1):\d+;", r"\1:9;", text)


def both(check: str) -> tuple[tuple[str, str], ...]:
    return (("portal", check), ("forecast", check))


BAD = (
    Bad(name="buffered", change=drop("proxy_buffering"), found=(("forecast", "stream"),), fix="proxy_buffering off"),
    Bad(name="buffered and compressed", change=packed, found=(("forecast", "stream"),), fix="gzip_types"),
    Bad(
        name="silences cut",
        change=short,
        found=(("forecast", "silence"),),
        fix="proxy_read_timeout",
        more=("--silence", "4"),
    ),
    Bad(name="small uploads", change=small, found=(("forecast", "upload"),), fix="client_max_body_size"),
    Bad(
        name="host not passed",
        change=instead("Host $http_host;", "Host $proxy_host;"),
        found=both("host"),
        fix="proxy_set_header Host $http_host",
    ),
    Bad(
        name="client believed",
        change=instead("X-Forwarded-For $remote_addr;", "X-Forwarded-For $http_x_forwarded_for;"),
        found=both("client-address"),
        fix="X-Forwarded-For $remote_addr",
    ),
    Bad(name="client appended to", change=appended, found=both("client-address"), fix="do not append"),
    Bad(
        name="client not named",
        change=instead("X-Forwarded-For $remote_addr;", "X-Forwarded-For '';"),
        found=both("client-address"),
        fix="X-Forwarded-For $remote_addr",
    ),
    Bad(
        name="frames forbidden",
        change=app_says("add_header X-Frame-Options SAMEORIGIN always;"),
        found=(("forecast", "frame"),),
        fix="no add_header X-Frame-Options",
    ),
    Bad(
        name="a policy added",
        change=app_says("add_header Content-Security-Policy \"default-src 'self'\" always;"),
        found=(("forecast", "answer-headers"),),
        fix="add_header",
    ),
    Bad(
        name="a referrer policy added everywhere",
        change=instead(
            "    server_tokens off;", "    server_tokens off;\n    add_header Referrer-Policy no-referrer always;"
        ),
        found=both("answer-headers"),
        fix="add_header",
    ),
    Bad(name="without http2", change=instead(" ssl http2;", " ssl;"), found=both("http2"), fix="http2"),
    Bad(
        name="cookie flags rewritten",
        change=app_says("proxy_cookie_flags ~ nosecure samesite=strict;"),
        found=(("forecast", "cookie"),),
        fix="proxy_cookie_flags",
    ),
    Bad(
        name="websocket not passed",
        change=drop("proxy_set_header Upgrade", "proxy_set_header Connection"),
        found=(("forecast", "websocket"),),
        fix="Upgrade $http_upgrade",
    ),
    Bad(
        name="origin taken away",
        change=instead("    proxy_http_version 1.1;", "    proxy_http_version 1.1;\n    proxy_set_header Origin '';"),
        found=both("request-headers"),
        fix="proxy_set_header",
    ),
    Bad(name="nobody behind", change=bad_gateway, found=(("forecast", "answer"),), fix="portal check"),
    Bad(
        name="another sign-in in front",
        change=app_says("if ($cookie_other = '') { return 302 https://login.example.com/; }"),
        found=(("forecast", "answer"),),
        fix="portal config nginx",
    ),
)


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_a_bad_configuration_is_one_finding(
    bad: Bad, on_a_host: Behind, certificate: Certificate, examined: Examined
) -> None:
    with reverse_proxy(on_a_host, certificate, bad.change):
        found = examined(on_a_host, *bad.more)

    assert sorted(found) == sorted(bad.found)
    for one in found.values():
        assert bad.fix in one["fix"], one


PATHS = (
    (
        "stripped",
        r"location /run/forecast/ \{\n        proxy_pass http://127\.0\.0\.1:(\d+);",
        r"http://127.0.0.1:\1/;",
    ),
    (
        "decoded",
        r"location /run/forecast/ \{\n        proxy_pass http://127\.0\.0\.1:(\d+);",
        r"http://127.0.0.1:\1/run/forecast/;",
    ),
)


@pytest.mark.parametrize(("old", "new"), [path[1:] for path in PATHS], ids=[path[0] for path in PATHS])
def test_a_path_that_is_changed_is_one_finding(
    old: str, new: str, under_a_path: Behind, certificate: Certificate, examined: Examined
) -> None:
    def change(text: str) -> str:
        changed, count = re.subn(old, r"location /run/forecast/ {\n        proxy_pass " + new, text)
        assert count == 1
        return changed

    with reverse_proxy(under_a_path, certificate, change):
        found = examined(under_a_path, "--quick")

    assert list(found) == [("forecast", "path")]
    assert "proxy_pass http://127.0.0.1:PORT; without a path" in found["forecast", "path"]["fix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCertificate:
    """One that browsers warn of, or will soon."""

    name: str
    names: tuple[str, ...] = tuple(NAMES)
    ends: timedelta = timedelta(days=400)
    chain: bool = True
    by_itself: bool = False
    known: bool = True
    """Whether the doctor trusts its authority."""
    said: str
    fix: str


CERTIFICATES = (
    BadCertificate(name="expired", ends=timedelta(days=-1), said="has expired", fix="Renew"),
    BadCertificate(name="ending soon", ends=timedelta(days=3, hours=12), said="expires in 3 days", fix="Renew"),
    BadCertificate(
        name="of another name", names=("other.demo.localhost",), said="for another name", fix="names this host"
    ),
    BadCertificate(name="of an unknown authority", known=False, said="does not know", fix="--ca FILE"),
    BadCertificate(name="signed by itself", by_itself=True, chain=False, said="self-signed", fix="authority"),
    BadCertificate(name="without its chain", known=False, chain=False, said="chain is not complete", fix="fullchain"),
)


@pytest.mark.parametrize("bad", CERTIFICATES, ids=[bad.name for bad in CERTIFICATES])
def test_a_bad_certificate_is_one_finding_for_each_host(
    bad: BadCertificate, on_a_host: Behind, certificate: Certificate, examined: Examined, tmp_path: Path
) -> None:
    other = issue(tmp_path, bad.names, ends=bad.ends, chain=bad.chain, by_itself=bad.by_itself)
    with reverse_proxy(on_a_host, other):
        found = examined(on_a_host, "--quick", ca=other if bad.known else certificate)

    assert sorted(found) == [("forecast", "certificate"), ("portal", "certificate")]
    for one in found.values():
        assert bad.said in one["said"], one
        assert bad.fix in one["fix"], one


def test_names_providers_and_notifications_that_reach_no_server(
    on_a_host: Behind, certificate: Certificate, examined: Examined
) -> None:
    """
    Each is one finding, and the others are still checked.
    """
    text = (on_a_host.folder / "portal.toml").read_text()
    text = re.sub(r'issuer = "[^"]*"', 'issuer = "http://127.0.0.1:9"', text)
    text = re.sub(r'(internal_url = "http://127.0.0.1):\d+"\nopen_to', r'\1:9"\nopen_to', text)
    text += f'[apps.nowhere]\nurl = "https://nowhere.invalid:{on_a_host.ports["proxy"]}"\nopen_to = ["everyone"]\n'
    other = on_a_host.folder / "other.toml"
    other.write_text(text)
    with reverse_proxy(on_a_host, certificate):
        found = examined(on_a_host, "--quick", "--config", str(other))

    assert sorted(found) == [("forecast", "push"), ("nowhere", "name"), ("portal", "provider")]
    assert "does not resolve" in found["nowhere", "name"]["said"]
    assert "internal_url" in found["forecast", "push"]["fix"]
    assert "HTTPS_PROXY" in found["portal", "provider"]["fix"]


def test_without_keys_only_the_reverse_proxy_is_checked(
    on_a_host: Behind,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no configuration
    for name in ("PORTAL_CONFIG", "PORTAL_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    url = f"https://portal.demo.localhost:{on_a_host.ports['proxy']}"
    with reverse_proxy(on_a_host, certificate):
        assert doctor(url, "--ca", str(certificate.authority)) == 0
    printed = capsys.readouterr().out
    assert "Nothing is wrong." in printed
    assert "forecast" not in printed
    with reverse_proxy(on_a_host, certificate, instead("Host $http_host;", "Host $proxy_host;")):
        assert doctor(url, "--ca", str(certificate.authority), "--json") == 1
    assert list(wrong(capsys.readouterr().out)) == [("portal", "host")]


def test_an_app_with_another_secret(on_a_host: Behind, certificate: Certificate, examined: Examined) -> None:
    """
    The app goes on with the secret it had, which the portal does not know any more.
    """
    command = [sys.executable, "-m", "portal.cli", "apps", "secret", "forecast"]
    environ = on_a_host.environ
    with reverse_proxy(on_a_host, certificate):
        subprocess.run([*command, "--rotate"], cwd=on_a_host.folder, env=environ, check=True, capture_output=True)
        found = examined(on_a_host, "--quick")
    assert list(found) == [("forecast", "app-to-portal")]
    assert "portal apps secret forecast" in found["forecast", "app-to-portal"]["fix"]
