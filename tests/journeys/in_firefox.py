"""What a person does in Firefox: the steps of ``steps``, for the browser of ``firefox``."""

import contextlib
import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.journeys import steps
from tests.journeys.browser import PATIENCE
from tests.journeys.deployment import Deployment
from tests.journeys.firefox import Firefox, Place, Tab

_PROTOCOLS: Final = "() => [...new Set(performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol))]"
_STATUS: Final = "address => fetch(address).then(answer => answer.status)"
SAYS_THAT_IT_ENDED: Final = (
    "() => [...document.querySelectorAll('#notice-signed-out, #notice-ended')].some(one => !one.hidden)"
)
_SAYS: Final = "words => document.body.innerText.includes(words)"


@dataclass(frozen=True, slots=True)
class Day:
    """Somebody's day in Firefox, with a stream in a tab of its own."""

    firefox: Firefox
    deployment: Deployment
    tab: Tab
    streaming: Tab


def begin_day(firefox: Firefox, deployment: Deployment) -> Day:
    """Have Ana sign in, and start a stream that would run for minutes."""
    tab = firefox.new_tab()
    sign_in(tab, deployment, "Ana Analyst", path="/apps/showcase/?x=1")
    tab.wait_for_url(re.escape(f"{deployment.url}/apps/showcase/?x=1"))
    tab.app.see("#words textarea")
    streaming = firefox.new_tab()
    streaming.go(f"{deployment.url}/apps/showcase/")
    start_stream(streaming.app)
    return Day(firefox, deployment, tab, streaming)


def use_everything(
    day: Day, folder: Path, *, body: bytes = steps.UPLOAD, second: tuple[str, str] = ("user-dashboard", "Ana Analyst")
) -> None:
    """Ana predicts, uploads *body* and downloads in the showcase, and opens the app *second*, which has its words."""
    deployment, tab = day.deployment, day.tab
    tab.front()
    predict(tab.app, greeted="Ana Analyst")
    assert tab.app.ask("() => location.href") == f"{deployment.apps['showcase']}/?x=1"
    if deployment.url.startswith("https:"):
        assert tab.app.ask(_PROTOCOLS) == ["h2"]
    upload(tab.app, folder, body=body)
    assert "ana@example.com,5050" in download(day.firefox, tab.app)
    slug, words = second
    tab.go(f"{deployment.url}/apps/{slug}/")
    tab.app.wait(_SAYS, words)


def sign_in(tab: Tab, deployment: Deployment, person: str, *, path: str = "/") -> None:
    """Go to *path*, and sign in as *person* at the provider's page."""
    tab.go(f"{deployment.url}{path}")
    tab.click('aria/Continue with Example Company[role="link"]')
    tab.click(f'aria/{person}[role="button"]')


def sign_out(firefox: Firefox, deployment: Deployment) -> None:
    """Sign out in a tab of its own, at the provider too."""
    tab = firefox.new_tab()
    tab.go(f"{deployment.url}/sign-out")
    tab.click('aria/Sign out[role="button"]')
    tab.click('aria/Yes, sign me out[role="button"]')
    tab.see('aria/You are signed out[role="heading"]')
    assert tab.url.startswith(f"{deployment.url}/signed-out")


def predict(app: Place, *, greeted: str) -> None:
    """Send words, and be answered by name."""
    app.fill("#words textarea", "three small words")
    app.click("#send")
    app.wait_for_value("#answer textarea", f"^Hello {greeted}. You wrote 3 words and 17 characters.$")


def start_stream(app: Place) -> None:
    """Start ticks that would run for minutes, and see the third."""
    app.click('aria/Stream[role="tab"]')
    for patience in (PATIENCE // 6, PATIENCE // 3, PATIENCE):  # again for the same reason as in "steps"
        app.fill("#count input[type=number]", str(steps.ENDLESS))
        app.click("#start")
        with contextlib.suppress(AssertionError):
            app.wait_for_value("#stream textarea", f" of {steps.ENDLESS}$", patience=patience)
            break
        app.click("#stop")
    app.wait_for_value("#stream textarea", f"tick 3 of {steps.ENDLESS}")


def upload(app: Place, folder: Path, *, body: bytes) -> None:
    """Upload a file; the app says what arrived."""
    file = folder / "table.csv"
    file.write_bytes(body)
    app.click('aria/Upload[role="tab"]')
    app.upload("#file input[type=file]", file)
    app.wait_for_value("#facts textarea", hashlib.sha256(body).hexdigest())


def download(firefox: Firefox, app: Place) -> str:
    """Download the report and return what stands in it."""
    app.click('aria/Download[role="tab"]')
    app.click("#download")
    deadline = time.monotonic() + PATIENCE / 1000
    report = firefox.downloads / "report.csv"
    while not (report.exists() and report.stat().st_size):  # beside it lies a .part until all of it is there
        assert time.monotonic() < deadline, f"no report among {list(firefox.downloads.iterdir())}"
        time.sleep(0.1)
    return report.read_text()


def check_long_stream(day: Day) -> None:
    """See that the stream has gone on for 70 seconds, with every tick in it."""
    day.streaming.front()
    day.streaming.app.wait_for_value("#stream textarea", f"tick {steps.LONG} of", patience=3 * PATIENCE)
    steps.check_no_tick_is_missing(day.streaming.app.value("#stream textarea"))


def sign_out_elsewhere(day: Day) -> None:
    """Sign out in another tab while the showcase streams: bytes stop, it says so, and the frame is dead."""
    deployment, tab = day.deployment, day.streaming
    sign_out(day.firefox, deployment)

    tab.front()
    tab.wait(SAYS_THAT_IT_ENDED)
    before = tab.app.value("#stream textarea")
    time.sleep(3)
    assert tab.app.value("#stream textarea") == before
    assert tab.app.ask(_STATUS, f"{deployment.apps['showcase']}/config") == 401
    tab.go(f"{deployment.url}/apps/showcase/")
    tab.wait_for_url(f"{re.escape(deployment.url)}/sign-in.*")
