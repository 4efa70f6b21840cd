"""A portal under a real gunicorn with two workers, in a folder that a House in this process shares.

Signing in happens in this process, where the provider lets everybody in; the cookie that comes of it is
then good at the workers, as it is after a restart.
"""

import contextlib
import os
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.machine.programs import GUNICORN
from portal.rules.catalogue import Catalogue
from portal.settings import Secret
from tests.builders import an_app
from tests.portal.web.deployment import NAVIGATION, Deployment
from tests.ports import free_ports
from tests.processes import PATIENCE, end_in_time

KEY: Final = "zB1-kept-from-everybody-0123456789abcdefgh"
COOKIE: Final = "__Host-portal"
WORKERS: Final = 2
TLS: Final = ssl.create_default_context()
"""Made once: each costs more than a request, and none is spoken here."""

_TOML: Final = """
[portal]
url = "{url}"
data_dir = "data"
[[providers]]
id = "company"
issuer = "http://127.0.0.1:9"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[roles.analyst]
groups = ["AI-Analysts"]
[apps.forecast]
url = "http://forecast.demo.localhost:9"
open_to = ["analyst"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What runs."""

    port: int
    deployment: Deployment
    process: subprocess.Popen[str]
    data: Path
    secret: str
    """Of the app."""

    @property
    def host(self) -> str:
        return f"portal.demo.localhost:{self.port}"

    def get(self, path: str, *, cookie: str | None = None, **headers: str) -> httpx.Response:
        """Ask once, on a connection of its own."""
        sent = {"Host": self.host, "Connection": "close", **headers}
        if cookie is not None:
            sent["Cookie"] = f"{COOKIE}={cookie}"
        return httpx.get(
            f"http://127.0.0.1:{self.port}{path}", headers=sent, trust_env=False, timeout=PATIENCE, verify=TLS
        )

    def ask(self, form: dict[str, str]) -> httpx.Response:
        """Introspect, as the app does."""
        return httpx.post(
            f"http://127.0.0.1:{self.port}/oauth/introspect",
            data=form,
            auth=("forecast", self.secret),
            headers={"Host": self.host, "Connection": "close"},
            trust_env=False,
            timeout=PATIENCE,
            verify=TLS,
        )

    def signed_in(self) -> str:
        """Return the cookie of somebody who signed in."""
        browser = self.deployment.signed_in()
        cookie = browser.get_cookie(COOKIE, domain="portal.demo.localhost")
        assert cookie is not None
        return cookie.value

    def ticket(self, cookie: str) -> str:
        """Return the ticket of a launch at the workers."""
        answer = self.get("/apps/forecast/.portal/launch", cookie=cookie, **NAVIGATION)
        assert answer.status_code == 200, answer.text
        found = re.search(r'name="ticket" value="([^"]*)"', answer.text)
        assert found is not None
        return found[1]

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def serving(self) -> list[int]:
        """Return the process ids of the workers that have loaded the portal: each has started its outbox's thread."""
        return [pid for pid in self.workers() if len(list(Path(f"/proc/{pid}/task").iterdir())) > 1]


@contextmanager
def running_portal(folder: Path) -> Iterator[Portal]:
    """Run gunicorn until the block ends."""
    (port,) = free_ports(1)
    url = f"http://portal.demo.localhost:{port}"
    data = folder / "data"
    (folder / "portal.toml").write_text(_TOML.format(url=url))
    forecast = an_app(url="http://forecast.demo.localhost:9")
    deployment = Deployment(data, url=url, secret_keys=(Secret(KEY),), catalogue=Catalogue((forecast,)))

    class Browser(FlaskClient):
        def open(self, *args: Any, **kwargs: Any) -> TestResponse:
            kwargs.setdefault("base_url", url)
            return super().open(*args, **kwargs)

    deployment.app.test_client_class = Browser
    secret = deployment.services.credentials.secret_of("forecast").reveal()
    deployment.now = int(time.time())
    environ = {**os.environ, "PORTAL_SECRET_KEY": KEY, "COMPANY_CLIENT_SECRET": "a-client-secret"}
    command = [*GUNICORN, "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--threads", "8"]
    with (folder / "portal.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT, text=True)
    portal = Portal(port=port, deployment=deployment, process=process, data=data, secret=secret)
    try:
        wait_until(lambda: portal.get("/readyz").status_code == 200, portal)
        # One answers before the other has loaded; whoever ends that one would leave nobody to ask.
        wait_until(lambda: len(portal.serving()) == WORKERS, portal)
        yield portal
    finally:
        end_in_time(process)


def wait_until(holds: Callable[[], bool], portal: Portal) -> None:
    """Wait until *holds*, for as long as a slow machine needs."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert portal.process.poll() is None, "gunicorn ended"
        with contextlib.suppress(httpx.TransportError, FileNotFoundError):  # also: a process that just ended
            if holds():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)
