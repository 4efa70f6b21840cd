"""Make the pictures of the portal's pages in ``docs/pictures`` from the demo: ``make screenshots``."""

import io
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.journeys import steps
from tests.journeys.browser import running_browser
from tests.journeys.deployment import ROOT

_PICTURES: Final = ROOT / "docs" / "pictures"


@contextmanager
def _running_demo() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "portal.cli", "demo", "--no-browser", "--port", "0", "--data-dir", folder]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            output = ""
            while demo.stdout is not None and "All apps are running" not in output:
                line = demo.stdout.readline()
                assert line, f"the demo ended:\n{output}"
                output += line
            found = re.search(r"Open +(http://\S+)", output)
            assert found is not None, output
            yield found.group(1)
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(timeout=15)


def _save(page: Page, name: str) -> None:
    """Write what *page* shows, with 256 colours: a third of the size, and no difference to the eye."""
    page.mouse.move(0, 0)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(_PICTURES / f"{name}.png", optimize=True)


def main() -> None:
    """Write the sign-in page, the catalogue, an app in its frame, the account page and the admin's app."""
    with _running_demo() as url, sync_playwright() as playwright, running_browser(playwright) as browser:
        page = steps.new_page(browser.new_context(viewport={"width": 1200, "height": 700}, reduced_motion="reduce"))
        page.goto(f"{url}/apps/showcase/")
        expect(page.get_by_role("link", name="Continue with")).to_be_visible()
        _save(page, "sign-in")
        page.get_by_role("link", name="Continue with").click()
        page.get_by_role("button", name="Ada Admin").click()
        steps.plot(steps.frame_of(page))
        page.wait_for_timeout(1000)  # the plot grows to its width after it is there
        _save(page, "app")
        page.goto(url)
        expect(page.get_by_role("heading", name="Welcome, Ada")).to_be_visible()
        _save(page, "catalogue")
        page.goto(f"{url}/account")
        expect(page.get_by_role("heading", name="Ada Admin")).to_be_visible()
        _save(page, "account")
        page.goto(f"{url}/apps/admin-dashboard/")
        expect(steps.frame_of(page).get_by_role("gridcell", name="ada@acme.example").last).to_be_visible()
        page.wait_for_timeout(1000)  # the tables grow to their width
        _save(page, "admin-dashboard")


if __name__ == "__main__":
    main()
