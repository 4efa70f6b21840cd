"""Whatever ends a person's access ends it in both of their browsers and both of their apps, streams included."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.journeys import steps
from tests.journeys.browser import PATIENCE
from tests.journeys.deployment import ROOT, Deployment, running_deployment

pytestmark = pytest.mark.usefixtures("journey")

APPS: Final = ("first", "second")
_TICK: Final = re.compile(r"^(\w+) (\d+)$")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two apps that stream, at a provider that gives refresh tokens and reports logouts."""
    with running_deployment(
        tmp_path_factory.mktemp("ends"),
        own=(),
        more=dict.fromkeys(APPS, ROOT / "tests" / "samples" / "ticking.py"),
        provider_lines='prompt = "consent"\n',
        back_channel=True,
    ) as deployment:
        yield deployment


@dataclass(frozen=True, slots=True)
class Streaming:
    """A browser of a person who is signed in, with a stream in each of some apps."""

    deployment: Deployment
    pages: Mapping[str, Page]
    """By app."""

    def sign_in(self, person: str) -> None:
        """Sign *person* in on the way to the first app, and go to the others."""
        first, *others = self.pages
        self.context.clear_cookies()
        steps.sign_in(self.pages[first], self.deployment, person, path=f"/apps/{first}/")
        for app in others:
            self.pages[app].goto(f"{self.deployment.url}/apps/{app}/")

    def see_it_stream(self) -> None:
        """See the stream in each app go on for a while."""
        for app in self.pages:
            self.see_ticks(app, 2)

    @property
    def context(self) -> BrowserContext:
        return next(iter(self.pages.values())).context

    def shown(self, app: str) -> Locator:
        return steps.frame_of(self.pages[app]).locator("#latest textarea")

    def latest(self, app: str) -> tuple[str, int]:
        """Return the stream that the page shows, and the number of its latest tick."""
        expect(self.shown(app)).to_have_value(_TICK)
        found = _TICK.search(self.shown(app).input_value())
        assert found is not None
        return found[1], int(found[2])

    def see_ticks(self, app: str, count: int) -> None:
        """Wait for *count* more ticks of the same stream."""
        name, number = self.latest(app)
        deadline = time.monotonic() + PATIENCE / 1000
        while (now := self.latest(app)) < (name, number + count):
            assert now[0] == name, f"another stream in {app}"
            assert time.monotonic() < deadline, f"no tick after {now} in {app}"
            self.pages[app].wait_for_timeout(100)
        assert now[0] == name, f"another stream in {app}"

    def cookies(self) -> dict[str, str]:
        """Return what the browser sends to the portal and to each app, by origin."""
        origins = [self.deployment.url, *(self.deployment.apps[app] for app in self.pages)]
        return {
            origin: "; ".join(f"{one.get('name')}={one.get('value')}" for one in self.context.cookies(origin))
            for origin in origins
        }


def asked(url: str, cookie: str, *, method: str = "GET") -> int:
    """Return the status of the answer to a client that has kept *cookie*."""
    parts = urlsplit(url)
    there = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
    headers = {"Host": parts.netloc, "Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    with requests.Session() as session:
        session.trust_env = False
        body = None if method == "GET" else {"data": [], "fn_index": 0, "session_hash": "kept"}
        return session.request(
            method, there, headers=headers, json=body, allow_redirects=False, timeout=PATIENCE / 1000
        ).status_code


@contextmanager
def browsing(browser: Browser, deployment: Deployment, *apps: str) -> Iterator[Streaming]:
    """Open a browser of its own, with a tab for each of *apps*."""
    context = browser.new_context()
    yield Streaming(deployment, {app: steps.new_page(context) for app in apps})
    context.close()


@pytest.fixture(scope="module")
def ada(deployment: Deployment, browser: Browser) -> Iterator[Streaming]:
    """Another person, who streams in one of the apps all the while."""
    with browsing(browser, deployment, "first") as ada:
        ada.sign_in("Ada Admin")
        yield ada


@pytest.fixture(scope="module")
def anas(deployment: Deployment, browser: Browser) -> Iterator[tuple[Streaming, Streaming]]:
    """Two browsers of one person.  They stay open from cause to cause, for what they have in their caches."""
    with browsing(browser, deployment, *APPS) as one, browsing(browser, deployment, *APPS) as another:
        yield one, another


def sign_out_everywhere(deployment: Deployment, page: Page) -> None:
    """On the account page; the question at the provider stays open, so nothing of this is the provider's doing."""
    page.goto(f"{deployment.url}/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()
    assert page.url.startswith(deployment.provider.issuer)


def an_operator_revokes(deployment: Deployment, page: Page) -> None:
    del page
    done = deployment.command("sign-ins", "revoke", "--person", "ana@example.com")
    assert (done.returncode, done.stdout) == (0, "2 sign-ins ended.\n"), done.stderr


def end_the_session_at_the_provider(deployment: Deployment, page: Page) -> None:
    """The provider names the person alone, so that all their sign-ins end."""
    before = len(deployment.provider.logout_answers())
    page.goto(f"{deployment.provider.issuer}/session/end")
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("heading", name="Sign out?")).to_have_count(0)
    assert deployment.provider.logout_answers()[before:] == [{"client": "portal", "status": 200}]


def the_provider_refuses_to_refresh(deployment: Deployment, page: Page) -> None:
    del page
    deployment.provider.revoke("ana")
    now = int(time.time())
    make_due = "UPDATE sign_ins SET refresh_due_at = ?, checked_at = last_seen_at - 1 WHERE renewal IS NOT NULL"
    with closing(sqlite3.connect(deployment.folder / "data" / "portal.db", timeout=60)) as database, database:
        assert database.execute(make_due, (now,)).rowcount >= 2


CAUSES: Final[dict[str, Callable[[Deployment, Page], None]]] = {
    "signed-out": sign_out_everywhere,
    "sign-in-ended": an_operator_revokes,
    "provider-signed-out": end_the_session_at_the_provider,
    "refresh-refused": the_provider_refuses_to_refresh,
}
"""By the reason that the database gives."""


def reasons(deployment: Deployment) -> list[tuple[str, int]]:
    """Return the reasons for which Ana's sign-ins have ended, and how many app sessions of theirs live, by sign-in."""
    query = """SELECT s.end_reason,
      (SELECT count(*) FROM app_sessions a WHERE a.sign_in_id = s.id AND a.ended_at IS NULL)
      FROM sign_ins s WHERE s.identity LIKE '%ana@example.com%' ORDER BY s.rowid DESC LIMIT 2"""
    with closing(sqlite3.connect(deployment.folder / "data" / "portal.db", timeout=60)) as database:
        return list(database.execute(query))


def opened_with(deployment: Deployment, kept: Mapping[str, str]) -> list[int]:
    """Return how the portal and each app answer a client that has kept these cookies."""
    pages = [asked(f"{deployment.url}/account", kept[deployment.url])]
    for app in APPS:
        origin = deployment.apps[app]
        pages.append(asked(f"{origin}/config", kept[origin]))
        pages.append(asked(f"{origin}/gradio_api/queue/join", kept[origin], method="POST"))
    return pages


@pytest.mark.parametrize("cause", CAUSES)
def test_both_browsers_and_both_apps_end_and_another_person_goes_on(
    deployment: Deployment, ada: Streaming, anas: tuple[Streaming, Streaming], cause: str
) -> None:
    for ana in anas:
        ana.sign_in("Ana Analyst")
    for ana in anas:
        ana.see_it_stream()
    name, _ = ada.latest("first")
    kept = [ana.cookies() for ana in anas]
    assert [opened_with(deployment, cookies) for cookies in kept] == [[200] * 5] * 2
    tab = steps.new_page(anas[0].context)
    CAUSES[cause](deployment, tab)
    tab.close()

    for page in (page for ana in anas for page in ana.pages.values()):
        expect(page.locator("#notice-signed-out, #notice-ended").filter(visible=True)).to_have_count(1)
    last = [ana.latest(app) for ana in anas for app in APPS]
    ada.see_ticks("first", 12)
    assert [ana.latest(app) for ana in anas for app in APPS] == last
    assert [opened_with(deployment, cookies) for cookies in kept] == [[303, *[401] * 4]] * 2
    assert reasons(deployment) == [(cause, 0), (cause, 0)]
    assert ada.latest("first")[0] == name
