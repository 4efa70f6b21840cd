"""Behind a real nginx with TLS and the configuration of ``portal config nginx``, for each shape of address."""

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, ViewportSize, expect

from tests.certificates import Certificate, issue
from tests.journeys import in_firefox, steps
from tests.journeys.browser import running_browser
from tests.journeys.deployment import ROOT, Deployment, running_deployment
from tests.journeys.firefox import running_firefox
from tests.journeys.in_firefox import Day
from tests.journeys.reverse_proxy import nginx, running_proxy

pytestmark = pytest.mark.usefixtures("journey")

PORTAL = "portal.demo.localhost"
SHAPES = {
    "a host for each app": "{app}.apps.demo.localhost",
    "a path on the apps' host": "ai-apps.demo.localhost/{app}/",
    "a path on the portal's host": "portal.demo.localhost/run/{app}/",
}
PATHWISE = ROOT / "tests" / "samples" / "pathwise.py"
"""An app with a ``gr.LoginButton``."""

OWN_SIGN_IN = ROOT / "tests" / "samples" / "unmodified" / "own_sign_in.py"
"""One that links to ``/logout``, as if the host were its own."""

LITTLE_TO_PAINT: ViewportSize = {"width": 480, "height": 320}


class Site(NamedTuple):
    """A house, and the certificate in front of it."""

    deployment: Deployment
    certificate: Certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    names = [PORTAL, "ai-apps.demo.localhost", "*.apps.demo.localhost"]
    return issue(tmp_path_factory.mktemp("certificate"), names)


@pytest.fixture(scope="module")
def deployments(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Site]]:
    """One house of each shape, all at once, so that their long streams run at the same time."""
    nginx()  # or skip, before everything else is started

    def front(
        folder: Path, environ: Mapping[str, str], ports: tuple[int, int]
    ) -> contextlib.AbstractContextManager[None]:
        return running_proxy(folder, environ, certificate, ports=ports)

    def started(apps: str) -> contextlib.AbstractContextManager[Deployment]:
        folder = tmp_path_factory.mktemp("behind")
        more = {"pathwise": PATHWISE, "own-sign-in": OWN_SIGN_IN}
        return running_deployment(folder, portal=PORTAL, apps=apps, front=front, own=("showcase",), more=more)

    with contextlib.ExitStack() as stack:
        yield {shape: Site(stack.enter_context(started(apps)), certificate) for shape, apps in SHAPES.items()}


@pytest.fixture(params=tuple(SHAPES))
def site(request: pytest.FixtureRequest, deployments: Mapping[str, Site]) -> Site:
    """The house of one shape."""
    return deployments[request.param]


@pytest.fixture(scope="module")
def browser(playwright: Playwright, certificate: Certificate) -> Iterator[Browser]:
    """A Chromium that knows the certificate."""
    with running_browser(playwright, f"--ignore-certificate-errors-spki-list={certificate.pin}") as browser:
        yield browser


@pytest.fixture(scope="module")
def long_streams(deployments: Mapping[str, Site], browser: Browser) -> Iterator[Mapping[str, Page]]:
    """A stream in a tab of Uwe's for each shape, which runs while the others have their day."""
    with contextlib.ExitStack() as stack:
        pages = {}
        for shape, site in deployments.items():
            context = stack.enter_context(browser.new_context(viewport=LITTLE_TO_PAINT))
            pages[shape] = page = steps.new_page(context)
            steps.sign_in(page, site.deployment, "Uwe User", path="/apps/showcase/")
            steps.start_stream(steps.frame_of(page), ticks=steps.LONG)
        yield pages


@pytest.fixture(scope="module")
def day_in_firefox(deployments: Mapping[str, Site], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Ana's day in Firefox, which trusts the tests' authority as it would a company's, with a stream in one tab."""
    deployment, certificate = deployments["a host for each app"]
    folder = tmp_path_factory.mktemp("firefox")
    with running_firefox(folder, authority=certificate.authority) as firefox:
        yield in_firefox.begin_day(firefox, deployment)


def test_log_out_in_the_app_is_the_portals(site: Site, browser: Browser) -> None:
    """
    By a link to the host's root, wherever the app is; the click alone does not sign out.
    """
    deployment = site.deployment
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/own-sign-in/")
    app = steps.frame_of(page)
    expect(app.get_by_label("Greeting")).to_have_value("Hello ana@example.com")
    app.get_by_role("link", name="Log out").click()
    page.wait_for_url(f"{deployment.url}/sign-out")
    expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()
    page.goto(f"{deployment.url}/logout")
    expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()
    page.goto(f"{deployment.url}/apps/own-sign-in/")
    expect(app.get_by_label("Greeting")).to_have_value("Hello ana@example.com")
    context.close()


def test_a_day_in_firefox(day_in_firefox: Day, tmp_path: Path) -> None:
    """
    Sign in, predict, upload, download and a second app; it goes on at the end of this page.
    """
    in_firefox.use_everything(day_in_firefox, tmp_path, body=steps.LARGE, second=("pathwise", "Logout"))


@pytest.mark.usefixtures("long_streams")
def test_a_whole_day(site: Site, browser: Browser, tmp_path: Path) -> None:
    """
    Sign in, predict, stream, upload, download, a second app, sign out: all through the web server.
    """
    deployment = site.deployment
    context = browser.new_context(accept_downloads=True)
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/?x=1")
    expect(page).to_have_url(f"{deployment.url}/apps/showcase/?x=1")
    app = steps.frame_of(page)
    steps.use_everything(page, app, tmp_path, body=steps.LARGE)
    frame = next(frame for frame in page.frames if frame.url.startswith(deployment.apps["showcase"]))
    assert frame.url == f"{deployment.apps['showcase']}/?x=1"
    protocol = "() => [...new Set(performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol))]"
    assert frame.evaluate(protocol) == ["h2"]

    steps.follow_a_deep_link(page, deployment)
    steps.use_the_login_button(page, deployment, "pathwise")

    # A stream arrives in pieces, and stops when they sign out in another tab.
    page.goto(f"{deployment.url}/apps/showcase/")
    app = steps.frame_of(page)
    steps.start_stream(app)
    steps.sign_out_elsewhere(page, deployment)
    context.close()


def ask(site: Site, url: str, **headers: str) -> httpx.Response:
    """Ask for *url* over TLS, trusting the tests' authority alone, without resolving a name."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=site.certificate.authority)
    with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
        return client.get(
            f"https://127.0.0.1:{parts.port}{parts.path}{f'?{parts.query}' if parts.query else ''}",
            headers={"Host": parts.netloc, **headers},
            extensions={"sni_hostname": parts.hostname},
        )


def test_forwarded_headers_are_the_web_servers_own(site: Site) -> None:
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
    answer = ask(site, f"{site.deployment.url}/sign-in", **forged)
    assert answer.status_code == 200
    lines = (site.deployment.folder / "serve.log").read_text().splitlines()
    requests = [json.loads(line) for line in lines if line.startswith("{") and '"portal.requests"' in line]
    [line] = [line for line in requests if line["reference"] == answer.headers["X-Request-Id"]]
    assert line["client"] == "127.0.0.1"

    document = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
    challenged = ask(site, f"{site.deployment.apps['showcase']}/", **forged, **document)
    assert challenged.headers["location"] == f"{site.deployment.url}/apps/showcase"


def test_the_longest_links_pass(site: Site) -> None:
    """
    The guard's answer has the link in its headers, which are longer than nginx's default.
    """
    document = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
    link = f"/?state={'x' * 4080}"
    challenged = ask(site, f"{site.deployment.apps['showcase']}{link}", **document)
    assert (challenged.status_code, challenged.headers["location"]) == (
        303,
        f"{site.deployment.url}/apps/showcase{link}",
    )


def test_a_foreign_host_is_refused(site: Site) -> None:
    """
    Portal and guard decide that; the web server hands the name on as it came.
    """
    assert ask(site, f"{site.deployment.url}/sign-in", Host="evil.example.com").status_code == 400
    assert ask(site, f"{site.deployment.url}/sign-in").status_code == 200


def test_what_is_nobodys_path_is_nobodys(site: Site) -> None:
    """
    The path goes on as it came, so an encoded path out of an app leads nowhere.
    """
    app = site.deployment.apps["showcase"]
    for url in (f"{app}/..%2f..%2f..%2faccount", f"{app}/%2e%2e/%2e%2e/account", f"{app}/../x/config"):
        answer = ask(site, url)
        assert answer.status_code in {303, 400, 401, 404, 421}, url
        assert answer.headers.get("location", site.deployment.url).startswith(site.deployment.url)


def test_streams_outlive_what_web_servers_wait(long_streams: Mapping[str, Page]) -> None:
    """
    Longer than the minute after which they cut, whatever else went on meanwhile.
    """
    for page in long_streams.values():
        steps.check_long_stream(steps.frame_of(page))


def test_the_end_of_a_day_in_firefox(day_in_firefox: Day) -> None:
    """
    The stream has outlived that minute there too, and stops when she signs out in another tab.
    """
    in_firefox.check_long_stream(day_in_firefox)
    in_firefox.sign_out_elsewhere(day_in_firefox)
