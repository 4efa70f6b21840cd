"""What a person does, step by step, in the words of the pages."""

import hashlib
import re
import time
from pathlib import Path

from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from tests.journeys.browser import PATIENCE
from tests.journeys.house import House

UPLOAD = b"rows,of,a,table\n" * 4096


def new_page(context: BrowserContext) -> Page:
    """Open a tab that waits as long as a slow machine needs."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.set_default_navigation_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    return page


def sign_in(page: Page, house: House, person: str, *, path: str = "/") -> None:
    """Go to *path*, and sign in as *person* at the provider's page."""
    page.goto(f"{house.url}{path}")
    expect(page.get_by_role("heading", name="Sign in to Example AI")).to_be_visible()
    page.get_by_role("link", name="Continue with Example Company").click()
    page.get_by_role("button", name=person).click()


def sign_out(page: Page, house: House) -> None:
    """Sign out at the portal and at the provider, back to the page that says so."""
    page.goto(f"{house.url}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert page.url.startswith(f"{house.url}/signed-out")


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


def start_stream(app: FrameLocator) -> None:
    """Start ticks that would run for minutes, and see the third."""
    app.get_by_role("tab", name="Stream").click()
    app.locator("#count input[type=number]").fill("600")
    app.locator("#start").click()
    expect(app.locator("#stream textarea")).to_have_value(re.compile(r"tick 3 of 600"), timeout=PATIENCE)


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


def status_inside(page: Page, house: House, slug: str, path: str) -> int:
    """Ask for *path* from within the frame of the app *slug*, with the cookies it has there; return the status."""
    frame = next(frame for frame in page.frames if frame.url.startswith(house.apps[slug]))
    address = f"{house.apps[slug]}{path}"
    status: int = frame.evaluate("address => fetch(address).then(answer => answer.status)", address)
    return status


def use_everything(page: Page, app: FrameLocator, folder: Path) -> None:
    """Ana predicts, uploads, downloads and plots in the showcase."""
    predict(app, greeted="Ana Analyst")
    upload(app, folder)
    assert "ana@example.com,5050" in download(page, app)
    plot(app)


def sign_out_elsewhere(page: Page, house: House) -> None:
    """Sign out in another tab while the showcase streams in *page*: bytes stop, it says so, and the frame is dead."""
    sign_out(new_page(page.context), house)
    expect(page.locator("#notice-signed-out, #notice-ended").filter(visible=True)).to_have_count(1)
    stream = frame_of(page).locator("#stream textarea")
    before = stream.input_value()
    time.sleep(3)
    assert stream.input_value() == before
    # None of the app answers this browser any more.
    assert status_inside(page, house, "showcase", "/config") == 401
    page.reload()
    expect(page).to_have_url(re.compile(rf"^{re.escape(house.url)}/sign-in"))
