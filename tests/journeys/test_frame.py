"""What the portal's page and the frame in it owe to each other: the same path, the same light, whichever tab."""

import re
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys import steps
from tests.journeys.deployment import Deployment

pytestmark = pytest.mark.usefixtures("journey")

_FITS: Final = """() => ![...document.querySelectorAll(".gradio-container *")].some(element =>
  element.getBoundingClientRect().right > innerWidth + 1 && !element.closest("[role=grid], [aria-hidden=true]"))"""


def test_the_theme_reaches_into_the_frame_and_stays(deployment: Deployment, browser: Browser) -> None:
    """
    Dark against a system that is light: at once, after a reload, and in every app; and back.
    """
    context = browser.new_context(color_scheme="light", reduced_motion="reduce")
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/")
    body = steps.frame_of(page).locator("body")
    light, dark = re.compile(r"^(?!.*\bdark\b)"), re.compile(r"\bdark\b")
    expect(steps.frame_of(page).locator("#words textarea")).to_be_visible()
    expect(body).to_have_class(light)

    toggle = page.get_by_role("button", name="Switch between light and dark")
    toggle.click()
    expect(body).to_have_class(dark)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(steps.frame_of(page).locator("gradio-app")).to_have_css(
        "background-color", "rgb(19, 21, 24)"
    )  # the portal's own

    page.reload()
    expect(steps.frame_of(page).locator("#words textarea")).to_be_visible()
    expect(body).to_have_class(dark)
    page.goto(f"{deployment.url}/apps/user-dashboard/")
    expect(steps.frame_of(page).get_by_text("Ana Analyst").first).to_be_visible()
    expect(body).to_have_class(dark)

    toggle.click()
    expect(body).to_have_class(light)
    page.reload()
    expect(steps.frame_of(page).get_by_text("Ana Analyst").first).to_be_visible()
    expect(body).to_have_class(light)
    context.close()


def test_a_deep_link_leads_to_that_place_in_the_app(deployment: Deployment, browser: Browser) -> None:
    """
    Path and query of the portal's address are the frame's, through the sign-in too.
    """
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/?view=api&y=%2Fä")
    expect(steps.frame_of(page).locator("#words textarea")).to_be_visible()
    assert steps.frame_address(page) == f"{deployment.apps['showcase']}/?view=api&y=%2F%C3%A4"
    steps.follow_a_deep_link(page, deployment)
    context.close()


@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "signing in on the way"])
def test_links_arrive_with_whatever_a_browser_leaves_bare_in_them(
    deployment: Deployment, browser: Browser, *, signed_in: bool
) -> None:
    """
    Links as people paste them; and one too long to be carried opens the app and says so.
    """
    address = {
        "?tags=a|b": "/?tags=a%7Cb",
        "?q=a^b`c`{d}": "/?q=a%5Eb%60c%60%7Bd%7D",
        "?folder=C:\\data&name=O'Brien": "/?folder=C:%5Cdata&name=O%27Brien",
        "gradio_api//info?x=//y": "/gradio_api//info?x=//y",
        f"?state={'x' * 3000}": f"/?state={'x' * 3000}",
        f"?state={'|' * 700}": f"/?state={'%7C' * 700}",
        "%5Cevil.test": "/",
        f"?state={'|' * 2000}": "/",
    }
    context = browser.new_context()
    page = steps.new_page(context)
    if signed_in:
        steps.sign_in(page, deployment, "Ana Analyst")
    for asked, inside in address.items():
        if signed_in:
            page.goto(f"{deployment.url}/apps/showcase/{asked}")
        else:
            context.clear_cookies()
            steps.sign_in(page, deployment, "Ana Analyst", path=f"/apps/showcase/{asked}")
            expect(page).to_have_url(re.compile(f"^{re.escape(deployment.url)}/apps/showcase/"))
        page.frames[1].wait_for_url(deployment.apps["showcase"] + inside, wait_until="commit")
        notice = page.get_by_text("opens on its first page")
        expect(notice).to_be_visible() if inside == "/" else expect(notice).to_have_count(0)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("opens on its first page")).to_be_hidden()
    context.close()


def test_two_tabs_sign_in_at_once(deployment: Deployment, browser: Browser) -> None:
    """
    Each was begun before the other was finished, and each ends where it was going.
    """
    context = browser.new_context()
    paths = ("/apps/showcase/?tab=first&x=1", "/apps/user-dashboard/")
    tabs = {path: steps.new_page(context) for path in paths}
    for path, tab in tabs.items():
        tab.goto(f"{deployment.url}{path}")
        tab.get_by_role("link", name="Continue with Example Company").click()
        expect(tab.get_by_role("button", name="Ana Analyst")).to_be_visible()
    for path, tab in reversed(tabs.items()):
        tab.get_by_role("button", name="Ana Analyst").click()
        expect(tab).to_have_url(f"{deployment.url}{path}")
    for tab in tabs.values():
        tab.reload()
        expect(steps.frame_of(tab).locator(".gradio-container h1").first).to_be_visible()
    context.close()


def test_our_own_apps_fit_a_phone(deployment: Deployment, browser: Browser) -> None:
    """
    Nothing ends beyond the narrowest screen but what tables scroll inside themselves.
    """
    context = browser.new_context(viewport={"width": 320, "height": 640})
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ada Admin")
    for slug, shown in (
        ("user-dashboard", ".identity h2"),
        ("admin-dashboard", "#sign-ins [role=gridcell]"),
        ("showcase", "#words textarea"),
    ):
        page.goto(f"{deployment.url}/apps/{slug}/")
        expect(steps.frame_of(page).locator(shown).first).to_be_visible()
        page.frames[1].wait_for_function(_FITS)  # tabs that do not fit are put away a moment later
    context.close()
