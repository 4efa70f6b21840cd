"""Deployments and browsers that the journeys share."""

from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.journeys import evidence
from tests.journeys.browser import running_browser
from tests.journeys.deployment import Deployment, running_deployment

SAME_SITE = "{app}.demo.localhost"
ACROSS_SITES = "{app}.apps.localhost"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the message of a failure what the pages show."""
    report = yield
    browser = getattr(item, "funcargs", {}).get("browser")
    if report.failed and browser is not None:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message += f"\n{evidence.of(browser)}"
    return report


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Portal and apps on the same site, as recommended."""
    with running_deployment(tmp_path_factory.mktemp("house"), apps=SAME_SITE) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def deployment_across_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Portal and apps on two sites: the app's cookie is a third party's."""
    with running_deployment(tmp_path_factory.mktemp("across"), apps=ACROSS_SITES) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def playwright(journey: None) -> Iterator[Playwright]:
    """The one driver of all browsers: a second beside it would not start."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One Chromium; each test opens contexts of its own."""
    with running_browser(playwright) as browser:
        yield browser
