"""Houses and browsers that the journeys share."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.journeys.browser import running_browser
from tests.journeys.house import House, running_house

SAME_SITE = "{app}.demo.localhost"
ACROSS_SITES = "{app}.apps.localhost"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the journeys last: from the first on, Playwright's event loop runs, and tests with one of their own fail.

    For the same reason a file with journeys in a browser has no other tests: where several processes share the
    tests, each file stays in one.
    """
    items.sort(key=lambda item: item.get_closest_marker("journey") is not None)


@pytest.fixture(scope="session", autouse=True)
def _untraced() -> Iterator[None]:
    """Do not measure the coverage of what the journeys start: it would take a good part of their time.

    What they run in those processes, other tests run in theirs.
    """
    traced = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("COV")}
    yield
    os.environ.update(traced)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Portal and apps on the same site, as recommended."""
    with running_house(tmp_path_factory.mktemp("house"), apps=SAME_SITE) as house:
        yield house


@pytest.fixture(scope="module")
def house_across_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Portal and apps on two sites: the app's cookie is a third party's."""
    with running_house(tmp_path_factory.mktemp("across"), apps=ACROSS_SITES) as house:
        yield house


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The one driver of all browsers: a second beside it would not start."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One Chromium; each test opens contexts of its own."""
    with running_browser(playwright) as browser:
        yield browser
