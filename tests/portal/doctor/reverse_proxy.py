"""A portal and one guarded app as real processes, behind an nginx that each test configures differently."""

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from portal.cli import main
from portal.machine.programs import GUNICORN
from tests.certificates import Certificate
from tests.journeys.reverse_proxy import nginx, whole_configuration
from tests.ports import free_ports
from tests.processes import PATIENCE, end, run

ROOT: Final = Path(__file__).parents[3]
PATH: Final = "run/forecast"
_TOML: Final = """
[portal]
url = "https://portal.demo.localhost:{proxy}"
internal_url = "http://127.0.0.1:{portal}"
data_dir = "data"
trust_apps = true
[[providers]]
id = "company"
label = "Example Company"
issuer = "http://127.0.0.1:{provider}"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.forecast]
url = "https://{host}:{proxy}{path}"
internal_url = "http://127.0.0.1:{app}"
open_to = ["everyone"]
"""
_APP: Final = """
import os

from gradio_apps.runtime.guard import Guard, guard_settings_from


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


app = Guard(hello, settings=guard_settings_from(os.environ))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """Portal and app behind the reverse proxy."""

    folder: Path
    environ: dict[str, str]
    ports: dict[str, int]
    certificate: Certificate
    written: str
    """The configuration that ``portal config nginx`` wrote, with the app's location."""


@contextmanager
def behind(folder: Path, certificate: Certificate, *, host: str, path: str, provider: int) -> Iterator[Behind]:
    """Run a portal, and an app at *host* under *path*, until the block ends."""
    ports = dict(zip(("proxy", "portal", "app"), free_ports(3), strict=True))
    text = _TOML.format(host=host, path=path, provider=provider, **ports)
    (folder / "portal.toml").write_text(text)
    (folder / "guarded.py").write_text(_APP)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")},
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_CONFIG": str(folder / "portal.toml"),
        "COMPANY_CLIENT_SECRET": "client-secret-of-ours",
        "PYTHONPATH": str(ROOT),
    }
    with contextlib.ExitStack() as stack:
        bind = ["--bind", f"127.0.0.1:{ports['portal']}", "--threads", "4"]
        run(stack, [*GUNICORN, *bind], cwd=folder, environ=environ)
        authority = f"portal.demo.localhost:{ports['proxy']}"
        _wait_for(f"http://127.0.0.1:{ports['portal']}/healthz", authority, folder)
        secret = _portal("apps", "secret", "forecast", cwd=folder, environ=environ)
        app_environ = {
            "PATH": environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PORTAL_URL": f"https://{authority}",
            "PORTAL_INTERNAL_URL": f"http://127.0.0.1:{ports['portal']}",
            "PORTAL_APP": "forecast",
            "PORTAL_APP_URL": f"https://{host}:{ports['proxy']}{path}",
            "PORTAL_APP_SECRET": secret.strip(),
        }
        app_environ |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
        at = [
            "--port",
            str(ports["app"]),
            "--no-proxy-headers",
            "--loop",
            "asyncio",
            "--http",
            "h11",
            "--lifespan",
            "off",
        ]
        uvicorn = [sys.executable, "-m", "uvicorn", "guarded:app", "--app-dir", str(folder), *at]
        run(stack, uvicorn, cwd=folder, environ=app_environ)
        _wait_for(f"http://127.0.0.1:{ports['app']}{path}/.portal/health", f"{host}:{ports['proxy']}", folder)
        yield Behind(
            folder=folder,
            environ=environ,
            ports=ports,
            certificate=certificate,
            written=_written(folder, environ, ports),
        )


@contextmanager
def reverse_proxy(behind: Behind, certificate: Certificate, change: Callable[[str], str] = str) -> Iterator[None]:
    """Run nginx with what ``portal config nginx`` wrote and *change* made of it, until the block ends."""
    text = behind.written
    text = text.replace("/certificate.pem", str(certificate.certificate)).replace("/key.pem", str(certificate.key))
    (behind.folder / "portal.conf").write_text(change(text))
    whole = whole_configuration(behind.folder, behind.folder / "portal.conf")
    log = behind.folder / "nginx.log"
    with log.open("wb") as output:
        process = subprocess.Popen([nginx(), "-p", str(behind.folder), "-c", str(whole)], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "nginx does not answer"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", behind.ports["proxy"])) == 0:
                    break
            time.sleep(0.02)
        yield
    finally:
        end(process)


def doctor(*arguments: str) -> int:
    """Run the command, in a thread: whoever calls may have a running event loop already."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(main, ["doctor", *arguments]).result()


def wrong(printed: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return warnings and problems, by subject and check, in the output of ``--json``."""
    found = json.loads(printed)["findings"]
    return {(one["subject"], one["check"]): one for one in found if one["level"] != "ok"}


def in_app(text: str, *lines: str) -> str:
    """Put *lines* into the app's location."""
    return re.sub(r"(    # forecast\n(?:.*\n)*?    location [^=]*\{\n)", lambda m: m[1] + "\n".join(lines) + "\n", text)


def _written(folder: Path, environ: dict[str, str], ports: dict[str, int]) -> str:
    """Return the configuration for an app that the supervisor starts; only these tests start it themselves."""
    toml = (folder / "portal.toml").read_text()
    port = f'source = "guarded.py"\nport = {ports["app"]}'
    (folder / "proxy.toml").write_text(
        re.sub(r'internal_url = "http://127\.0\.0\.1:\d+"\nopen_to', f"{port}\nopen_to", toml)
    )
    options = ["--config", str(folder / "proxy.toml"), "--port", str(ports["portal"])]
    options += ["--certificate", "/certificate.pem", "--key", "/key.pem"]
    return _portal("config", "nginx", *options, cwd=folder, environ=environ)


def _portal(*arguments: str, cwd: Path, environ: dict[str, str]) -> str:
    """Run a command of the portal and return what it printed."""
    command = [sys.executable, "-m", "portal.cli", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environ, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def _wait_for(url: str, host: str, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, headers={"Host": host}, timeout=5, trust_env=False).status_code == 200:
                return
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
