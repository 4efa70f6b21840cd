"""A real Chromium, as Debian packages it, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, Playwright

_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE: Final = 120_000
"""Milliseconds a step may take; machines that run the tests are slow and noisy."""


def chromium() -> str:
    """Return the path of a Chromium; skip the test where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found is not None:
            return found
    explanation = "install Chromium (Debian: apt-get install chromium) to try the portal in a browser"
    if os.environ.get("CI") == "true":
        pytest.fail(explanation)
    pytest.skip(explanation)


@contextmanager
def running_browser(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    """Run a headless Chromium until the block ends."""
    browser = playwright.chromium.launch(executable_path=chromium(), args=[*_FLAGS, *flags])
    try:
        yield browser
    finally:
        browser.close()
