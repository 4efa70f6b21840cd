"""Apps that run elsewhere: independent processes behind the same guard, with nothing but HTTP to the portal.

The portal runs under gunicorn.  The apps know its address and their own secret; folder, home and
environment are theirs.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from portal.machine.programs import GUNICORN
from tests.journeys.deployment import ROOT
from tests.journeys.plain_browser import PlainBrowser
from tests.ports import free_ports
from tests.processes import PATIENCE, run
from tests.provider.process import Person, a_client, running_provider

pytestmark = pytest.mark.usefixtures("journey")
UVICORN = ["--no-proxy-headers", "--loop", "asyncio", "--http", "h11"]
"""As ``docs/apps.md`` says."""
CONFIGURATION = """
[portal]
url = "{portal}"

[[providers]]
id = "company"
kind = "descope"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_env = "COMPANY_CLIENT_SECRET"

[apps.forecast]
url = "{forecast}"
internal_url = "http://127.0.0.1:{forecast_port}"
open_to = ["everyone"]

[apps.two-lines]
url = "{two_lines}"
internal_url = "http://127.0.0.1:{two_lines_port}"
open_to = ["everyone"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A portal, and where its two apps are."""

    portal: str
    forecast: str
    two_lines: str


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("portal")
    port, forecast_port, two_lines_port = free_ports(3)
    there = Elsewhere(
        portal=f"http://portal.demo.localhost:{port}",
        forecast=f"http://forecast.demo.localhost:{forecast_port}",
        two_lines=f"http://two-lines.demo.localhost:{two_lines_port}",
    )
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(running_provider(a_client(there.portal)))
        (folder / "portal.toml").write_text(
            CONFIGURATION.format(
                portal=there.portal,
                issuer=provider.issuer,
                client_id=provider.client_id,
                forecast=there.forecast,
                forecast_port=forecast_port,
                two_lines=there.two_lines,
                two_lines_port=two_lines_port,
            )
        )
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")},
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
            "COMPANY_CLIENT_SECRET": provider.client_secret,
        }
        bind = ["--bind", f"127.0.0.1:{port}", "--threads", "8"]
        run(stack, [*GUNICORN, *bind], cwd=folder, environ=environ)
        wait_for(f"http://127.0.0.1:{port}/readyz", there.portal, folder)

        def secret_of(slug: str) -> str:
            command = [sys.executable, "-m", "portal.cli", "apps", "secret", slug]
            made = subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True, text=True)
            return made.stdout.strip()

        own = tmp_path_factory.mktemp("elsewhere")
        shutil.copy(ROOT / "tests" / "samples" / "interface.py", own / "app.py")
        shutil.copy(ROOT / "tests" / "samples" / "two_lines.py", own)
        for slug, url, app_port, command in (
            ("forecast", there.forecast, forecast_port, ["-m", "gradio_apps.serve", "app.py"]),
            ("two-lines", there.two_lines, two_lines_port, ["-m", "uvicorn", "two_lines:app", *UVICORN]),
        ):
            variables = {
                "PATH": os.environ["PATH"],
                "HOME": str(own),
                "PORTAL_URL": there.portal,
                "PORTAL_INTERNAL_URL": f"http://127.0.0.1:{port}",  # Python does not resolve *.localhost everywhere
                "PORTAL_APP": slug,
                "PORTAL_APP_URL": url,
                "PORTAL_APP_SECRET": secret_of(slug),
            }
            run(stack, [sys.executable, *command, "--port", str(app_port)], cwd=own, environ=variables)
            wait_for(f"http://127.0.0.1:{app_port}/.portal/health", url, own)
        yield there


def wait_for(url: str, public: str, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, headers={"Host": public.partition("://")[2]}, timeout=5).status_code == 200:
                return
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)


def signed_in(portal: str) -> PlainBrowser:
    browser = PlainBrowser()
    browser.sign_in(portal, Person("ada"))
    return browser


def sign_out(browser: PlainBrowser, portal: str) -> None:
    csrf = browser.csrf(f"{portal}/sign-out")
    assert browser.post(f"{portal}/sign-out", origin=portal, csrf=csrf).status_code in {200, 303}


def test_a_served_app_opens_answers_and_closes_with_the_sign_out(elsewhere: Elsewhere) -> None:
    stranger = PlainBrowser().get(f"{elsewhere.forecast}/config")
    assert stranger.headers["Location"] == f"{elsewhere.portal}/apps/forecast/config"

    browser = signed_in(elsewhere.portal)
    opened = browser.open_app(elsewhere.portal, "forecast")
    assert opened.status_code == 200, opened.text
    assert "gradio" in opened.text
    config = browser.get(f"{elsewhere.forecast}/config").json()
    assert config["username"] == "ada@example.com"
    assert config["root"] == elsewhere.forecast

    sign_out(browser, elsewhere.portal)
    call = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    deadline = time.monotonic() + 30  # half of what it would take the guard to ask by itself
    while (status := browser.get(f"{elsewhere.forecast}/config", headers=call).status_code) == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert status == 401


def test_two_lines_guard_an_app_of_ones_own_and_the_sign_out_cuts_its_stream(elsewhere: Elsewhere) -> None:
    browser = signed_in(elsewhere.portal)
    assert browser.open_app(elsewhere.portal, "two-lines").text == "hello Ada Admin"

    with browser.get(urljoin(elsewhere.two_lines, "/ticks"), stream=True) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b"tick"
        sign_out(browser, elsewhere.portal)
        deadline = time.monotonic() + 30
        with contextlib.suppress(requests.RequestException):  # cut off in the middle, not ended in order
            for line in lines:
                assert line == b"tick"
                assert time.monotonic() < deadline
    call = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert browser.get(elsewhere.two_lines + "/", headers=call).status_code == 401
