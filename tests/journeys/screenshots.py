"""Make the pictures of the README from the demo: ``python -m tests.journeys.screenshots``."""

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import expect, sync_playwright

from tests.journeys import steps
from tests.journeys.browser import running_browser
from tests.journeys.deployment import ROOT

_PICTURES: Final = ROOT / "docs" / "images"


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


def main() -> None:
    """Write the catalogue, and an app in its frame."""
    with _running_demo() as url, sync_playwright() as playwright, running_browser(playwright) as browser:
        page = steps.new_page(browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce"))
        page.goto(f"{url}/apps/showcase/")
        page.get_by_role("link", name="Continue with").click()
        page.get_by_role("button", name="Ada Admin").click()
        steps.plot(steps.frame_of(page))
        page.wait_for_timeout(1000)  # the plot grows to its width after it is there
        page.screenshot(path=_PICTURES / "app.png")
        page.goto(url)
        expect(page.get_by_role("heading", name="Welcome, Ada")).to_be_visible()
        page.screenshot(path=_PICTURES / "catalogue.png")


if __name__ == "__main__":
    main()
