"""The pages people see every day, in Firefox: what axe-core finds, how wide they are, and the keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.journeys import examiner, in_firefox
from tests.journeys.deployment import Deployment
from tests.journeys.firefox import Tab, running_firefox

pytestmark = pytest.mark.usefixtures("journey")

_PAGES: Final = (
    ("catalogue", "/", "aria/Showcase[role='link']"),
    ("account", "/account", "aria/Ana Analyst[role='heading']"),
    ("app", "/apps/showcase/", "#frame"),
    ("refused", "/apps/admin-dashboard/", "aria/You do not have access to Administration[role='heading']"),
    ("unknown address", "/nothing-here", "aria/Page not found[role='heading']"),
    ("sign-out", "/sign-out", "aria/Sign out[role='button']"),
)
_SETTLED: Final = "() => document.querySelector('#wait')?.hidden !== false"
_FOCUSED: Final = "() => document.activeElement.textContent.trim() || document.activeElement.id"
_TO_BE_SEEN: Final = """() => {
  const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(document.activeElement);
  return (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) || boxShadow !== "none";
}"""


@pytest.fixture(params=["light", "dark"])
def tab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tab]:
    with running_firefox(tmp_path, dark=request.param == "dark") as firefox:
        yield firefox.new_tab()


def _examine(name: str, tab: Tab) -> list[str]:
    tab.ask(examiner.FLATTEN)
    tab.load(examiner.axe())
    found = []
    for width, height in (examiner.WIDE, examiner.PHONE):
        tab.size(width, height)
        found += [f"{name}, {width} px: {problem}" for problem in tab.ask(examiner.EXAMINE, list(examiner.TAGS))]
    tab.size(*examiner.NARROW)
    return found + [f"{name}: {problem}" for problem in tab.ask(examiner.TOO_WIDE)]


def test_pages_are_without_problems(deployment: Deployment, tab: Tab) -> None:
    tab.go(f"{deployment.url}/sign-in")
    tab.see("aria/Sign in to Example AI[role='heading']")
    found = _examine("sign-in", tab)
    tab.size(*examiner.WIDE)
    in_firefox.sign_in(tab, deployment, "Ana Analyst")
    tab.wait_for_url(f"{re.escape(deployment.url)}/apps/user-dashboard/")
    for name, path, element in _PAGES:
        tab.size(*examiner.WIDE)
        tab.go(f"{deployment.url}{path}")
        tab.see(element)
        tab.wait(_SETTLED)
        found += _examine(name, tab)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("tab", ["light"], indirect=True, ids=["light"])
def test_the_keyboard_is_enough(deployment: Deployment, tab: Tab) -> None:
    """
    From the sign-in page into an app, by Tab and Enter; what has the focus is to be seen.
    """
    tab.go(f"{deployment.url}/apps/showcase/")
    _press_until(tab, "Continue with Example Company")
    tab.press("Enter")
    tab.see('aria/Ana Analyst[role="button"]')
    _press_until(tab, "Ana Analyst", seen=False)  # a page of the provider's
    tab.press("Enter")
    tab.wait_for_url(re.escape(f"{deployment.url}/apps/showcase/"))
    tab.app.see("#words textarea")
    _press_until(tab, "frame", seen=False)  # what has it is inside
    tab.app.wait("() => document.hasFocus()")


def _press_until(tab: Tab, name: str, *, seen: bool = True) -> None:
    for _ in range(20):
        tab.press("Tab")
        if tab.ask(_FOCUSED) == name:
            assert not seen or tab.ask(_TO_BE_SEEN), f"{name} has the focus, and nobody sees it"
            return
    pytest.fail(f"Tab leads nowhere to {name}, but to {tab.ask(_FOCUSED)}")
