"""What ``portal config caddy`` writes, run by Caddy itself: TLS, names, forwarded headers, pieces as they come."""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from portal.cli.config import version_of_caddy
from portal.deployment.caddy import caddy_configuration
from portal.rules.catalogue import Catalogue
from tests.builders import an_app, settings_for
from tests.certificates import issue
from tests.ports import free_ports
from tests.processes import PATIENCE
from tests.provider.loopback_server import loopback_server

pytestmark = pytest.mark.usefixtures("journey")


def caddy() -> str:
    """Return the path of Caddy; skip the test where there is none."""
    found = shutil.which("caddy")
    if found is not None:
        return found
    explanation = "install Caddy (Debian: apt-get install caddy) to have it run its configuration"
    if os.environ.get("CI") == "true":
        pytest.fail(explanation)
    pytest.skip(explanation)


@dataclass
class Behind:
    """What stands behind the web server, and how it is asked."""

    port: int
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    begun: int = 0
    """Requests whose head arrived."""
    go_on: threading.Event = field(default_factory=threading.Event)
    """Set when the first piece of a stream has arrived."""


@contextlib.contextmanager
def behind() -> Iterator[Behind]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: one\n\n")
            self.wfile.flush()
            if self.path.endswith("/stream"):
                there.go_on.wait(PATIENCE)
                self.wfile.write(b"data: two\n\n")

        def do_POST(self) -> None:
            there.begun += 1
            length = int(self.headers["Content-Length"])
            while length:
                length -= len(self.rfile.read(min(length, 65536)))
            self.send_response(200)
            self.end_headers()

    with loopback_server(Handler) as port:
        there = Behind(port=port)
        try:
            yield there
        finally:
            there.go_on.set()


@contextlib.contextmanager
def running_caddy(folder: Path, text: str, *, port: int, http_port: int) -> Iterator[None]:
    """Run Caddy with the Caddyfile *text*, without what would clash with another: its admin port, and port 80."""
    (folder / "Caddyfile").write_text(text)
    home = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    adapted = subprocess.run(
        [caddy(), "adapt", "--config", str(folder / "Caddyfile")], env=home, capture_output=True, check=True
    )
    document = json.loads(adapted.stdout)
    document["admin"] = {"disabled": True}
    document["apps"]["http"]["http_port"] = http_port
    (folder / "caddy.json").write_text(json.dumps(document))
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [caddy(), "run", "--config", str(folder / "caddy.json")], env=home, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None, (folder / "caddy.log").read_text()
            assert time.monotonic() < deadline, (folder / "caddy.log").read_text()
            with contextlib.suppress(httpx.HTTPError), httpx.Client(trust_env=False) as client:
                client.get(f"http://127.0.0.1:{port}", timeout=5)
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:  # it waits for requests that are slow on purpose
            process.kill()
            process.wait()


def test_portal_and_apps_are_reached_with_headers_that_nobody_forged(tmp_path: Path) -> None:
    caddy()  # or skip, before everything else is started
    port, http_port = free_ports(2)
    certificate = issue(tmp_path, ["portal.demo.localhost", "apps.demo.localhost"])
    portal, apps = f"https://portal.demo.localhost:{port}", f"https://apps.demo.localhost:{port}"
    forged = {"X-Forwarded-For": "203.0.113.66", "Forwarded": "for=203.0.113.66", "X-Real-IP": "203.0.113.66"}
    with behind() as deployment, behind() as app:
        one = an_app(url=f"{apps}/one", source="app.py", port=app.port)
        text = caddy_configuration(
            settings_for(tmp_path, url=portal, catalogue=Catalogue((one,))),
            port=deployment.port,
            certificate=certificate.certificate,
            key=certificate.key,
            version=version_of_caddy(),
        )
        tls = ssl.create_default_context(cafile=certificate.authority)
        with (
            running_caddy(tmp_path, text, port=port, http_port=http_port),
            httpx.Client(verify=tls, trust_env=False, timeout=PATIENCE) as client,
        ):

            def ask(name: str, path: str) -> httpx.Request:
                headers = {"Host": f"{name}:{port}", **forged}
                url = f"https://127.0.0.1:{port}{path}"
                return client.build_request("GET", url, headers=headers, extensions={"sni_hostname": name})

            signing_in = client.send(ask("portal.demo.localhost", "/sign-in?a=b"))
            assert signing_in.status_code == 200
            assert signing_in.headers.get_list("Strict-Transport-Security") == ["max-age=31536000"]
            assert client.send(ask("portal.demo.localhost", "/metrics")).status_code == 404
            assert client.send(ask("apps.demo.localhost", "/two")).status_code == 404
            answer = client.send(ask("apps.demo.localhost", "/one/stream"), stream=True)
            pieces = answer.iter_text()
            assert next(pieces) == "data: one\n\n"  # while the app still holds back the other
            app.go_on.set()
            assert "".join(pieces) == "data: two\n\n"
            upload = client.build_request(
                "POST",
                f"https://127.0.0.1:{port}/one/upload",
                content=b"x" * (20 << 20),
                headers={"Host": f"apps.demo.localhost:{port}"},
                extensions={"sni_hostname": "apps.demo.localhost"},
            )
            assert client.send(upload).status_code == 200

    [(path, at_portal)], [(app_path, at_app)] = deployment.asked, app.asked
    assert (path, app_path) == ("/sign-in?a=b", "/one/stream")
    for headers, name in ((at_portal, "portal"), (at_app, "apps")):
        assert headers["host"] == f"{name}.demo.localhost:{port}"
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["x-forwarded-proto"] == "https"
        assert not {"forwarded", "x-real-ip"} & headers.keys()


def test_slow_forms_wait_in_the_web_server_and_hold_nothing_of_the_portal(tmp_path: Path) -> None:
    caddy()
    port, http_port = free_ports(2)
    name = "portal.demo.localhost"
    certificate = issue(tmp_path, [name])
    with behind() as deployment, contextlib.ExitStack() as stack:
        text = caddy_configuration(
            settings_for(tmp_path, url=f"https://{name}:{port}"),
            port=deployment.port,
            certificate=certificate.certificate,
            key=certificate.key,
            version=version_of_caddy(),
        )
        stack.enter_context(running_caddy(tmp_path, text, port=port, http_port=http_port))
        tls = ssl.create_default_context(cafile=certificate.authority)
        head = (
            f"POST /sign-in HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\nContent-Length: 9\r\n\r\n".encode()
        )
        slow: list[ssl.SSLSocket] = []
        for _ in range(60):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            slow.append(stack.enter_context(tls.wrap_socket(plain, server_hostname=name)))
            slow[-1].sendall(head + b"address")
        with httpx.Client(verify=tls, trust_env=False, timeout=PATIENCE) as client:
            url = f"https://127.0.0.1:{port}/sign-in"
            served = client.get(url, headers={"Host": f"{name}:{port}"}, extensions={"sni_hostname": name})
        assert served.status_code == 200
        assert deployment.begun == 0
        slow[0].sendall(b"=a")
        assert slow[0].recv(65536).startswith(b"HTTP/1.1 200 ")
        assert deployment.begun == 1
