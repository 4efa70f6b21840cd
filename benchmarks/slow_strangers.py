"""Many slow strangers: thousands of connections that send a byte a second, at an app and at the portal.

Measured is what others see meanwhile: how long a page of the portal and an answer of the app take, and how long after
the sign-out the last byte of a running stream arrives.  Everything is a real process: `portal serve`, a provider, and
nginx or Caddy with what `portal config` wrote, or nothing in front.
"""

import argparse
import contextlib
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from benchmarks.access_ends import Stream
from portal.contract.descriptors import raise_limit
from tests.certificates import Certificate, issue
from tests.journeys.deployment import Deployment, running_deployment
from tests.journeys.plain_browser import PlainBrowser
from tests.journeys.reverse_proxy import running_proxy
from tests.portal.deployment.test_caddy_runs import running_caddy
from tests.ports import free_ports
from tests.provider.process import Person
from tests.slow_strangers import APP, SlowStrangers

PORTAL = "portal.demo.localhost"
CONNECTIONS = 16_384
"""What ``docs/deploy.md`` has nginx take; its usual 512 or 768 are used up by nginx's own strangers."""
ROUNDS = 20
PATIENCE = 10.0
"""Seconds after which an answer does not count as one."""
WITHIN = 1.0
"""Seconds within which the sign-out is to cut the stream."""

Front = Callable[[Path, Mapping[str, str], tuple[int, int]], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Row:
    """What others saw while strangers were slow at one target, through one web server."""

    front: str
    target: str
    strangers: int
    portal_ms: float | None
    portal_worst_ms: float | None
    app_ms: float | None
    app_worst_ms: float | None
    cut_s: float | None
    """From the sign-out to the last byte of a stream."""

    @property
    def holds(self) -> bool:
        """Whether everybody was served, and the stream was cut in time."""
        served = self.portal_ms is not None and self.app_ms is not None
        return served and self.cut_s is not None and self.cut_s <= WITHIN


def main() -> int:
    """Start, measure and print; return 0 if everything holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strangers", type=int, default=2000)
    parser.add_argument("--front", choices=["none", "nginx", "caddy"], action="append", help="default: each of them")
    parser.add_argument("--target", choices=["app", "portal"], action="append", help="default: both")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    raise_limit()
    rows = []
    for front in options.front or ["none", "nginx", "caddy"]:
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), front) as (deployment, authority):
            for target in options.target or ["app", "portal"]:
                row = measured(deployment, authority, front=front, target=target, count=options.strangers)
                rows.append(row)
                if not options.json:
                    print(line(row), flush=True)
    if options.json:
        print(json.dumps([{**asdict(row), "holds": row.holds} for row in rows], indent=2))
    return 0 if all(row.holds for row in rows) else 1


@contextlib.contextmanager
def running(folder: Path, front: str) -> Iterator[tuple[Deployment, Path | None]]:
    """Run portal, provider and app, behind *front*; give who signed its certificate."""
    (folder / "app.py").write_text(APP)
    more = {"stream": folder / "app.py"}
    if front == "none":
        with running_deployment(folder, own=(), more=more) as deployment:
            yield deployment, None
        return
    certificate = issue(folder, [PORTAL, "stream.demo.localhost"])
    fronts: dict[str, Front] = {
        "nginx": lambda place, environ, ports: running_proxy(
            place, environ, certificate, ports=ports, connections=CONNECTIONS
        ),
        "caddy": lambda place, environ, ports: caddy(place, environ, certificate, ports=ports),
    }
    with running_deployment(folder, own=(), more=more, front=fronts[front]) as deployment:
        yield deployment, certificate.authority


@contextlib.contextmanager
def caddy(
    folder: Path, environ: Mapping[str, str], certificate: Certificate, *, ports: tuple[int, int]
) -> Iterator[None]:
    """Run Caddy with what ``portal config caddy`` wrote."""
    command = [sys.executable, "-m", "portal.cli", "config", "caddy", "--port", str(ports[0])]
    command += ["--certificate", str(certificate.certificate), "--key", str(certificate.key)]
    command += ["--output", str(folder / "written")]
    subprocess.run(command, env=dict(environ), cwd=folder, check=True, timeout=120, stdout=subprocess.DEVNULL)
    [http_port] = free_ports(1)
    with running_caddy(folder, (folder / "written").read_text(), port=ports[1], http_port=http_port):
        yield


def measured(deployment: Deployment, authority: Path | None, *, front: str, target: str, count: int) -> Row:
    """Have *count* strangers be slow at *target*, and look what a person sees meanwhile."""
    app = deployment.apps["stream"]
    browser = PlainBrowser(authority=authority, patience=PATIENCE)
    browser.sign_in(deployment.url, Person("ada"))
    browser.open_app(deployment.url, "stream")
    there = urlsplit(app if target == "app" else deployment.url)
    path = "/.portal/session" if target == "app" else "/sign-in"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {there.netloc}\r\nOrigin: {deployment.url}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\n"
    ).encode()
    tls = None if authority is None else ssl.create_default_context(cafile=authority)
    with SlowStrangers(("127.0.0.1", there.port or 443), count, head=head, tls=tls, name=there.hostname) as strangers:
        until = time.monotonic() + 30  # not all get in where there is a bound
        while strangers.opened < count and time.monotonic() < until:
            time.sleep(0.1)
        portal_times = times(lambda: browser.get(deployment.url))
        app_times = times(lambda: browser.get(f"{app}/"))
        cut = cut_after(browser, deployment, app)
        came = strangers.opened
    return Row(front, target, came, *summary(portal_times), *summary(app_times), cut)


def times(get: Callable[[], requests.Response]) -> list[float] | None:
    """Return how many milliseconds each of some answers took, or ``None`` where one did not come."""
    found = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        try:
            status = get().status_code
        except requests.RequestException:
            return None
        if status >= 400:
            return None
        found.append((time.perf_counter() - begun) * 1000)
    return found


def summary(found: list[float] | None) -> tuple[float | None, float | None]:
    """Return median and worst."""
    return (None, None) if found is None else (round(statistics.median(found), 1), round(max(found), 1))


def cut_after(browser: PlainBrowser, deployment: Deployment, app: str) -> float | None:
    """Sign out while a stream runs; return how many seconds later its last byte came."""
    try:
        stream = Stream(browser.get(f"{app}/stream", stream=True))
        stream.begin()
        csrf = browser.csrf(f"{deployment.url}/sign-out")
        begun = time.perf_counter()
        browser.post(f"{deployment.url}/sign-out", origin=deployment.url, csrf=csrf)
        return round(max(0.0, stream.ended_at() - begun), 3)
    except (requests.RequestException, AssertionError):
        return None


def line(row: Row) -> str:
    """Return *row* as a line for people."""

    def shown(value: float | None, unit: str) -> str:
        return "not reached" if value is None else f"{value} {unit}"

    parts: list[Any] = [
        f"{row.front:6} {row.strangers} at the {row.target:7}",
        f"portal {shown(row.portal_ms, 'ms')} (worst {shown(row.portal_worst_ms, 'ms')})",
        f"app {shown(row.app_ms, 'ms')} (worst {shown(row.app_worst_ms, 'ms')})",
        f"stream cut after {shown(row.cut_s, 's')}",
        "holds" if row.holds else "DOES NOT HOLD",
    ]
    return "   ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
