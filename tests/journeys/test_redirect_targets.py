"""Every answer to "where may we send this browser?", resolved by a real Chromium: none leaves its origin."""

from itertools import product
from typing import Final

import pytest
from playwright.sync_api import Browser

from portal.contract import is_local_path, local_path
from portal.rules.redirects import safe_next

pytestmark = pytest.mark.usefixtures("journey")

PIECES: Final = (
    "/", "\\", "//", ".", "..", "%2f", "%5C", "%2e", "%09", "%00", "\t", "\n", "\x00", " ", "?", "#", "@", ":", "|",
    "{", "^", "`", "%", "é", "\uff0f", "\u2044", "https:", "javascript:", "evil.test",
    "apps/forecast/", "apps/forecast/.portal/launch",
)  # fmt: skip
BASE: Final = "https://portal.example.com/sign-in"
RESOLVE: Final = """([targets, base]) => targets.flatMap(target => {
  const url = new URL(target, base);
  return url.origin === new URL(base).origin && url.pathname.startsWith("/") && !url.pathname.startsWith("//")
    ? [] : [target];
})"""


def test_no_target_leaves_its_origin(browser: Browser) -> None:
    """
    Whatever three pieces an address is put together from, behind a slash, the path of an app, or nothing.
    """
    written = {
        before + "".join(pieces)
        for before in ("", "/", "/apps/forecast/")
        for count in range(4)
        for pieces in product(PIECES, repeat=count)
    }
    answers = {answer for one in written for answer in (local_path(one), safe_next(one))}
    assert len(written) > 80_000
    assert len(answers) > 10_000
    assert all(map(is_local_path, answers))
    # As the launch, the guard under a path, and the page of another host's name write them.
    targets = [
        prefix + answer for answer in sorted(answers) for prefix in ("", "/run/forecast", "https://portal.example.com")
    ]
    page = browser.new_page()
    assert page.evaluate(RESOLVE, [targets, BASE]) == []
    page.close()
