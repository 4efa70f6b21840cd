"""The main job, in a browser: sign in, work in an app, be refused another, sign out, and find the frame dead."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys import in_firefox, steps
from tests.journeys.deployment import Deployment
from tests.journeys.firefox import running_firefox

pytestmark = pytest.mark.usefixtures("journey")


def _a_whole_day(deployment: Deployment, browser: Browser, folder: Path) -> None:
    context = browser.new_context(accept_downloads=True)
    page = steps.new_page(context)

    # Signed in, they are where they were going, at that path of the app.
    steps.sign_in(page, deployment, "Ana Analyst", path="/apps/showcase/?x=1")
    expect(page).to_have_url(f"{deployment.url}/apps/showcase/?x=1")
    app = steps.frame_of(page)
    steps.use_everything(page, app, folder)

    # The catalogue shows what they may open, and nothing else.
    page.get_by_role("banner").get_by_role("link", name="Apps").click()
    expect(page.get_by_role("link", name="Showcase")).to_be_visible()
    expect(page.get_by_text("Administration")).to_have_count(0)

    # Another app is refused, with the reason.
    refused = page.goto(f"{deployment.url}/apps/admin-dashboard/")
    assert refused is not None
    assert refused.status == 403
    for said in ("admin", "Ana Analyst", "Acme"):
        expect(page.get_by_text(said).first).to_be_visible()

    # A stream runs; they sign out in another tab; the bytes stop, and the page says so.
    page.goto(f"{deployment.url}/apps/showcase/")
    app = steps.frame_of(page)
    steps.start_stream(app)
    steps.sign_out_elsewhere(page, deployment)
    context.close()


def test_a_whole_day(deployment: Deployment, browser: Browser, tmp_path: Path) -> None:
    """
    Everything the issue of the day asks of a frame, with portal and apps on one site.
    """
    _a_whole_day(deployment, browser, tmp_path)


def test_a_whole_day_with_cookies_across_sites(
    deployment_across_sites: Deployment, browser: Browser, tmp_path: Path
) -> None:
    """
    The same where the app's cookie is a third party's, partitioned by the browser.
    """
    _a_whole_day(deployment_across_sites, browser, tmp_path)


def test_a_whole_day_with_cookies_across_sites_in_firefox(deployment_across_sites: Deployment, tmp_path: Path) -> None:
    """
    Firefox keeps such cookies apart by the page around the frame, and sends them with downloads too.
    """
    with running_firefox(tmp_path) as firefox:
        day = in_firefox.begin_day(firefox, deployment_across_sites)
        in_firefox.use_everything(day, tmp_path)
        in_firefox.sign_out_elsewhere(day)


def test_an_admin_lands_on_the_dashboard_and_ends_a_sign_in(deployment: Deployment, browser: Browser) -> None:
    """
    The dashboard shows who is signed in, within the admin's tenant, and can end it: Ana's frame dies.
    """
    hers = browser.new_context()
    her_page = steps.new_page(hers)
    steps.sign_in(her_page, deployment, "Ana Analyst", path="/apps/showcase/")
    steps.predict(steps.frame_of(her_page), greeted="Ana Analyst")

    admins = browser.new_context()
    page = steps.new_page(admins)
    steps.sign_in(page, deployment, "Ada Admin")
    expect(page).to_have_url(f"{deployment.url}/apps/admin-dashboard/")
    dashboard = steps.frame_of(page)
    expect(dashboard.get_by_role("gridcell", name="ana@example.com").first).to_be_visible()
    dashboard.get_by_label("End sign-ins").click()
    dashboard.get_by_role("option", name=re.compile("^Ana Analyst")).first.click()
    dashboard.get_by_role("button", name="End…", exact=True).click()
    expect(dashboard.get_by_text("End 1 sign-in of Ana Analyst")).to_be_visible()
    dashboard.get_by_role("button", name="Yes, end 1 sign-in").click()
    expect(dashboard.get_by_text("The sign-in has ended")).to_be_visible()
    expect(her_page.locator(".notice").filter(visible=True)).to_have_count(1)
    assert steps.status_inside(her_page, deployment, "showcase", "/config") == 401

    more = [browser.new_context() for _ in range(2)]
    more_pages = [steps.new_page(context) for context in more]
    for one in more_pages:
        steps.sign_in(one, deployment, "Ana Analyst", path="/account")
        expect(one.get_by_role("heading", name="Ana Analyst")).to_be_visible()
    page.reload()
    hers_now = dashboard.get_by_role("gridcell", name="ana@example.com")
    expect(hers_now.nth(1)).to_be_visible()
    count = hers_now.count()  # other tests may have left some
    dashboard.get_by_label("End sign-ins").click()
    dashboard.get_by_role("option", name=re.compile(f"^All {count} sign-ins of Ana Analyst")).click()
    dashboard.get_by_role("button", name="End…", exact=True).click()
    dashboard.get_by_role("button", name=f"Yes, end {count} sign-ins").click()
    expect(dashboard.get_by_text(f"{count} sign-ins have ended")).to_be_visible()
    for one in more_pages:
        one.reload()
        expect(one.get_by_role("heading", name="Sign in to Example AI")).to_be_visible()
    for context in (admins, hers, *more):
        context.close()


def test_an_ordinary_person_lands_on_their_dashboard_and_signs_out_from_inside_the_frame(
    deployment: Deployment, browser: Browser
) -> None:
    """
    The link inside the frame leads the whole window to the portal's sign-out.
    """
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Uwe User")
    expect(page).to_have_url(f"{deployment.url}/apps/user-dashboard/")
    app = steps.frame_of(page)
    expect(app.get_by_text("Uwe User").first).to_be_visible()
    app.get_by_role("link", name="Sign out").click()
    expect(page).to_have_url(f"{deployment.url}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    context.close()


def test_a_person_of_two_tenants_is_admin_in_one_only(deployment: Deployment, browser: Browser) -> None:
    """
    Tess administers Beta; in Acme the administration does not open for her, and switching ends Beta's app sessions.
    """
    context = browser.new_context()
    page = steps.new_page(context)
    steps.sign_in(page, deployment, "Tess Two-Tenants")
    expect(page).to_have_url(f"{deployment.url}/apps/admin-dashboard/")
    expect(steps.frame_of(page).get_by_role("gridcell", name="tess@example.com").first).to_be_visible()
    # Ana and Ada belong to Acme: an admin of Beta does not see them.
    expect(steps.frame_of(page).get_by_role("gridcell", name="ana@example.com")).to_have_count(0)

    account = steps.new_page(context)
    account.goto(f"{deployment.url}/account")
    account.get_by_role("button", name=re.compile("Acme")).click()
    refused = account.goto(f"{deployment.url}/apps/admin-dashboard/")
    assert refused is not None
    assert refused.status == 403
    expect(page.locator(".notice").filter(visible=True)).to_have_count(1)
    context.close()
