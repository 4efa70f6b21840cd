"""The sign-in page of several providers in a browser, with its forms' policies, and without scripts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.builders import a_provider
from tests.journeys import steps
from tests.journeys.examiner import Finding, examine
from tests.ports import free_ports
from tests.provider.browser import Portal
from tests.provider.scripted import ScriptedProvider

pytestmark = pytest.mark.usefixtures("journey")

_SPECS: Final = (
    a_provider(id="google", label="Google", provider_type="google"),
    a_provider(id="azure-ad", label="Microsoft", provider_type="azure-ad"),
    a_provider(id="github", label="GitHub", provider_type="github"),
    a_provider(id="gitlab", label="GitLab", provider_type="gitlab"),
    a_provider(id="huggingface", label="Hugging Face", provider_type="huggingface"),
    a_provider(id="auth0", label="Auth0", provider_type="auth0"),
    a_provider(
        id="acme", label="Acme Industries of the North", provider_type="okta", domains=frozenset({"acme.example"})
    ),
    a_provider(id="beta", label="Beta", provider_type="keycloak", domains=frozenset({"beta.example"})),
)
_THERE: Final = "<!doctype html><html lang='en'><title>There</title><h1>Who are you?</h1></html>"


@contextmanager
def portal_at(folder: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    portal = Portal(folder, url=url, providers=_SPECS)
    portal.providers.update({spec.id: ScriptedProvider(spec) for spec in _SPECS})
    # With all of a body at once: where a browser goes away, werkzeug's server leaves a file that it streams open.
    whole = Request.application(lambda request: Response.from_app(portal.app, request.environ, buffered=True))
    server = make_server("127.0.0.1", port, whole, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with portal_at(tmp_path_factory.mktemp("portal")) as url:
        yield url


@pytest.fixture(params=["with scripts", "without"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(reduced_motion="reduce", java_script_enabled=request.param == "with scripts")
    page = steps.new_page(context)
    page.route("https://id.example.com/**", there)
    yield page
    context.close()


def there(route: Route) -> None:
    """Answer as the provider's own page."""
    route.fulfill(body=_THERE, content_type="text/html")


def test_an_address_leads_to_its_provider_and_back_to_where_somebody_was_going(url: str, page: Page) -> None:
    page.goto(f"{url}/apps/forecast/?x=1")
    page.get_by_label("Your work e-mail address").fill("ana@nobody.example")
    page.get_by_label("Your work e-mail address").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("There is no sign-in for this address.")
    expect(page.get_by_label("Your work e-mail address")).to_have_value("ana@nobody.example")
    page.get_by_label("Your work e-mail address").fill("ana@acme.example")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    query = parse_qs(urlsplit(page.url).query)

    assert query["login_hint"] == ["ana@acme.example"]
    answer = page.goto(f"{url}/auth/oauth/acme/callback?code=code&state={query['state'][0]}")
    assert answer is not None
    assert urlsplit(page.url).path == "/apps/forecast/"
    assert urlsplit(page.url).query == "x=1"


def test_the_last_used_comes_first(url: str, page: Page) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_role("link", name="Continue with GitHub").click()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    state = parse_qs(urlsplit(page.url).query)["state"][0]
    page.goto(f"{url}/auth/oauth/github/callback?code=code&state={state}")
    page.goto(f"{url}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()  # signing out there too
    page.goto(f"{url}/sign-in")

    expect(page.locator(".dialog-buttons a").first).to_have_text("Continue with GitHub Last used")


def test_it_can_be_used_by_everybody(url: str, browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = steps.new_page(context)
    page.route("https://id.example.com/**", lambda route: route.fulfill(status=204))
    context.add_cookies([{"name": "portal-provider", "value": "github", "url": url}])
    found: list[Finding] = []
    page.goto(f"{url}/apps/forecast/")
    found += examine("sign-in with several providers", page)
    page.get_by_label("Your work e-mail address").fill("ana@nobody.example")
    page.get_by_role("button", name="Continue", exact=True).click()
    expect(page.get_by_role("status")).to_be_visible()
    found += examine("sign-in, with an address that leads nowhere", page)
    page.get_by_label("Your work e-mail address").fill("ana@acme.example")
    page.get_by_role("button", name="Continue", exact=True).click()
    expect(page.get_by_role("heading", name="Continuing to Acme")).to_be_visible()
    found += examine("going on to a provider", page)
    context.close()

    assert not found, "\n".join(f"{one.page} ({one.looked}): {one.problem}" for one in found)
