"""Apps as other people write them, in the portal's frame: what a person sees of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys import steps
from tests.journeys.deployment import ROOT, Deployment, running_deployment

pytestmark = pytest.mark.usefixtures("journey")

SAMPLES: Final = ROOT / "tests" / "samples" / "unmodified"
NAMES: Final = ("own_sign_in", "hub_sign_in", "session_user", "mounted_below", "company_headers", "own_theme")


def slug_of(name: str) -> str:
    return name.replace("_", "-")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, journey: None) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("unmodified")
    data: Path = folder / "service.py"
    data.write_text("import uvicorn\nfrom fastapi import FastAPI\napp = FastAPI()\napp.get('/')(lambda: {'a': 1})\n")
    more = {slug_of(name): SAMPLES / f"{name}.py" for name in NAMES} | {"service": data}
    with running_deployment(folder, own=(), more=more) as deployment:
        yield deployment


@pytest.fixture
def page(deployment: Deployment, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme="light")
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Ana Analyst")
    expect(page.get_by_role("heading", name="Welcome, Ana")).to_be_visible()
    yield page
    context.close()


def greeting(page: Page) -> str:
    field = steps.frame_of(page).get_by_label("Greeting")
    expect(field).to_have_value(re.compile("."))
    return field.input_value()


@pytest.mark.parametrize("slug", ["own-sign-in", "hub-sign-in", "session-user", "mounted-below"])
def test_log_out_is_the_portals_and_asks_first(deployment: Deployment, page: Page, slug: str) -> None:
    """
    Whatever sign-in the app had: the portal's page around the frame goes there; the click alone does not sign out.
    """
    page.goto(f"{deployment.url}/apps/{slug}/")
    assert greeting(page)
    steps.frame_of(page).get_by_role("link", name="Log out").click()
    page.wait_for_url(f"{deployment.url}/sign-out")
    expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()
    page.get_by_role("link", name="Stay signed in").click()
    expect(page.get_by_role("heading", name="Welcome, Ana")).to_be_visible()


def test_a_tab_of_its_own_goes_there_too(deployment: Deployment, page: Page) -> None:
    page.goto(f"{deployment.url}/apps/own-sign-in/?tab=1")
    expect(page.get_by_label("Greeting")).to_have_value(re.compile("Hello ana@"))
    page.get_by_role("link", name="Log out").click()
    page.wait_for_url(f"{deployment.url}/sign-out")


def test_no_app_leaves_its_frame_without_the_persons_doing(deployment: Deployment, page: Page) -> None:
    """
    Without a click the page says what it is, and stays.
    """
    page.goto(f"{deployment.url}/apps/own-sign-in/logout")
    link = steps.frame_of(page).get_by_role("link", name="Continue to sign out")
    expect(link).to_be_visible()
    expect(page.locator("#wait")).to_be_hidden()
    assert page.url == f"{deployment.url}/apps/own-sign-in/logout"
    link.click()
    page.wait_for_url(f"{deployment.url}/sign-out")


def test_the_session_says_who_is_there_and_the_tutorials_links_lead_on(deployment: Deployment, page: Page) -> None:
    page.goto(f"{deployment.url}/apps/session-user/")
    assert greeting(page).startswith("Hello, Ana Analyst <ana@example.com>:")
    steps.frame_of(page).get_by_role("link", name="Administration").click()
    expect(page.get_by_role("heading", name="Welcome, Ana")).to_be_visible()  # this portal has no admin-dashboard
    page.goto(f"{deployment.url}/apps/session-user/auth/login")
    steps.frame_of(page).get_by_role("link", name="Open Session user").click()
    assert greeting(page).startswith("Hello, Ana Analyst")


def test_an_interface_below_a_root_of_json_opens_by_itself(deployment: Deployment, page: Page) -> None:
    page.goto(f"{deployment.url}/apps/mounted-below/")
    assert greeting(page) == "mounted"


def test_an_apps_page_called_launch_is_its_own(deployment: Deployment, page: Page) -> None:
    page.goto(f"{deployment.url}/apps/mounted-below/launch")
    expect(steps.frame_of(page).get_by_role("heading", name="Lift-off")).to_be_visible()


def test_what_is_no_page_is_shown(deployment: Deployment, page: Page) -> None:
    page.goto(f"{deployment.url}/apps/service/")
    expect(steps.frame_of(page).get_by_text('{"a":1}')).to_be_visible()
    expect(page.locator("#wait")).to_be_hidden()
    expect(page.locator(".notice:visible")).to_have_count(0)


def test_an_app_that_forbids_frames_is_shown_in_the_portals(deployment: Deployment, page: Page) -> None:
    page.goto(f"{deployment.url}/apps/company-headers/")
    expect(steps.frame_of(page).locator("head > title")).to_have_js_property("text", "Gradio")
    expect(page.locator("#wait")).to_be_hidden()


def test_the_apps_own_switch_counts_until_the_portals_is_used_again(deployment: Deployment, page: Page) -> None:
    page.goto(f"{deployment.url}/apps/own-theme/")
    body, light, dark = steps.frame_of(page).locator("body"), re.compile(r"^(?!.*\bdark\b)"), re.compile(r"\bdark\b")
    by_class = steps.frame_of(page).get_by_role("button", name="By class")
    by_parameter = steps.frame_of(page).get_by_role("button", name="By parameter")
    portals = page.get_by_role("button", name="Switch between light and dark")

    def settles_as(look: re.Pattern[str]) -> None:
        expect(by_class).to_be_visible()
        expect(body).to_have_class(look)
        page.wait_for_timeout(500)  # it was put back at once
        expect(body).to_have_class(look)

    settles_as(light)
    portals.click()
    settles_as(dark)
    by_class.click()
    settles_as(light)
    by_class.click()
    settles_as(dark)
    by_class.click()
    portals.click()
    settles_as(light)
    portals.click()
    settles_as(dark)
    page.reload()
    settles_as(dark)
    by_parameter.click()
    settles_as(light)
    by_parameter.click()
    settles_as(dark)
    by_parameter.click()
    settles_as(light)
    portals.click()
    settles_as(light)
