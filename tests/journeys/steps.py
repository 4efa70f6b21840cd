"""What a person does, step by step, in the words of the pages."""

import contextlib
import hashlib
import re
import time
from pathlib import Path

from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from tests.journeys import evidence
from tests.journeys.browser import PATIENCE
from tests.journeys.deployment import Deployment

UPLOAD = b"rows,of,a,table\n" * 4096
LARGE = b"0123456789abcdef" * (50 * 2**16)
"""50 MiB."""
LONG = 145
"""Ticks of a stream that runs for 72 seconds, longer than web servers wait for an answer."""
ENDLESS = 600
"""Ticks of one that runs until something stops it."""


def new_page(context: BrowserContext) -> Page:
    """Open a tab that waits as long as a slow machine needs."""
    page = context.new_page()
    evidence.watch(page)
    page.set_default_timeout(PATIENCE)
    page.set_default_navigation_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    return page


def sign_in(page: Page, deployment: Deployment, person: str, *, path: str = "/") -> None:
    """Go to *path*, and sign in as *person* at the provider's page."""
    page.goto(f"{deployment.url}{path}")
    expect(page.get_by_role("heading", name="Sign in to Example AI")).to_be_visible()
    page.get_by_role("link", name="Continue with Example Company").click()
    page.get_by_role("button", name=person).click()


def sign_out(page: Page, deployment: Deployment) -> None:
    """Sign out at the portal and at the provider, back to the page that says so."""
    page.goto(f"{deployment.url}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert page.url.startswith(f"{deployment.url}/signed-out")


def frame_of(page: Page) -> FrameLocator:
    """The app inside the portal's page."""
    return page.frame_locator("#frame")


def predict(app: FrameLocator, *, greeted: str) -> None:
    """Send words, and be answered by name."""
    app.locator("#words textarea").fill("three small words")
    app.locator("#send").click()
    expect(app.locator("#answer textarea")).to_have_value(
        f"Hello {greeted}. You wrote 3 words and 17 characters.", timeout=PATIENCE
    )


def start_stream(app: FrameLocator, *, ticks: int = ENDLESS) -> None:
    """Start a stream of two ticks a second, and see the third."""
    stream = app.locator("#stream textarea")
    app.get_by_role("tab", name="Stream").click()
    # On a tab that is still being built, Gradio may send the number that stood there before: said again then.
    for patience in (PATIENCE / 6, PATIENCE / 3, PATIENCE):
        app.locator("#count input[type=number]").fill(str(ticks))
        app.locator("#start").click()
        with contextlib.suppress(AssertionError):
            expect(stream).to_have_value(re.compile(f" of {ticks}$"), timeout=patience)
            break
        app.locator("#stop").click()
    expect(stream).to_have_value(re.compile(f"tick 3 of {ticks}"), timeout=PATIENCE)


def check_long_stream(app: FrameLocator) -> None:
    """See that a stream of that length has come to its end, with every tick in it."""
    ticks = app.locator("#stream textarea")
    expect(ticks).to_have_value(re.compile(f"tick {LONG} of"), timeout=3 * PATIENCE)
    check_no_tick_is_missing(ticks.input_value())


def check_no_tick_is_missing(ticks: str) -> None:
    """See that the stream holds each tick from its first to its latest, which stands on top."""
    numbers = [int(number) for number in re.findall(r"tick (\d+) of", ticks)]
    assert numbers == list(range(len(numbers), 0, -1))


def upload(app: FrameLocator, folder: Path, *, body: bytes = UPLOAD) -> None:
    """Upload a file; the app says what arrived."""
    file = folder / "table.csv"
    file.write_bytes(body)
    app.get_by_role("tab", name="Upload").click()
    app.locator("#file input[type=file]").set_input_files(file)
    expect(app.locator("#facts textarea")).to_have_value(re.compile(hashlib.sha256(body).hexdigest()), timeout=PATIENCE)


def download(page: Page, app: FrameLocator) -> str:
    """Download the report and return what stands in it."""
    app.get_by_role("tab", name="Download").click()
    with page.expect_download() as started:
        app.locator("#download").first.click()
    return Path(started.value.path()).read_text()


def plot(app: FrameLocator) -> None:
    """See the plot drawn."""
    app.get_by_role("tab", name="Plot").click()
    expect(app.locator("#plot canvas, #plot svg.marks").first).to_be_visible()


def status_inside(page: Page, deployment: Deployment, slug: str, path: str) -> int:
    """Ask for *path* from within the frame of the app *slug*, with the cookies it has there; return the status."""
    frame = next(frame for frame in page.frames if frame.url.startswith(deployment.apps[slug]))
    address = f"{deployment.apps[slug]}{path}"
    status: int = frame.evaluate("address => fetch(address).then(answer => answer.status)", address)
    return status


def frame_address(page: Page) -> str:
    """Where the app's frame is, as its own scripts see it."""
    address: str = page.frames[1].evaluate("location.href")
    return address


def follow_a_deep_link(page: Page, deployment: Deployment) -> None:
    """Go to a place inside the showcase; path and query of the portal's address are the frame's."""
    inside = "gradio_api/info?all_endpoints=true"
    page.goto(f"{deployment.url}/apps/showcase/{inside}")
    expect(frame_of(page).get_by_text("named_endpoints")).to_be_visible()
    assert frame_address(page) == f"{deployment.apps['showcase']}/{inside}"


def use_the_login_button(page: Page, deployment: Deployment, slug: str) -> None:
    """Use the button of Gradio's own inside the app *slug*: it knows who is there, and leads to the portal's page."""
    page.goto(f"{deployment.url}/apps/{slug}/")
    frame_of(page).get_by_role("button", name=re.compile("^Logout")).click()
    expect(page).to_have_url(f"{deployment.url}/sign-out")
    expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()


def use_everything(page: Page, app: FrameLocator, folder: Path, *, body: bytes = UPLOAD) -> None:
    """Ana predicts, uploads, downloads and plots in the showcase."""
    predict(app, greeted="Ana Analyst")
    upload(app, folder, body=body)
    assert "ana@example.com,5050" in download(page, app)
    plot(app)


def sign_out_elsewhere(page: Page, deployment: Deployment) -> None:
    """Sign out in another tab while the showcase streams in *page*: bytes stop, it says so, and the frame is dead."""
    sign_out(new_page(page.context), deployment)
    expect(page.locator("#notice-signed-out, #notice-ended").filter(visible=True)).to_have_count(1)
    stream = frame_of(page).locator("#stream textarea")
    before = stream.input_value()
    time.sleep(3)
    assert stream.input_value() == before
    # None of the app answers this browser any more.
    assert status_inside(page, deployment, "showcase", "/config") == 401
    page.reload()
    expect(page).to_have_url(re.compile(rf"^{re.escape(deployment.url)}/sign-in"))
