"""Without a mouse, and without scripts: the way from the sign-in page into an app and out again."""

import re
from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys import steps
from tests.journeys.deployment import Deployment

pytestmark = pytest.mark.usefixtures("journey")

_FAR: Final = 40
"""Stops of the Tab key within which everything on our pages is reached."""

_SEEN: Final = """element => {
  const {top, bottom, left, right, width} = element.getBoundingClientRect();
  const inside = width > 0 && top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
  // A card's outline is drawn around the whole card.
  const styles = [getComputedStyle(element), getComputedStyle(element, "::after")];
  const ring = styles.some(style => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
  const skip = element.matches(".skip");  // appears by being focused
  return inside && (ring || skip);
}"""


def _tab_to(page: Page, target: Locator) -> None:
    """Press Tab until *target* has the focus; whatever has it on the way can be seen to have it."""
    for _ in range(_FAR):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() == 1 and focused.evaluate("element => element.tagName") not in {"BODY", "HTML", "IFRAME"}:
            assert focused.evaluate(_SEEN), f"the focus is not seen on {focused.evaluate('e => e.outerHTML')}"
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not reach {target}")


def test_by_keyboard_alone(deployment: Deployment, browser: Browser) -> None:
    """
    In, into an app, into its frame, and out.
    """
    context = browser.new_context(reduced_motion="reduce")
    page = steps.new_page(context)
    page.goto(deployment.url)
    expect(page).to_have_url(re.compile("/sign-in"))

    # The first stop skips what is the same on each page.
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Continue with Example Company")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Ana Analyst").press("Enter")  # the provider's own page

    expect(page).to_have_url(f"{deployment.url}/apps/user-dashboard/")
    _tab_to(page, page.get_by_role("link", name="Apps"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Welcome, Ana")).to_be_visible()
    _tab_to(page, page.get_by_role("link", name="Showcase"))
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{deployment.url}/apps/showcase/")
    expect(steps.frame_of(page).locator("#words textarea")).to_be_visible()
    _tab_to(page, page.get_by_role("link", name="Skip to the app"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    words = steps.frame_of(page).locator("#words textarea")
    for _ in range(_FAR):
        page.keyboard.press("Tab")
        if words.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("by hand")
    expect(words).to_have_value("by hand")

    page.goto(deployment.url)
    _tab_to(page, page.get_by_role("link", name="Sign out"))
    page.keyboard.press("Enter")
    _tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes, sign me out").press("Enter")
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    context.close()


def test_without_scripts(deployment: Deployment, browser: Browser) -> None:
    """
    The portal's part works: in, to the app's own page, and out.  Gradio itself does not work without scripts.
    """
    context = browser.new_context(java_script_enabled=False)
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Uwe User")
    expect(page).to_have_url(f"{deployment.url}/apps/user-dashboard/")
    page.get_by_role("link", name="Apps").click()
    page.get_by_role("link", name="Showcase").click()
    expect(page).to_have_url(f"{deployment.url}/apps/showcase/")
    expect(page.get_by_text("Switch between light and dark")).to_be_hidden()
    with page.expect_response(f"{deployment.apps['showcase']}/") as opened:
        steps.frame_of(page).get_by_role("button", name="Open Showcase").click()
    assert opened.value.status == 200
    assert "gradio" in opened.value.text()
    expect(page.get_by_text("Opening Showcase")).to_be_hidden()
    steps.sign_out(page, deployment)
    context.close()
