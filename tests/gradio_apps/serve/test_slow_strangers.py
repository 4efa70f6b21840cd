"""Attacks on what a process has little of: with 1,024 files, slow connections stop neither people nor sign-outs."""

import contextlib
import itertools
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gradio_apps.runtime.guard import GuardSettings
from gradio_apps.runtime.guard.connections import PER_PERSON
from gradio_apps.runtime.guard.cookies import CookieSeal
from gradio_apps.runtime.guard.running_requests import CLOSE_SIGNED_OUT
from portal.contract import LogoutToken, sign_logout_token
from portal.contract.descriptors import raise_limit
from tests.gradio_apps.serve.portal import BENS_SESSION, SESSION, SLUG, URL, a_portal
from tests.portal.contract.forging import KEY
from tests.ports import free_ports
from tests.processes import PATIENCE, end
from tests.slow_strangers import APP, slow_strangers

pytestmark = pytest.mark.usefixtures("processes")

FILES = 1024
"""systemd's default."""
STRANGERS = 1100
APP_URL = "http://forecast.demo.localhost:7871"
HOST = "forecast.demo.localhost:7871"
SECRET = "an-app-secret-of-32-characters-ok"
TICKET = (
    f"POST /.portal/session HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {URL}\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\n"
).encode()
NOTIFICATION = TICKET.replace(b"/session", b"/backchannel-logout")
REFUSED = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 90000\r\n\r\n".encode()
HALF_A_HEAD = b"GET / HTTP/1.1\r\nX: "
ANSWERED = f"GET /.portal/health HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() + HALF_A_HEAD
ATTACKS = {
    "a ticket, byte by byte": TICKET,
    "a logout token, byte by byte": NOTIFICATION,
    "a head, byte by byte": HALF_A_HEAD,
    "a refused request, byte by byte": REFUSED,
    "one answer, and then byte by byte": ANSWERED,
}
WITH_FEW_FILES = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
runpy.run_module("gradio_apps.serve", run_name="__main__")
"""


_sessions = itertools.count()


@dataclass(frozen=True)
class Served:
    """One app in a process with few descriptors."""

    port: int
    log: Path

    def headers(self, session: str) -> dict[str, str]:
        settings = GuardSettings(portal_url=URL, app=SLUG, app_url=APP_URL, secret=SECRET)
        cookie = f"{settings.cookie_name}={CookieSeal(settings).seal(session)}"
        return {"host": HOST, "cookie": cookie, "sec-fetch-site": "same-origin", "origin": APP_URL}

    def client(self, session: str) -> httpx.Client:
        url = f"http://127.0.0.1:{self.port}"
        return httpx.Client(base_url=url, headers=self.headers(session), timeout=PATIENCE, trust_env=False)

    def sign_out(self, session: str) -> None:
        """Do what the portal does when a person signs out: try until it is heard."""
        now = int(time.time())
        token = LogoutToken(
            id="logout-1", issuer=URL, audience=SLUG, session=session, issued_at=now, expires_at=now + 120
        )
        form = {"logout_token": sign_logout_token(token, key=KEY)}
        with httpx.Client(headers={"host": HOST}, timeout=2, trust_env=False) as client:
            address = f"http://127.0.0.1:{self.port}/.portal/backchannel-logout"
            until = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(httpx.TransportError):
                    assert client.post(address, data=form).status_code == 200
                    return
                assert time.monotonic() < until


@pytest.fixture(scope="module")
def served(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture
def session() -> str:
    """An app session of Ana's that no other test ends."""
    return f"app-session-{next(_sessions)}"


@contextlib.contextmanager
def serving(tmp_path: Path) -> Iterator[Served]:
    """Run an app in a process with few descriptors until the block ends."""
    raise_limit()  # of this process: it has both ends
    (tmp_path / "app.py").write_text(APP)
    [port] = free_ports(1)
    with a_portal() as portal, (tmp_path / "log").open("w") as log:
        environ = {
            **os.environ,
            "PORTAL_URL": URL,
            "PORTAL_INTERNAL_URL": portal,
            "PORTAL_APP": SLUG,
            "PORTAL_APP_URL": APP_URL,
            "PORTAL_APP_SECRET": SECRET,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_FEW_FILES, str(tmp_path / "app.py"), "--port", str(port)],
            env=environ,
            stdout=log,
            stderr=log,
        )
        try:
            one = Served(port, tmp_path / "log")
            wait_until_it_runs(one)
            yield one
        finally:
            end(process)


def wait_until_it_runs(served: Served) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(httpx.TransportError), served.client(SESSION) as client:
            if client.get("/.portal/health").json() == {"state": "running"}:
                return
        assert time.monotonic() < until, served.log.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("head", ATTACKS.values(), ids=ATTACKS)
def test_slow_strangers_stop_neither_people_nor_a_sign_out(served: Served, session: str, head: bytes) -> None:
    with served.client(session) as ana, ana.stream("GET", "/stream") as stream:
        chunks = stream.iter_raw()
        assert b"data: more" in next(chunks)
        with slow_strangers(("127.0.0.1", served.port), STRANGERS, head=head) as strangers:
            with served.client(BENS_SESSION) as ben:
                for _ in range(5):
                    assert ben.get("/").text == "hello"
            served.sign_out(session)
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                for _ in chunks:
                    pass
            assert strangers.refused > 0
    with served.client(session) as ana:
        assert ana.get("/").status_code == 401
    assert "Too many open files" not in served.log.read_text()


def test_connections_that_send_nothing_stop_neither_people_nor_a_sign_out(served: Served, session: str) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(STRANGERS):
            opened.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE))
        with served.client(session) as ana:
            assert ana.get("/").text == "hello"
        served.sign_out(session)


def test_sockets_of_one_person_stop_neither_others_nor_a_sign_out(served: Served, session: str) -> None:
    handshake = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    handshake["sec-websocket-key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    with contextlib.ExitStack() as opened:
        asked = [asking(opened, served, session, "/socket", **handshake) for _ in range(1010)]
        accepted = [sock for sock, status in asked if status == b"101"]
        assert (len(accepted), len(asked) - len(accepted)) == (PER_PERSON, 1010 - PER_PERSON)
        with served.client(session) as ana:
            assert ana.get("/").status_code == 429
        with served.client(BENS_SESSION) as ben:
            assert ben.get("/").text == "hello"
        served.sign_out(session)
        for sock in accepted:
            assert struct.pack("!H", CLOSE_SIGNED_OUT) in read_to_its_end(sock)


def asking(
    opened: contextlib.ExitStack, served: Served, session: str, path: str, **headers: str
) -> tuple[socket.socket, bytes]:
    """Ask for *path* as Ana over a connection of its own; return it and the status of the answer."""
    lines = [f"{name}: {value}" for name, value in (served.headers(session) | headers).items()]
    sock = opened.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE))
    sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", *lines, "\r\n"]).encode())
    return sock, sock.recv(65536).split(b" ")[1]


def read_to_its_end(sock: socket.socket) -> bytes:
    """Read what a WebSocket sends up to its close frame (RFC 6455, section 5.5.1)."""
    read = b""
    while b"\x88" not in read and (piece := sock.recv(65536)):
        read += piece
    return read


def test_streams_of_one_person_are_bounded_and_given_back(served: Served, session: str) -> None:
    with contextlib.ExitStack() as opened:
        statuses = [asking(opened, served, session, "/stream")[1] for _ in range(PER_PERSON + 5)]
        assert statuses == [b"200"] * PER_PERSON + [b"429"] * 5
    until = time.monotonic() + PATIENCE
    with served.client(session) as ana:
        while ana.get("/").status_code == 429:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert ana.get("/").text == "hello"


def test_an_app_that_has_used_up_everything_itself_still_hears_of_a_sign_out(tmp_path: Path, session: str) -> None:
    with serving(tmp_path) as served, served.client(session) as ana, ana.stream("GET", "/stream") as stream:
        chunks = stream.iter_raw()
        assert b"data: more" in next(chunks)
        with served.client(BENS_SESSION) as ben:
            assert int(ben.get("/use-up", headers={"connection": "close"}).text) > FILES // 2
        served.sign_out(session)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            for _ in chunks:
                pass
