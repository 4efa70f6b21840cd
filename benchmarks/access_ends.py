"""How fast access ends, by cause: from the cause to the last byte of a stream, and to the first refused call.

A person streams in their apps.  Something ends their access; meanwhile a client that has kept their cookies calls the
portal and the apps every few milliseconds.  Everything is a real process: ``portal serve`` with its workers and apps,
and the provider.
"""

import argparse
import base64
import contextlib
import http.client
import io
import json
import math
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode, urlsplit

import requests

from benchmarks import results
from portal.cli import main as portal_command
from portal.settings import Secret
from portal.storage.sealing import Sealer
from tests.journeys.deployment import Deployment, running_deployment
from tests.journeys.plain_browser import PlainBrowser
from tests.ports import free_ports
from tests.provider.process import ACCOUNTS, Person
from tests.slow_strangers import APP

PATIENCE: Final = 60.0
"""Seconds after which access has not ended."""
_PAUSE: Final = 0.005
"""Seconds between two calls."""
_REDIRECTING: Final = threading.Lock()
"""Standard output is that of all threads."""
_FOR_ADMINS: Final = '\n[apps.admins]\nsource = "{source}"\nopen_to = ["admin"]\nport = {port}\n'

Act: TypeAlias = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A person who is signed in."""

    deployment: Deployment
    person: Person
    browser: PlainBrowser

    @property
    def sign_in_id(self) -> str:
        """The id of their latest sign-in."""
        email = self.deployment.provider.accounts[self.person.account]["email"]
        latest = "SELECT id FROM sign_ins WHERE identity LIKE ? ORDER BY rowid DESC LIMIT 1"
        (sign_in_id,) = self.query(latest, f'%"{email}"%')
        return str(sign_in_id)

    def query(self, statement: str, *values: object) -> tuple[object, ...]:
        """Return the first row of a statement that the portal's database executes."""
        with closing(sqlite3.connect(self.deployment.folder / "data" / "portal.db", timeout=60)) as database, database:
            row: tuple[object, ...] | None = database.execute(statement, values).fetchone()
            return row or ()


def sign_out(visit: Visit) -> Act:
    """Prepare the person's own sign-out."""
    portal, browser = visit.deployment.url, visit.browser
    csrf = browser.csrf(f"{portal}/sign-out")
    return lambda: browser.post(f"{portal}/sign-out", origin=portal, csrf=csrf)


def sign_out_everywhere(visit: Visit) -> Act:
    """Prepare the end of all the person's sign-ins, from another of their browsers."""
    portal, other = visit.deployment.url, PlainBrowser()
    other.sign_in(portal, Person(visit.person.account))
    csrf = other.csrf(f"{portal}/account")
    return lambda: other.post(f"{portal}/sign-out", origin=portal, csrf=csrf, everywhere="1")


def revoke(visit: Visit) -> Act:
    """Prepare what ``portal sign-ins revoke`` does once Python has loaded it."""
    sign_in_id = visit.sign_in_id

    def run() -> None:
        with _REDIRECTING, contextlib.redirect_stdout(io.StringIO()):
            assert portal_command(["sign-ins", "revoke", "--id", sign_in_id]) == 0

    return run


def sign_out_at_the_provider(visit: Visit) -> Act:
    """Prepare a sign-out at the provider's own page; the provider then sends a logout token."""
    return lambda: visit.person.end_session(visit.deployment.provider.issuer)


def show_the_providers_frame(visit: Visit) -> Act:
    """Prepare the request of the frame in the page that a provider shows at a sign-out there."""
    (sealed,) = visit.query("SELECT id_token FROM sign_ins WHERE id = ?", visit.sign_in_id)
    sealer = Sealer([Secret(visit.deployment.environ["PORTAL_SECRET_KEY"])], purpose="ID tokens")
    payload = (sealer.open(str(sealed)) or b"").split(b".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    query = urlencode({"iss": claims["iss"], "sid": claims["sid"]})
    url = f"{visit.deployment.url}/auth/oauth/company/frontchannel-logout?{query}"
    return lambda: PlainBrowser().get(url)


def refuse_to_refresh(visit: Visit) -> Act:
    """Prepare a provider that has withdrawn its grant, at the moment when a refresh is due."""
    visit.deployment.provider.revoke(visit.person.account)
    return _make_due(visit)


def take_the_role(visit: Visit) -> Act:
    """Prepare a refresh that brings a person without the role that opens the app."""
    visit.deployment.provider.change(visit.person.account, tenants={"acme": {"name": "Acme", "roles": []}})
    return _make_due(visit)


def _make_due(visit: Visit) -> Act:
    sign_in_id, due = visit.sign_in_id, "UPDATE sign_ins SET refresh_due_at = ?, checked_at = 0 WHERE id = ?"
    return lambda: visit.query(due, int(time.time()), sign_in_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Something that ends access."""

    prepare: Callable[[Visit], Act]
    account: str = "ana"
    apps: tuple[str, ...] = ("first", "second")
    """The apps where access ends."""
    and_portal: bool = True
    """Whether it ends in the portal too."""


CAUSES: Final[Mapping[str, Cause]] = {
    "the person signs out": Cause(prepare=sign_out),
    "the person signs out everywhere, in another browser": Cause(prepare=sign_out_everywhere),
    "`portal sign-ins revoke`, without the start of Python": Cause(prepare=revoke),
    "a sign-out at the provider: its page, and the logout token": Cause(prepare=sign_out_at_the_provider),
    "front-channel logout": Cause(prepare=show_the_providers_frame),
    "a refresh falls due, and the provider refuses": Cause(prepare=refuse_to_refresh),
    "a refresh falls due, and the role is gone": Cause(
        prepare=take_the_role, account="ada", apps=("admins",), and_portal=False
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How long one ending took, in seconds."""

    last_byte: float
    """Until the last byte of the last stream."""
    refused: float
    """Until the portal and every app had refused a call."""


def main() -> int:
    """Start, measure and print; with ``--write`` also into the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="endings by each cause")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results.md")
    options = parser.parse_args()
    measured: dict[str, list[Ending]] = {cause: [] for cause in CAUSES}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as deployment:
        for number in range(options.rounds):  # the causes alternate, so that what else the machine does falls on all
            for name, cause in CAUSES.items():
                measured[name].append(ending(deployment, cause))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    table = "\n".join(
        [
            "| cause | last byte, median | 99 % | first refused call, median | 99 % |",
            "|---|---|---|---|---|",
            *(f"| {name} | {_cells(measured[name])} |" for name in CAUSES),
        ]
    )
    print(table)
    if options.write:
        text = (
            f"{options.rounds} endings by each cause, in alternation. The time begins with the cause. It ends when the "
            "last byte of the last stream has come, and when the portal and every app have refused a call; each gets "
            f"one about every {round(_PAUSE * 1000)} ms. 99 % is the nearest rank.\n\n"
        )
        results.write("How fast access ends", text + table, command="make bench-access-ends")
    return 0


def _cells(endings: list[Ending]) -> str:
    columns = ([one.last_byte for one in endings], [one.refused for one in endings])
    figures = (figure for column in columns for figure in (statistics.median(column), _percentile(column, 99)))
    return " | ".join(f"{figure * 1000:.0f} ms" for figure in figures)


def _percentile(values: list[float], percent: int) -> float:
    """Return the nearest rank."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@contextlib.contextmanager
def running(folder: Path, *, lines: str = "", **options: Any) -> Iterator[Deployment]:
    """Run portal, provider and apps, of which the last is for administrators; *lines* are more of ``[portal]``."""
    source = folder / "app.py"
    source.write_text(APP, encoding="utf-8")
    (port,) = free_ports(1)
    with running_deployment(
        folder,
        own=(),
        more=dict.fromkeys(("first", "second"), source),
        lines=_FOR_ADMINS.format(source=source, port=port),
        portal_lines=f"sign_ins_per_minute = 1000000\n{lines}",
        provider_lines='prompt = "consent"\n',
        back_channel=True,
        client={"backchannel_logout_session_required": True},
        **options,
    ) as deployment:
        os.environ.update(deployment.environ)
        there = f"http://admins.demo.localhost:{port}"
        until = time.monotonic() + PATIENCE
        while PlainBrowser().get(f"{there}/.portal/health").status_code != 200:
            assert time.monotonic() < until, "the app for administrators does not answer"
            time.sleep(0.1)
        yield replace(deployment, apps={**deployment.apps, "admins": there})


def ending(deployment: Deployment, cause: Cause) -> Ending:
    """End the access of a person who has just come, and see how long it takes."""
    person, browser = Person(cause.account), PlainBrowser()
    deployment.provider.change(cause.account, **ACCOUNTS[cause.account])
    browser.sign_in(deployment.url, person)
    visit = Visit(deployment=deployment, person=person, browser=browser)
    for app in cause.apps:
        assert browser.open_app(deployment.url, app).status_code == 200
    addresses = [f"{deployment.apps[app]}/" for app in cause.apps]
    callers = [Caller(address, browser) for address in addresses]
    if cause.and_portal:
        callers.append(Caller(f"{deployment.url}/account", browser))
    streams = [Stream(browser.get(f"{deployment.apps[app]}/stream", stream=True)) for app in cause.apps]
    act = cause.prepare(visit)
    for one in (*callers, *streams):
        one.begin()
    begun = time.perf_counter()
    act()
    refused = max(caller.refused_at() for caller in callers)
    last_byte = max(stream.ended_at() for stream in streams)
    person.close()
    return Ending(last_byte=max(0.0, last_byte - begun), refused=refused - begun)


class Stream:
    """A stream that is read to its end."""

    def __init__(self, answer: requests.Response) -> None:
        assert answer.status_code == 200, answer.status_code
        self._answer = answer
        self._has_begun = threading.Event()
        self._last = 0.0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> None:
        """Read from now on; return once something has come."""
        self._thread.start()
        assert self._has_begun.wait(PATIENCE), "nothing came"

    def ended_at(self) -> float:
        """Wait for the end, and return when the last byte came."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the stream goes on"
        return self._last

    def _read(self) -> None:
        with contextlib.suppress(requests.RequestException):
            for _ in self._answer.iter_content(64):
                self._last = time.perf_counter()
                self._has_begun.set()


class Caller:
    """A client with the cookies that *browser* has now, which calls one address until it is refused."""

    def __init__(self, url: str, browser: PlainBrowser) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._headers = {"Host": parts.netloc, "Cookie": browser.cookie_for(url), "Sec-Fetch-Site": "same-origin"}
        self._connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=PATIENCE)
        self._refused_at: float | None = None
        self._was_served = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)

    def begin(self) -> None:
        """Call from now on; return once a call was answered."""
        self._thread.start()
        assert self._was_served.wait(PATIENCE), f"{self._headers['Host']} serves nothing"

    def refused_at(self) -> float:
        """Wait for the first refused call, and return when its answer came."""
        self._thread.join(PATIENCE)
        assert self._refused_at is not None, f"{self._headers['Host']} still serves"
        return self._refused_at

    def _call(self) -> None:
        with closing(self._connection):
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                self._connection.request("GET", self._path, headers=self._headers)
                answer = self._connection.getresponse()
                answer.read()
                if answer.status != 200:
                    assert answer.status in {303, 401}, answer.status
                    self._refused_at = time.perf_counter()
                    return
                self._was_served.set()
                time.sleep(_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
