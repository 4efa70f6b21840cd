"""What an open page does when its session ends: it says so, and goes on where it was after a new sign-in."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys import in_firefox, steps
from tests.journeys.deployment import Deployment
from tests.journeys.examiner import examine
from tests.journeys.firefox import running_firefox

pytestmark = pytest.mark.usefixtures("journey")

WORDS = "nothing of this is lost"
ANSWER = "Hello Ana Analyst. You wrote 5 words and 23 characters."


def test_a_page_in_which_nothing_runs_goes_on_after_a_new_sign_in(deployment: Deployment, browser: Browser) -> None:
    """
    The same document, with what was written in it, answers again; the small window has closed.
    """
    _go_on_in_the_frame(deployment, browser)


def test_a_page_goes_on_with_cookies_across_sites(deployment_across_sites: Deployment, browser: Browser) -> None:
    """
    The frame's cookies are a third party's, and kept apart by the page around it.
    """
    _go_on_in_the_frame(deployment_across_sites, browser)


def test_a_frame_that_shows_no_app_any_more_shows_it_again(deployment: Deployment, browser: Browser) -> None:
    """
    The guard's page stands where the app's page was, and gives way to it.
    """
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/?place=here")
    app = steps.frame_of(page)
    expect(app.locator("#words textarea")).to_be_visible()
    steps.sign_out(steps.new_page(context), deployment)
    page.frames[1].evaluate("location.reload()")
    expect(app.get_by_role("heading", name="Your session has ended")).to_be_visible()

    _sign_in_again(context, page, "Ana Analyst")
    steps.predict(app, greeted="Ana Analyst")
    assert steps.frame_address(page).startswith(f"{deployment.apps['showcase']}/?place=here")
    context.close()


def test_a_page_in_a_tab_of_its_own_says_so_and_goes_on(deployment: Deployment, browser: Browser) -> None:
    """
    There is no page of the portal's around it, so the guard's script says it; both tabs of the app go on.
    """
    context = browser.new_context()
    pages = [_own_tab(context, deployment), _own_tab(context, deployment)]
    for page in pages:
        page.locator("#words textarea").fill(WORDS)
    steps.sign_out(steps.new_page(context), deployment)
    for page in pages:
        expect(page.get_by_role("alert").get_by_text("Your session in this app has ended.")).to_be_visible()
        assert steps.status_inside(page, deployment, "showcase", "/config") == 401
    assert [one for one in examine("an app's own tab", pages[0]) if "portal-notice" in one.problem.lower()] == []

    with context.expect_page() as opened:
        pages[0].get_by_role("button", name="Sign in again").click()
    _sign_in_beside(opened.value, "Ana Analyst")
    for page in pages:
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.locator("#words textarea")).to_have_value(WORDS)
        page.locator("#send").click()
        expect(page.locator("#answer textarea")).to_have_value(ANSWER)
    context.close()


def test_open_pages_go_on_in_firefox(deployment: Deployment, tmp_path: Path) -> None:
    """
    In the portal's frame and in a tab of its own.
    """
    with running_firefox(tmp_path) as firefox:
        tab, alone = firefox.new_tab(), firefox.new_tab()
        in_firefox.sign_in(tab, deployment, "Ana Analyst", path="/apps/showcase/")
        tab.app.fill("#words textarea", WORDS)
        alone.go(f"{deployment.url}/apps/showcase/?tab=1")
        alone.fill("#words textarea", WORDS)
        in_firefox.sign_out(firefox, deployment)
        tab.wait(in_firefox.SAYS_THAT_IT_ENDED)
        alone.see("pierce/[role=alert]")

        tab.front()
        tab.click("#notice-signed-out a")
        window = firefox.opened()
        window.click('aria/Continue with Example Company[role="link"]')
        window.click('aria/Ana Analyst[role="button"]')
        window.see_it_close()
        for page in (tab.app, alone):
            page.wait("() => document.querySelector('gradio-portal-notice') === null")
            assert page.value("#words textarea") == WORDS
            page.click("#send")
            page.wait_for_value("#answer textarea", f"^{ANSWER}$")


def test_a_page_shows_nothing_of_one_person_to_the_next(deployment: Deployment, browser: Browser) -> None:
    """
    Another person who signs in in the small window gets a page of their own.
    """
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/")
    app = steps.frame_of(page)
    app.locator("#words textarea").fill(WORDS)
    alone = _own_tab(context, deployment)
    alone.locator("#words textarea").fill(WORDS)
    steps.sign_out(steps.new_page(context), deployment)
    expect(alone.get_by_role("alert")).to_be_visible()

    _sign_in_again(context, page, "Uwe User")
    for words in (app.locator("#words textarea"), alone.locator("#words textarea")):
        expect(words).to_have_value("The quick brown fox")
    steps.predict(app, greeted="Uwe User")
    context.close()


def _go_on_in_the_frame(deployment: Deployment, browser: Browser) -> None:
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/")
    app = steps.frame_of(page)
    app.locator("#words textarea").fill(WORDS)
    steps.sign_out(steps.new_page(context), deployment)
    expect(page.locator("#notice-signed-out")).to_be_visible()
    assert steps.status_inside(page, deployment, "showcase", "/config") == 401

    _sign_in_again(context, page, "Ana Analyst")
    expect(page.locator(".notice").filter(visible=True)).to_have_count(0)
    expect(app.locator("#words textarea")).to_have_value(WORDS)
    app.locator("#send").click()
    expect(app.locator("#answer textarea")).to_have_value(ANSWER)
    context.close()


def _sign_in_again(context: BrowserContext, page: Page, person: str) -> None:
    with context.expect_page() as opened:
        page.locator("#notice-signed-out a").click()
    _sign_in_beside(opened.value, person)


def _sign_in_beside(window: Page, person: str) -> None:
    """Sign in in the small window, which closes itself."""
    with window.expect_event("close"):
        window.get_by_role("link", name="Continue with Example Company").click()
        window.get_by_role("button", name=person).click()


def _own_tab(context: BrowserContext, deployment: Deployment) -> Page:
    """Open the showcase in a tab of its own, as Ana."""
    page = steps.new_page(context)
    if len(context.pages) == 1:
        steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/?tab=1")
    else:
        page.goto(f"{deployment.url}/apps/showcase/?tab=1")
    page.wait_for_url(f"{deployment.apps['showcase']}/**")
    expect(page.locator("#words textarea")).to_be_visible()
    return page
