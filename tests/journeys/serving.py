"""A whole ``portal serve``: gunicorn, supervisor and two apps behind their guards, in a folder that a House shares.

Signing in happens in this process, where the provider lets everybody in; the cookie that comes of it is then good at
the real portal.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.contract.introspection import HINT_APP_SESSION
from portal.contract.supervisor_messages import AppStatus, ListApps
from portal.machine.workers import children_of
from portal.rules.catalogue import Catalogue
from portal.rules.identity import Identity
from portal.settings import Secret
from portal.supervisor_socket import SupervisorError, ask, control_socket
from tests.builders import an_app
from tests.journeys.workers import COOKIE, KEY, TLS
from tests.portal.web.deployment import NAVIGATION, Deployment
from tests.ports import free_ports
from tests.processes import PATIENCE, end_in_time

SAMPLES: Final = Path(__file__).parents[1] / "samples"
_TOML: Final = """
[portal]
url = "{url}"
apps_url = "http://{{app}}.demo.localhost:{{port}}"
data_dir = "data"
trust_apps = true
[[providers]]
id = "company"
issuer = "http://127.0.0.1:9"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[roles.analyst]
groups = ["AI-Analysts"]
[apps.forecast]
source = "forecast.py"
port = {forecast}
open_to = ["analyst"]
[apps.other]
source = "other.py"
port = {other}
open_to = ["analyst"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is signed in, with both apps open."""

    cookie: str
    sids: dict[str, str]
    """Of the app sessions, by app."""
    own: dict[str, str]
    """``Cookie`` for each app."""


@dataclass(frozen=True, slots=True)
class Served:
    """What runs."""

    folder: Path
    process: "subprocess.Popen[str]"
    deployment: Deployment
    port: int
    ports: dict[str, int]
    environ: dict[str, str]
    in_the_end: ExitStack
    """Closes what was opened."""

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text()

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``portal`` as an operator would."""
        return subprocess.run(
            [sys.executable, "-m", "portal.cli", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def change(self, old: str, new: str) -> None:
        """Edit ``portal.toml``."""
        file = self.folder / "portal.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def apps(self) -> dict[str, AppStatus]:
        return {state.app: state for state in ask(control_socket(self.deployment.settings), ListApps()).apps}

    def children(self, word: str) -> list[int]:
        """Return the process ids of the children of ``portal serve`` whose command has *word*."""
        children = children_of(self.process.pid)
        return [one for one in children if word.encode() in Path(f"/proc/{one}/cmdline").read_bytes()]

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask the portal, on a connection of its own."""
        sent = {"Host": f"portal.demo.localhost:{self.port}", "Connection": "close", **headers}
        address = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(address, headers=sent, trust_env=False, timeout=PATIENCE, verify=TLS)

    def is_active(self, slug: str, sid: str) -> bool:
        """Introspect an app session, as the app does."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/oauth/introspect",
            data={"token": sid, "token_type_hint": HINT_APP_SESSION},
            auth=(slug, self.deployment.services.credentials.secret_of(slug).reveal()),
            headers={"Host": f"portal.demo.localhost:{self.port}", "Connection": "close"},
            trust_env=False,
            timeout=PATIENCE,
            verify=TLS,
        )
        return bool(answer.json()["active"])

    def client(self, slug: str, person: Person, **headers: str) -> httpx.Client:
        """Return a client of an app, which keeps its connections."""
        host = f"{slug}.demo.localhost:{self.ports[slug]}"
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[slug]}",
            headers={"Host": host, "Cookie": person.own[slug], "Sec-Fetch-Site": "same-origin", **headers},
            trust_env=False,
            timeout=PATIENCE,
            verify=TLS,
        )
        return self.in_the_end.enter_context(client)

    def person(self, identity: Identity | None = None) -> Person:
        """Sign *identity* in (Ana, if none is given), and open both apps."""
        browser = self.deployment.signed_in(identity)
        kept = browser.get_cookie(COOKIE, domain="portal.demo.localhost")
        assert kept is not None
        return self.opened(kept.value)

    def opened(self, cookie: str) -> Person:
        """Open both apps for the person whom the portal knows by *cookie*."""
        sids, own = {}, {}
        for slug, port in self.ports.items():
            launched = self.get(f"/apps/{slug}/.portal/launch", Cookie=f"{COOKIE}={cookie}", **NAVIGATION)
            found = re.search(r'name="ticket" value="([^"]*)"', launched.text)
            assert found is not None, launched.text
            opened = httpx.post(
                f"http://127.0.0.1:{port}/.portal/session",
                data={"ticket": found[1]},
                headers={
                    "Host": f"{slug}.demo.localhost:{port}",
                    "Origin": f"http://portal.demo.localhost:{self.port}",
                    "Connection": "close",
                },
                trust_env=False,
                timeout=PATIENCE,
            )
            assert opened.status_code == 303, opened.text
            own[slug] = opened.headers["set-cookie"].partition(";")[0]
            sids[slug] = own[slug].partition("=")[2].partition(".")[0]
        return Person(cookie=cookie, sids=sids, own=own)


@contextmanager
def served(folder: Path, *, forecast: str = "steady.py") -> Iterator[Served]:
    """Run ``portal serve`` until the block ends, and until then both apps."""
    port, *apps = free_ports(3)
    ports = dict(zip(("forecast", "other"), apps, strict=True))
    url = f"http://portal.demo.localhost:{port}"
    (folder / "portal.toml").write_text(_TOML.format(url=url, **ports))
    (folder / "forecast.py").write_text((SAMPLES / forecast).read_text())
    (folder / "other.py").write_text((SAMPLES / "plain_asgi.py").read_text())
    catalogue = Catalogue(
        tuple(
            an_app(slug=slug, title=slug.title(), url=f"http://{slug}.demo.localhost:{own}", source=f"{slug}.py")
            for slug, own in ports.items()
        )
    )
    deployment = Deployment(folder / "data", url=url, secret_keys=(Secret(KEY),), catalogue=catalogue)

    class Browser(FlaskClient):
        def open(self, *args: Any, **kwargs: Any) -> TestResponse:
            kwargs.setdefault("base_url", url)
            return super().open(*args, **kwargs)

    deployment.app.test_client_class = Browser
    deployment.now = int(time.time())
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "OAUTH_"))}
    environ |= {"PORTAL_SECRET_KEY": KEY, "COMPANY_CLIENT_SECRET": "a-client-secret", "PYTHONUNBUFFERED": "1"}
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", "serve", "--no-browser"],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    in_the_end = ExitStack()
    running = Served(folder, process, deployment, port, ports, environ, in_the_end)
    try:
        wait_until(lambda: running.get("/readyz").status_code == 200, running)
        wait_until(lambda: all(app.state == "running" for app in running.apps().values()), running)
        yield running
    finally:
        in_the_end.close()
        end_in_time(process)


def wait_until(holds: Callable[[], bool], running: Served) -> None:
    """Wait until *holds*, for as long as a slow machine needs."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert running.process.poll() is None, running.log
        with suppress(httpx.TransportError, SupervisorError):
            if holds():
                return
        assert time.monotonic() < deadline, running.log
        time.sleep(0.1)


@dataclass(slots=True)
class Load:
    """Requests that go on until stopped, and what became of them."""

    stop: threading.Event = field(default_factory=threading.Event)
    good: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, float, float, str]] = field(default_factory=list)
    """Kind, when it began and ended, and what was wrong."""
    longest: dict[str, float] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)

    def add(self, kind: str, ask: Callable[[], str | None]) -> None:
        """Have *ask* called again and again; it returns what is wrong, or raises."""

        def go_on() -> None:
            while not self.stop.is_set():
                began = time.monotonic()
                try:
                    wrong = ask()
                except (httpx.HTTPError, ValueError, LookupError) as error:
                    wrong = repr(error)
                ended = time.monotonic()
                self.longest[kind] = max(self.longest.get(kind, 0.0), ended - began)
                if wrong is None:
                    self.good[kind] += 1
                else:
                    self.bad.append((kind, began, ended, wrong))
                self.stop.wait(0.1)  # so that what is measured has something of the machine, too

        thread = threading.Thread(target=go_on)
        self._threads.append(thread)
        thread.start()

    def end(self) -> None:
        """Ask for the end, and wait for it."""
        self.stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def counts(self) -> str:
        message = ", ".join(f"{count} {kind} (longest {self.longest[kind]:.2f} s)" for kind, count in self.good.items())
        return f"good: {message}; failed: {len(self.bad)}"


_hashes = itertools.count()


def predicted(client: httpx.Client, api: str, number: int) -> str | None:
    """Ask the app *api* through Gradio's queue, as its page does; return what is wrong with what came."""
    session = f"session{next(_hashes)}"
    names = {one["api_name"]: one["id"] for one in client.get("/config").raise_for_status().json()["dependencies"]}
    body = {"data": [number], "fn_index": names[api], "session_hash": session}
    joined = client.post("/gradio_api/queue/join", json=body)
    if joined.status_code == 307:  # a browser follows by itself, body and all; it also finds names under .localhost
        joined = client.post(urlsplit(joined.headers["location"]).path, json=body)
    if joined.status_code != 200:
        return f"join: {joined.status_code} {joined.text}"
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    said = [json.loads(line.removeprefix("data: ")) for line in lines]
    done = [one for one in said if one["msg"] == "process_completed"]
    if len(done) != 1 or not done[0]["success"]:
        return f"data: {said}"
    wanted = str(2 * number) if api == "double" else str(number)
    value = str(done[0]["output"]["data"][0])
    return None if value.startswith(f"{wanted} by ") else f"data: {value}"
