"""Behind a real nginx with TLS, told what ``portal config nginx`` wrote, for each shape of address."""

import contextlib
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.journeys import steps
from tests.journeys.browser import PATIENCE, running_browser
from tests.journeys.front import Certificate, issue, nginx, running_front
from tests.journeys.house import House, running_house

pytestmark = pytest.mark.journey

PORTAL = "portal.demo.localhost"
SHAPES = {
    "a host for each app": "{app}.apps.demo.localhost",
    "a path on the apps' host": "ai-apps.demo.localhost/{app}/",
    "a path on the portal's host": "portal.demo.localhost/run/{app}/",
}


class Told(NamedTuple):
    """A house, and the certificate in front of it."""

    house: House
    certificate: Certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    names = [PORTAL, "ai-apps.demo.localhost", "*.apps.demo.localhost"]
    return issue(tmp_path_factory.mktemp("certificate"), names)


@pytest.fixture(scope="module", params=tuple(SHAPES.values()), ids=tuple(SHAPES))
def told(
    request: pytest.FixtureRequest, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    nginx()  # or skip, before everything else is started

    def front(
        folder: Path, environ: Mapping[str, str], ports: tuple[int, int]
    ) -> contextlib.AbstractContextManager[None]:
        return running_front(folder, environ, certificate, ports=ports)

    with running_house(tmp_path_factory.mktemp("behind"), portal=PORTAL, apps=request.param, front=front) as house:
        yield Told(house, certificate)


@pytest.fixture(scope="module")
def browser(playwright: Playwright, certificate: Certificate) -> Iterator[Browser]:
    """A Chromium that knows the certificate."""
    with running_browser(playwright, f"--ignore-certificate-errors-spki-list={certificate.pin}") as browser:
        yield browser


def test_a_whole_day(told: Told, browser: Browser, tmp_path: Path) -> None:
    """
    Sign in, predict, stream, upload, download, a second app, sign out: all through the web server.
    """
    house = told.house
    context = browser.new_context(accept_downloads=True)
    page = steps.new_page(context)
    steps.sign_in(page, house, "Ana Analyst", path="/apps/showcase/?x=1")
    expect(page).to_have_url(f"{house.url}/apps/showcase/?x=1")
    app = steps.frame_of(page)
    steps.use_everything(page, app, tmp_path)
    frame = next(frame for frame in page.frames if frame.url.startswith(house.apps["showcase"]))
    assert frame.url == f"{house.apps['showcase']}/?x=1"
    protocol = "() => [...new Set(performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol))]"
    assert frame.evaluate(protocol) == ["h2"]

    page.goto(f"{house.url}/apps/user-dashboard/")
    expect(steps.frame_of(page).get_by_text("Ana Analyst").first).to_be_visible()

    # A stream arrives in pieces, and stops when they sign out in another tab.
    page.goto(f"{house.url}/apps/showcase/")
    app = steps.frame_of(page)
    steps.start_stream(app)
    steps.sign_out_elsewhere(page, house)
    context.close()


@pytest.mark.parametrize("told", [SHAPES["a host for each app"]], indirect=True, ids=["a host for each app"])
def test_a_long_stream_and_a_large_upload(told: Told, browser: Browser, tmp_path: Path) -> None:
    """
    Longer than the minute after which web servers cut, and larger than the megabyte they take.
    """
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, told.house, "Ana Analyst", path="/apps/showcase/")
    app = steps.frame_of(page)
    steps.start_stream(app)
    expect(app.locator("#stream textarea")).to_have_value(re.compile(r"tick 141 of 600"), timeout=3 * PATIENCE)
    app.locator("#stop").click()
    steps.upload(app, tmp_path, body=b"0123456789abcdef" * (50 * 2**16))
    context.close()


def ask(told: Told, url: str, **headers: str) -> httpx.Response:
    """Ask for *url* over TLS, trusting the tests' authority alone, without resolving a name."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=told.certificate.authority)
    with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
        return client.get(
            f"https://127.0.0.1:{parts.port}{parts.path}",
            headers={"Host": parts.netloc, **headers},
            extensions={"sni_hostname": parts.hostname},
        )


def test_forwarded_headers_are_the_web_servers_own(told: Told) -> None:
    """
    What a client writes into them reaches neither the portal's log nor an address anybody is sent to.
    """
    forged = {
        "X-Forwarded-For": "203.0.113.66",
        "X-Forwarded-Host": "evil.example.com",
        "X-Forwarded-Proto": "http",
        "Forwarded": "for=203.0.113.66;host=evil.example.com",
        "X-Real-IP": "203.0.113.66",
    }
    answer = ask(told, f"{told.house.url}/sign-in", **forged)
    assert answer.status_code == 200
    lines = (told.house.folder / "serve.log").read_text().splitlines()
    requests = [json.loads(line) for line in lines if line.startswith("{") and '"portal.requests"' in line]
    [line] = [line for line in requests if line["reference"] == answer.headers["X-Request-Id"]]
    assert line["client"] == "127.0.0.1"

    document = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
    challenged = ask(told, f"{told.house.apps['showcase']}/", **forged, **document)
    assert challenged.headers["location"] == f"{told.house.url}/apps/showcase"


def test_a_foreign_host_is_refused(told: Told) -> None:
    """
    Portal and guard decide that; the web server hands the name on as it came.
    """
    assert ask(told, f"{told.house.url}/sign-in", Host="evil.example.com").status_code == 400
    assert ask(told, f"{told.house.url}/sign-in").status_code == 200


def test_what_is_nobodys_path_is_nobodys(told: Told) -> None:
    """
    The path goes on as it came, so an encoded way out of an app leads nowhere.
    """
    app = told.house.apps["showcase"]
    for url in (f"{app}/..%2f..%2f..%2faccount", f"{app}/%2e%2e/%2e%2e/account", f"{app}/../x/config"):
        answer = ask(told, url)
        assert answer.status_code in {303, 400, 401, 404, 421}, url
        assert answer.headers.get("location", told.house.url).startswith(told.house.url)
