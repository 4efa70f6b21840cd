"""The whole house as an operator runs it: ``portal serve`` with its apps, and an independent provider.

Everything is a real process on loopback; nothing of it is left behind.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import requests

from tests.ports import free_ports
from tests.processes import end_in_time
from tests.provider.process import ACCOUNTS, RunningProvider, a_client, running_provider

ROOT: Final = Path(__file__).parents[2]
_START: Final = 240

Front: TypeAlias = Callable[[Path, Mapping[str, str], tuple[int, int]], AbstractContextManager[None]]
"""Runs a web server, given the folder of the deployment, the portal's environment, and both ports."""

PORTAL_TOML: Final = """
[portal]
url = "{portal}"
apps_url = "{apps_url}"
title = "Example AI"
landing = [{landing}]
internal_url = "http://127.0.0.1:{port}"
trust_apps = true
{portal_lines}
[[providers]]
id = "company"
label = "Example Company"
kind = "descope"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_env = "COMPANY_CLIENT_SECRET"
{provider_lines}
[roles.admin]
when = "contains(roles, 'Tenant Admin')"
rights = ["audit:read", "sign-ins:read", "sign-ins:end"]
"""

_OWN: Final = {
    "user-dashboard": """
[apps.user-dashboard]
source = "{root}/gradio_apps/user_dashboard.py"
title = "Your dashboard"
open_to = ["everyone"]
port = {port}
""",
    "admin-dashboard": """
[apps.admin-dashboard]
source = "{root}/gradio_apps/admin_dashboard.py"
title = "Administration"
open_to = ["admin"]
portal_api = ["audit:read", "sign-ins:read", "sign-ins:end"]
port = {port}
""",
    "showcase": """
[apps.showcase]
source = "{root}/gradio_apps/showcase.py"
title = "Showcase"
open_to = ["everyone"]
required = true
port = {port}
""",
}
_LANDING: Final = ("admin-dashboard", "user-dashboard")

ANOTHER_APP: Final = """
[apps.{slug}]
source = "{source}"
open_to = ["everyone"]
port = {port}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A portal that answers, with its apps."""

    url: str
    """Where a browser reaches the portal."""
    internal_url: str
    provider: RunningProvider
    apps: Mapping[str, str]
    """Address of each app, by slug."""
    folder: Path
    process: subprocess.Popen[str]
    environ: Mapping[str, str] = field(repr=False)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``portal`` as an operator would."""
        command = [sys.executable, "-m", "portal.cli", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=_START,
            check=False,
        )


@contextmanager
def running_deployment(
    folder: Path,
    *,
    portal: str = "portal.demo.localhost",
    apps: str = "{app}.demo.localhost",
    front: Front | None = None,
    own: Collection[str] = tuple(_OWN),
    more: Mapping[str, Path] | None = None,
    lines: str = "",
    portal_lines: str = "",
    provider_lines: str = "",
    back_channel: bool = False,
    client: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[Deployment]:
    """Run provider, portal and apps until the block ends.

    *portal* and *apps* are host names, *apps* with a path where there is one; with *front*, a web server
    with TLS stands there.  *own* are those of our apps that there are, *more* the sources of further apps, by slug;
    *lines* are of the last of them, *portal_lines* of the portal, *provider_lines* of the provider.  With
    *back_channel*, the provider sends logout tokens, one for all sign-ins of a person.  *client* is more of the
    portal's registration.
    """
    more = more or {}
    slugs = (*own, *more)
    port, front_port, *app_ports = free_ports(2 + len(slugs))
    ports = dict(zip(slugs, app_ports, strict=True))
    url = f"http://{portal}:{port}" if front is None else f"https://{portal}:{front_port}"
    host, _, path = apps.partition("/")
    apps_url = f"http://{host}:{{port}}/{path}" if front is None else f"https://{host}:{front_port}/{path}"
    apps_url = apps_url.rstrip("/")
    registration = {"backchannel_logout_uri": f"{url}/auth/oauth/company/backchannel-logout"} if back_channel else {}
    with running_provider(
        a_client(url, **registration, **(client or {})), accounts=options.pop("accounts", ACCOUNTS), **options
    ) as provider:
        (folder / "portal.toml").write_text(
            PORTAL_TOML.format(
                portal=url,
                apps_url=apps_url,
                port=port,
                issuer=provider.issuer,
                client_id=provider.client_id,
                portal_lines=portal_lines,
                provider_lines=provider_lines,
                landing=", ".join(f'"{slug}"' for slug in _LANDING if slug in own),
            )
            + "".join(_OWN[slug].format(root=ROOT, port=ports[slug]) for slug in own)
            + "".join(ANOTHER_APP.format(slug=slug, source=source, port=ports[slug]) for slug, source in more.items())
            + lines
        )
        environment = {
            **os.environ,
            "PORTAL_CONFIG": str(folder / "portal.toml"),
            "PORTAL_DATA_DIR": str(folder / "data"),
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
            "COMPANY_CLIENT_SECRET": provider.client_secret,
        }
        command = [sys.executable, "-m", "portal.cli", "serve", "--no-browser", "--port", str(port)]
        log = folder / "serve.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT, text=True
            )
        deployment = Deployment(
            url=url,
            internal_url=f"http://127.0.0.1:{port}",
            provider=provider,
            apps={slug: apps_url.format(app=slug, port=ports[slug]) for slug in slugs},
            folder=folder,
            process=process,
            environ=environment,
        )
        try:
            _wait_until_ready(deployment, ports, log)
            with contextlib.ExitStack() as before:
                if front is not None:
                    before.enter_context(front(folder, environment, (port, front_port)))
                yield deployment
        finally:
            end_in_time(process)


def _wait_until_ready(deployment: Deployment, ports: Mapping[str, int], log: Path) -> None:
    waiting = {f"{deployment.internal_url}/readyz": deployment.url} | {
        f"http://127.0.0.1:{port}{urlsplit(deployment.apps[slug]).path}/.portal/health": deployment.apps[slug]
        for slug, port in ports.items()
    }
    deadline = time.monotonic() + _START
    while waiting:
        assert deployment.process.poll() is None, f"portal serve ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"not ready: {waiting}\n{log.read_text()}"
        for address, origin in list(waiting.items()):
            with contextlib.suppress(requests.RequestException):
                host = urlsplit(origin).netloc
                if requests.get(address, headers={"Host": host}, timeout=5).status_code == 200:
                    del waiting[address]
        time.sleep(0.2)
