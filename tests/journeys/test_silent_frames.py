"""Frames in which no guard speaks: answers other than pages, apps that are stopped, away, or failed to start."""

import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from portal.contract.supervisor_messages import Action, ControlApp
from portal.supervisor_socket import ask
from tests.journeys import in_firefox, steps
from tests.journeys.deployment import ROOT, Deployment, running_deployment
from tests.journeys.examiner import examine
from tests.journeys.firefox import running_firefox
from tests.ports import free_ports

pytestmark = pytest.mark.usefixtures("journey")

SETTLED = """() => ["wait", "down"].every(id => document.getElementById(id).hidden)
  && !document.getElementById("frame").hidden"""
AWAY = """
[apps.away]
title = "Away"
url = "http://away.demo.localhost:{port}"
internal_url = "http://127.0.0.1:{port}"
open_to = ["everyone"]
"""
FAILING = """
from pathlib import Path

import gradio as gr

if not Path({ready!r}).exists():
    raise RuntimeError("not yet")
gr.Interface(str, "text", "text", title="Here at last").launch()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A house with an app that has no pages, one that does not run, and one that fails until a file is there."""

    deployment: Deployment
    away: int
    """Port of the one that does not run."""
    ready: Path

    def tell(self, action: Action, slug: str) -> None:
        """Have the supervisor stop or start an app."""
        ask(self.deployment.folder / "data" / "supervisor.sock", ControlApp(action, slug))


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Silent]:
    folder = tmp_path_factory.mktemp("silent")
    ready, source = folder / "ready", folder / "failing.py"
    source.write_text(FAILING.format(ready=str(ready)))
    [away] = free_ports(1)
    more = {"no-pages": ROOT / "tests" / "samples" / "no_pages.py"}
    [port] = free_ports(1)
    failing = f'\n[apps.failing]\nsource = "{source}"\nopen_to = ["everyone"]\nport = {port}\n'
    with running_deployment(folder, own=(), more=more, lines=AWAY.format(port=away) + failing) as deployment:
        yield Silent(deployment=deployment, away=away, ready=ready)


@pytest.fixture
def page(silent: Silent, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(reduced_motion="reduce")
    page = steps.new_page(context)
    steps.sign_in(page, silent.deployment, "Ana Analyst")
    expect(page.get_by_role("heading", name="Welcome, Ana")).to_be_visible()
    yield page
    context.close()


@pytest.mark.parametrize("path", ["", "text", "picture", "document"])
def test_what_is_no_page_is_shown_and_nothing_turns_over_it(silent: Silent, page: Page, path: str) -> None:
    page.goto(f"{silent.deployment.url}/apps/no-pages/{path}")
    expect(page.locator("#wait")).to_be_hidden()
    expect(page.locator("#down")).to_be_hidden()
    expect(page.locator("#frame")).to_be_visible()
    shown = {"": '{"rows":[1,2,3]}', "text": "plain words", "document": "opens in its own tab"}.get(path)
    if shown is not None:
        expect(steps.frame_of(page).get_by_text(shown)).to_be_visible()


@pytest.mark.parametrize("name", ["text", "picture", "document"])
def test_nor_over_what_a_link_in_the_frame_leads_to(silent: Silent, page: Page, name: str) -> None:
    page.goto(f"{silent.deployment.url}/apps/no-pages/page")
    steps.frame_of(page).get_by_role("link", name=name).click()
    page.wait_for_timeout(5_000)  # longer than the page's script waits until it asks
    expect(page.locator("#wait")).to_be_hidden()
    expect(page.locator("#down")).to_be_hidden()
    expect(page.locator("#frame")).to_be_visible()


def test_a_refusal_of_the_portals_in_the_frame_is_there_to_be_read(silent: Silent, page: Page) -> None:
    refusal = '<!doctype html><html lang="en"><title>No</title><h1>Not open to you</h1></html>'
    page.route("**/launch?*", lambda route: route.fulfill(status=403, body=refusal, content_type="text/html"))
    page.route("**/app-states/*", lambda route: route.fulfill(status=404, json={"state": "unknown"}))
    page.goto(f"{silent.deployment.url}/apps/no-pages/")
    expect(steps.frame_of(page).get_by_role("heading", name="Not open to you")).to_be_visible()
    page.wait_for_timeout(6_000)  # longer than the page's script waits until it asks
    expect(page.locator(".notice:visible")).to_have_count(0)
    expect(page.locator("#frame")).to_be_visible()


def test_a_document_that_the_frame_cannot_show_opens_in_a_tab_of_its_own(silent: Silent, page: Page) -> None:
    page.goto(f"{silent.deployment.url}/apps/no-pages/document?x=1")
    with page.context.expect_page() as opened:
        steps.frame_of(page).get_by_role("link", name="Open it").click()
    opened.value.wait_for_url(f"{silent.deployment.apps['no-pages']}/document?x=1")


def test_a_stopped_app_is_said_to_be_and_opens_when_it_is_started(silent: Silent, page: Page) -> None:
    silent.tell("stop", "no-pages")
    try:
        page.goto(f"{silent.deployment.url}/apps/no-pages/text")
        expect(page.get_by_role("heading", name="No pages is stopped")).to_be_visible()
        expect(page.locator("#wait")).to_be_hidden()
        expect(page.locator("#frame")).to_be_hidden()
        findings = examine("a stopped app", page)
        assert findings == []
        page.goto(f"{silent.deployment.apps['no-pages']}/text")  # in a tab of its own
        expect(page.get_by_role("heading", name="No pages is stopped")).to_be_visible()
        assert examine("a stopped app alone", page) == []
        page.get_by_role("link", name="Try again").click()
        expect(page).to_have_url(f"{silent.deployment.url}/apps/no-pages/")
        page.goto(f"{silent.deployment.url}/apps/no-pages/text")
        expect(page.get_by_role("heading", name="No pages is stopped")).to_be_visible()
    finally:
        silent.tell("start", "no-pages")
    expect(steps.frame_of(page).get_by_text("plain words")).to_be_visible()
    expect(page.locator("#down")).to_be_hidden()


def test_an_app_elsewhere_that_is_away_is_said_to_be_and_opens_when_it_is_back(silent: Silent, page: Page) -> None:
    page.goto(f"{silent.deployment.url}/apps/away/")
    expect(page.get_by_role("heading", name="Away is not responding")).to_be_visible()
    expect(page.locator("#frame")).to_be_hidden()
    assert examine("an app that is away", page) == []
    expect(page.get_by_role("link", name="Go to your apps")).to_have_attribute("href", "/")
    with answering_at(silent.away):
        expect(steps.frame_of(page).get_by_text("back again")).to_be_visible()
        expect(page.locator("#down")).to_be_hidden()


def test_an_app_that_failed_to_start_goes_on_by_itself_and_leads_back_to_the_portal(silent: Silent, page: Page) -> None:
    page.goto(f"{silent.deployment.url}/apps/failing/")
    frame = steps.frame_of(page)
    expect(frame.get_by_role("heading", name="Failing did not start")).to_be_visible()
    expect(frame.get_by_role("link", name="Go to your apps")).to_have_attribute("href", f"{silent.deployment.url}/")
    silent.ready.touch()
    expect(frame.get_by_role("heading", name="Here at last")).to_be_visible()
    expect(page.locator("#down")).to_be_hidden()


def test_an_app_opens_by_itself_once_its_guard_reaches_the_portal(silent: Silent, page: Page) -> None:
    def with_a_locked_database(route: Route) -> None:
        database.execute("BEGIN IMMEDIATE")  # so the portal can redeem no ticket
        route.continue_()

    with closing(sqlite3.connect(silent.deployment.folder / "data" / "portal.db", isolation_level=None)) as database:
        page.route("**/.portal/session", with_a_locked_database, times=1)
        page.route("**/app-states/*", lambda route: route.abort())  # nor does it answer this page
        page.goto(f"{silent.deployment.url}/apps/no-pages/text")
        expect(steps.frame_of(page).get_by_role("heading", name="One moment")).to_be_visible()
        page.wait_for_timeout(12_000)  # longer than the frame's script waits until it asks for its session
        expect(page.locator(".notice:visible")).to_have_count(0)
        database.execute("ROLLBACK")
        page.unroute("**/app-states/*")
        expect(steps.frame_of(page).get_by_text("plain words")).to_be_visible()
    expect(page.locator("#wait")).to_be_hidden()
    expect(page.locator(".notice:visible")).to_have_count(0)


def test_in_firefox_too(silent: Silent, tmp_path: Path) -> None:
    """
    Its error pages stand in frames in another way, and it shows data in a viewer.
    """
    with running_firefox(tmp_path) as firefox:
        tab = firefox.new_tab()
        tab.go(f"{silent.deployment.url}/sign-in")
        in_firefox.sign_in(tab, silent.deployment, "Ana Analyst")
        tab.wait_for_url(f"{re.escape(silent.deployment.url)}/")
        for path in ("no-pages/", "no-pages/text", "no-pages/picture"):
            tab.go(f"{silent.deployment.url}/apps/{path}")
            tab.wait(SETTLED)
        tab.go(f"{silent.deployment.url}/apps/away/")
        tab.see("aria/Away is not responding[role='heading']")
        with answering_at(silent.away):
            tab.wait(SETTLED)


@contextmanager
def answering_at(port: int) -> Iterator[None]:
    """Answer everything at *port* with plain words."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"back again")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
