"""What the portal knows of the browser's features is held against the Chromium that is installed."""

from playwright.sync_api import Browser

from portal.rules.browser_features import OFF, UNRESTRICTED, UNRESTRICTED_PREFIX


def test_every_feature_of_this_chromium_was_looked_at(browser: Browser) -> None:
    """
    One that is new is off and may be granted, or never granted, or left as it is: that is to be decided.
    """
    page = browser.new_page()
    page.goto("data:text/html,<p>features</p>")
    known = set(page.evaluate("document.featurePolicy.features()"))
    page.close()

    assert len(known) > 40
    assert {one for one in known - OFF - UNRESTRICTED if not one.startswith(UNRESTRICTED_PREFIX)} == set()
