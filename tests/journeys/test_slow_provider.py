"""A provider that answers after 35 seconds, under a real gunicorn: people who wait get a page; nobody else waits."""

import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from portal.machine.programs import portal_program
from portal.sign_in.providers.transport import DEFAULT_LIMITS
from tests.journeys.workers import KEY
from tests.ports import free_ports
from tests.processes import PATIENCE, end_in_time
from tests.provider.misbehaving import Answer, MisbehavingProvider, Request, misbehaving_provider

THREADS = 16
"""As ``portal serve`` has it."""
PEOPLE = DEFAULT_LIMITS.waiting + 4
_TLS = ssl.create_default_context()
"""Made once: each costs more than a request, and none is spoken here."""
_TOML = """
[portal]
url = "{url}"
data_dir = "data"
[apps.forecast]
url = "http://forecast.demo.localhost:9"
open_to = ["everyone"]
"""
_PROVIDER = """
[[providers]]
id = "{id}"
issuer = "{issuer}"
client_id = "portal"
client_secret_env = "{variable}"
"""


class Browser:
    """One browser without a page: it keeps cookies, and follows nothing by itself."""

    def __init__(self, url: str, port: int) -> None:
        self.url = url
        self.at = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}

    def get(self, target: str) -> httpx.Response:
        headers = {"Host": self.url.partition("//")[2], "Connection": "close"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = httpx.get(
            f"{self.at}{target.removeprefix(self.url)}", headers=headers, trust_env=False, timeout=PATIENCE, verify=_TLS
        )
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def begin(self, provider: str) -> str:
        answer = self.get(f"/auth/oauth/{provider}")
        assert answer.status_code == 303, answer.text
        return str(answer.headers["Location"])

    @property
    def is_signed_in(self) -> bool:
        return self.get("/account").status_code == 200


class Slow:
    """An endpoint that answers after 35 seconds, or when the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, _: Request) -> Answer | None:
        self.over.wait(35)
        return None


@contextmanager
def running_portal(folder: Path, *providers: tuple[str, MisbehavingProvider]) -> Iterator[tuple[str, int]]:
    """Run one worker until the block ends; yield the portal's address and its port."""
    (port,) = free_ports(1)
    url = f"http://portal.demo.localhost:{port}"
    tables = [_PROVIDER.format(id=name, issuer=one.issuer, variable="CLIENT_SECRET") for name, one in providers]
    (folder / "portal.toml").write_text(_TOML.format(url=url) + "".join(tables))
    environ = {**os.environ, "PORTAL_SECRET_KEY": KEY, "CLIENT_SECRET": "client-secret"}
    program = portal_program(port=port, environ=environ, cwd=folder, log=None, workers=1, threads=THREADS)
    with (folder / "portal.log").open("w") as log:
        process = subprocess.Popen(program.argv, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: answers(Browser(url, port)), process)
        yield url, port
    finally:
        end_in_time(process)


def answers(browser: Browser) -> bool:
    try:
        return browser.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until *holds*, for as long as a slow machine needs."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert process is None or process.poll() is None, "gunicorn ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.usefixtures("journey")
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token"], ids=["metadata", "token"])
def test_nobody_else_waits(tmp_path: Path, path: str) -> None:
    slow = Slow()
    with ExitStack() as stack:
        late, quick = (stack.enter_context(misbehaving_provider()) for _ in range(2))
        late.now = quick.now = int(time.time())
        url, port = stack.enter_context(running_portal(tmp_path, ("late", late), ("quick", quick)))
        people = [Browser(url, port) for _ in range(PEOPLE)]
        targets = ["/auth/oauth/late"] * PEOPLE
        if path == "/token":
            targets = [late.authorize(one.begin("late")) for one in people]
        late.respond[path] = slow
        stack.callback(slow.over.set)
        with ThreadPoolExecutor(PEOPLE) as threads:
            pages: list[Future[httpx.Response]] = [
                threads.submit(one.get, target) for one, target in zip(people, targets, strict=True)
            ]
            # Without a free slot the answer comes after a second; the others have nine more to wait.
            wait_until(lambda: sum(page.done() for page in pages) >= PEOPLE - DEFAULT_LIMITS.waiting)
            assert path in late.asked
            somebody = Browser(url, port)
            assert somebody.get("/healthz").status_code == 200
            assert "Continue with" in somebody.get("/sign-in").text
            assert somebody.get(quick.authorize(somebody.begin("quick"))).status_code == 303
            assert somebody.is_signed_in
            assert sum(page.done() for page in pages) == PEOPLE - DEFAULT_LIMITS.waiting
            answered = [page.result() for page in pages]
        assert not slow.over.is_set()

        for person, page in zip(people, answered, strict=True):
            assert page.status_code == 502
            assert "Reference" in page.text
            assert "Traceback" not in page.text
            assert not person.is_signed_in
