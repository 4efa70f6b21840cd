"""Every kind of page: WCAG 2.2 A and AA as far as a machine can tell, and no sideways scrolling."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from werkzeug.serving import make_server

from gradio_apps.runtime.guard.pages import HTML, Pages
from gradio_apps.runtime.guard.settings import GuardSettings
from gradio_apps.runtime.progress import Progress
from portal.demo.app import create_provider
from tests.journeys import steps
from tests.journeys.deployment import Deployment
from tests.journeys.examiner import Finding, examine
from tests.portal.demo.flow import an_authorization
from tests.ports import free_ports

pytestmark = pytest.mark.usefixtures("journey")

_ENOUGH: Final = 121
"""Requests for pages of apps in a minute that are too many; all processes count them together."""
_ASK_AT_ONCE: Final = """async many => {
  await Promise.all(Array.from({length: many}, () => fetch("/apps/nothing-here/")));
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(reduced_motion="reduce")
    yield steps.new_page(context)
    context.close()


def _fail_if_any(findings: list[Finding]) -> None:
    assert not findings, "\n".join(f"{one.page} ({one.looked}): {one.problem}" for one in findings)


def test_the_examiner_is_awake(page: Page) -> None:
    page.set_content('<html lang="en"><title>x</title><p style="color: #aaa; width: 50rem">Pale and wide</p></html>')
    found = {one.problem.partition(":")[0] for one in examine("a bad page", page)}
    assert found == {"color-contrast", "the page is 808 wide", "P  ends beyond 320"}


def test_pages_that_a_stranger_sees(deployment: Deployment, page: Page) -> None:
    found = []
    for name, path, heading in (
        ("sign-in", "/sign-in", "Sign in to Example AI"),
        ("sign-in, going somewhere", "/apps/showcase/?x=1", "Sign in to Example AI"),
        ("signed out", "/signed-out", "You are signed out"),
        (
            "sign-in that cannot be finished",
            "/auth/oauth/company/callback?code=x&state=y",
            "This sign-in cannot be continued here",
        ),
    ):
        page.goto(f"{deployment.url}{path}")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        found += examine(name, page)

    # Under another name of the same machine.
    page.goto(f"{deployment.url}/account".replace("portal.demo.localhost", "localhost"))
    expect(page.get_by_role("heading", name="This is not the address of the portal")).to_be_visible()
    found += examine("another name", page)
    assert page.evaluate("[...document.styleSheets].length") == 1
    page.get_by_role("link", name="Open the portal").click()
    expect(page).to_have_url(f"{deployment.url}/sign-in?next=%2Faccount")

    # The session has ended, and the portal's page is still there: the frame says so by itself.
    _show(page, f"{deployment.url}/stand-in", '<iframe src="/apps/showcase/.portal/launch?next=/"></iframe>')
    expect(page.frame_locator("iframe").get_by_role("heading", name="You are signed out")).to_be_visible()
    found += examine("signed out, inside the frame", page, within=page.frames[1])
    _fail_if_any(found)


def test_pages_of_somebody_signed_in(deployment: Deployment, page: Page) -> None:
    elsewhere = page.context.browser.new_context() if page.context.browser is not None else page.context
    steps.sign_in(steps.new_page(elsewhere), deployment, "Tess Two-Tenants")  # for the list of other sign-ins
    steps.sign_in(page, deployment, "Tess Two-Tenants")
    expect(page).to_have_url(f"{deployment.url}/apps/admin-dashboard/")
    found = []
    for name, path, heading in (
        ("catalogue", "/", "Welcome, Tess"),
        ("account", "/account", "Tess Two-Tenants"),
        ("unknown address", "/nothing-here", "Page not found"),
        ("unknown app", "/apps/nothing-here/", "Page not found"),
        ("sign-out", "/sign-out", "Sign out?"),
        ("app", "/apps/showcase/", "Showcase"),
    ):
        page.goto(f"{deployment.url}{path}")
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
        expect(page.locator("#wait")).to_be_hidden()  # a moment's sentence, half behind the frame that comes up
        found += examine(name, page)

    # Every notice of the app's page, all at once.
    page.goto(f"{deployment.url}/apps/showcase/%5Clost")
    expect(page.get_by_text("opens on its first page")).to_be_visible()
    expect(page.locator("#wait")).to_be_hidden()
    page.evaluate("document.querySelectorAll('.notice').forEach(notice => { notice.hidden = false; })")
    found += examine("app, with its notices", page)

    # Pages that are there for a moment: held by keeping back what comes next.
    page.route("**/static/launch.js*", lambda route: route.abort())
    page.goto(f"{deployment.url}/apps/showcase/.portal/launch?next=/")
    expect(page.get_by_role("button", name="Open Showcase")).to_be_visible()
    found += examine("launch", page)
    page.route("**/apps/showcase/.portal/launch?*", _stay)
    page.goto(f"{deployment.url}/apps/showcase/?tab=1")
    expect(page.get_by_role("link", name="Open Showcase")).to_be_visible()
    found += examine("on the way into a tab", page)

    page.route("**/static/signed-in.js*", lambda route: route.abort())
    page.goto(f"{deployment.url}/signed-in")
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    found += examine("small window, signed in", page)

    page.goto(f"{deployment.url}/account")
    page.get_by_role("button", name="Acme").click()
    expect(page.get_by_role("heading", name="Roles in Acme")).to_be_visible()
    for name, path in (
        ("denied", "/apps/admin-dashboard/"),
        ("denied, framed", "/apps/admin-dashboard/.portal/launch?next=/"),
    ):
        page.goto(f"{deployment.url}{path}")
        expect(page.get_by_role("heading", name="You do not have access to Administration")).to_be_visible()
        found += examine(name, page)

    page.evaluate(_ASK_AT_ONCE, _ENOUGH)
    page.goto(f"{deployment.url}/apps/nothing-here/")
    expect(page.get_by_role("heading", name="Too many requests")).to_be_visible()
    found += examine("too many requests", page)

    page.goto(f"{deployment.url}/sign-out")
    page.route(f"{deployment.provider.issuer}/**", _stay)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Continue")).to_be_visible()
    found += examine("leaving for the provider", page)
    _fail_if_any(found)


def test_pages_of_the_guard(deployment: Deployment, page: Page) -> None:
    origin = deployment.apps["showcase"]
    page.goto(f"{origin}/.portal/arrived?to=/")
    expect(page.get_by_role("heading", name="Cookies are blocked")).to_be_visible()
    found = examine("guard: no cookies, as it really is", page)

    # The others need an app that fails or a portal that is away: made by the same code, with the real style sheet.
    pages = Pages(
        GuardSettings(portal_url=deployment.url, app="showcase", app_url=origin, secret="s" * 32, title="Showcase")
    )
    health = {"state": ""}
    page.route("**/.portal/health", lambda route: route.fulfill(json=health))
    for one in (
        pages.ended(),
        pages.used(),
        pages.away(),
        pages.no_cookie(),
        pages.document("/report.pdf"),
        pages.starting(Progress()),
        pages.failed(Progress()),
        pages.signed_in(),
        pages.renewed(),
        pages.leave("sign-out"),
        pages.leave("admin-dashboard"),
    ):
        page.goto("about:blank")  # the last page asks no more
        health["state"] = one.event.removeprefix("app-")
        _show(page, f"{origin}/stand-in", pages.render(one).decode())
        expect(page.get_by_role("heading", name=one.title)).to_be_visible()
        found += examine(f"guard: {one.title}", page)
    _fail_if_any(found)

    for one in (pages.starting(Progress()), pages.failed(Progress())):
        page.goto("about:blank")
        health["state"] = one.event.removeprefix("app-")
        _show(page, f"{origin}/stand-in", pages.render(one).decode())
        expect(page.get_by_role("heading", name=one.title)).to_be_visible()
        _answer(page, f"{origin}/stand-in", "<h1>The app</h1>")
        health["state"] = "running"
        expect(page.get_by_role("heading", name="The app")).to_be_visible()


def test_pages_of_the_demo_provider(page: Page) -> None:
    found = []
    with _demo_provider() as issuer:
        for name, path, heading in (
            ("home", "/", "The demo provider is running"),
            ("chooser", f"/authorize?{urlencode(an_authorization())}", "Who would you like to be?"),
            ("refusal", "/authorize", "This request was refused"),
            ("signed out", "/end-session", "You are signed out"),
        ):
            page.goto(f"{issuer}{path}")
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
            found += examine(f"demo provider: {name}", page)
    _fail_if_any(found)


def _stay(route: Route) -> None:
    """Answer that there is nothing new to show: the browser stays on the page that it has."""
    route.fulfill(status=204)


@contextmanager
def _demo_provider() -> Iterator[str]:
    (port,) = free_ports(1)
    issuer = f"http://127.0.0.1:{port}"
    provider = create_provider(issuer=issuer, client_id="demo-portal", client_secret="a-secret-of-the-tests")
    server = make_server("127.0.0.1", port, provider, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _show(page: Page, address: str, html: str) -> None:
    """Show *html* as if *address* had answered it."""
    _answer(page, address, html)
    page.goto(address)


def _answer(page: Page, address: str, html: str) -> None:
    page.unroute(address)
    page.route(address, lambda route: route.fulfill(body=html, content_type=HTML))
