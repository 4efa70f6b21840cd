"""The sign-in page: buttons, the provider of an address, and going straight to the only provider."""

from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from portal.errors import ProviderRefused, ProviderUnavailable
from portal.settings import ProviderSpec
from portal.web.sign_in_page import buttons, provider_of_address
from tests.builders import PORTAL, a_provider
from tests.provider.browser import Browser, Portal, callback_of, link_to_provider
from tests.provider.scripted import ScriptedProvider

GITHUB = a_provider(id="github", label="GitHub", provider_type="github")
ACME = a_provider(id="acme", label="Acme", provider_type="okta", domains=frozenset({"acme.example", "acme.test"}))
BETA = a_provider(id="beta", label="Beta", provider_type="azure-ad", domains=frozenset({"beta.example"}))
ALL = (GITHUB, ACME, BETA)


def portal_with(folder: Path, *specs: ProviderSpec, **changes: object) -> Portal:
    portal = Portal(folder, providers=specs, **changes)
    portal.providers.update({spec.id: ScriptedProvider(spec) for spec in specs})
    return portal


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(portal_with(tmp_path, *ALL))


def come_back(browser: Browser, answer: TestResponse, provider: str) -> TestResponse:
    """Come back from the provider that *answer* leads to."""
    url = answer.headers.get("Location") or link_to_provider(answer)
    return browser.get(callback_of(url, f"/auth/oauth/{provider}/callback"))


def first_button(page: TestResponse) -> str:
    return page.text.partition('href="/auth/oauth/')[2].partition('"')[0]


class TestButtons:
    def test_each_has_its_mark_and_words(self, browser: Browser) -> None:
        page = browser.get("/sign-in").text

        for mark, words in (
            ("github", "Continue with GitHub"),
            ("okta", "Continue with Acme"),
            ("microsoft", "Sign in with Beta"),
        ):
            assert f"#{mark}" in page
            assert words in page
        assert "Last used" not in page

    def test_a_provider_type_without_a_mark_has_the_plain_one(self) -> None:
        (button,) = buttons([a_provider(provider_type="oidc")], last_used=None, target="/")

        assert (button.mark, button.invitation) == ("key", "Continue with")

    def test_the_last_used_comes_first_and_the_others_stay_in_order(self) -> None:
        shown = buttons(ALL, last_used="beta", target="/")

        assert [one.label for one in shown] == ["Beta", "GitHub", "Acme"]
        assert [one.was_last for one in shown] == [True, False, False]

    @pytest.mark.parametrize("claimed", ["gone", "", "<script>", "../github", "GITHUB", "x" * 5000])
    def test_a_cookie_with_an_unknown_provider_changes_nothing(self, browser: Browser, claimed: str) -> None:
        page = browser.get("/sign-in", Cookie=f"__Host-portal-provider={claimed}")

        assert page.status_code == 200
        assert first_button(page) == "github"
        assert "<script>" not in page.text

    def test_the_browser_remembers_the_provider(self, browser: Browser) -> None:
        answer = come_back(browser, browser.get("/auth/oauth/beta"), "beta")
        cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith("__Host-portal-provider="))
        browser.sign_out()
        page = browser.get("/sign-in")

        for attribute in ("__Host-portal-provider=beta;", "Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
            assert attribute in cookie
        assert first_button(page) == "beta"
        assert "Last used" in page.text

    def test_the_page_does_not_show_who_refused_it(self, tmp_path: Path) -> None:
        portal = portal_with(tmp_path, *ALL)
        browser = Browser(portal)
        begun = browser.get("/auth/oauth/beta")
        refusing = portal.providers["beta"]
        assert isinstance(refusing, ScriptedProvider)
        refusing.fails_with = ProviderRefused("no")

        assert come_back(browser, begun, "beta").status_code == 403
        assert first_button(browser.get("/sign-in")) == "github"


class TestAddress:
    @pytest.mark.parametrize("address", ["ana@acme.example", " Ana@ACME.Example ", "ana@acme.test", "a+b@acme.test"])
    def test_an_address_leads_to_the_provider_with_its_domain(self, browser: Browser, address: str) -> None:
        answer = browser.post("/sign-in", address=address, next="/apps/forecast/?x=1")
        page = unescape(answer.text)

        assert answer.status_code == 200
        assert "Continuing to Acme" in page
        assert "Beta" not in page
        assert 'http-equiv="refresh" content="0; url=https://id.example.com/authorize' in page
        hint = parse_qs(urlsplit(link_to_provider(answer)).query)["login_hint"]
        assert hint == [address.strip()]
        assert come_back(browser, answer, "acme").headers["Location"] == "/apps/forecast/?x=1"

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "ana",
            "@acme.example",
            "ana@",
            "ana@sub.acme.example",
            "ana@acme.example.evil.test",
            "ana@notacme.example",
            "ana@evil.test@acme.example",
            "ana@acme.example\r\nBcc: x",
            "ana@acme.example,eve@evil.test",
            "a" * 400 + "@acme.example",
            "ana@nobody.example",
            '"><script>alert(1)</script>@x.test',
        ],
    )
    def test_other_addresses_get_the_same_sentence(self, browser: Browser, address: str) -> None:
        answer = browser.post("/sign-in", address=address, next="/apps/forecast/")

        assert answer.status_code == 200
        assert "There is no sign-in for this address." in answer.text
        assert "acme.example" not in answer.text.replace(address, "")
        assert "<script>alert" not in answer.text
        assert "Set-Cookie" not in answer.headers
        assert "next=/apps/forecast/" in answer.text
        assert 'aria-invalid="true"' in answer.text

    def test_all_unknown_addresses_get_the_same_page(self, browser: Browser) -> None:
        pages = {
            browser.post("/sign-in", address=address).text.replace(address, "").partition("Reference")[0]
            for address in ("ana@nobody.example", "ana@sub.acme.example")
        }

        assert len(pages) == 1

    @pytest.mark.parametrize("origin", ["https://evil.test", "https://forecast.apps.example.com", "null"])
    def test_another_page_cannot_send_it(self, browser: Browser, origin: str) -> None:
        answer = browser.post("/sign-in", origin=origin, address="ana@acme.example")

        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers

    def test_it_leads_nowhere_else_afterwards(self, browser: Browser) -> None:
        answer = browser.post("/sign-in", address="ana@acme.example", next="https://evil.test/")

        assert come_back(browser, answer, "acme").headers["Location"] == "/"

    def test_who_is_signed_in_goes_on(self, browser: Browser) -> None:
        come_back(browser, browser.get("/auth/oauth/beta"), "beta")

        assert browser.post("/sign-in", address="ana@acme.example", next="/account").headers["Location"] == "/account"

    @pytest.mark.parametrize("specs", [(ACME,), (GITHUB, a_provider())], ids=["one provider", "no domains"])
    def test_it_is_not_asked_where_it_could_lead_nowhere(self, tmp_path: Path, specs: tuple[ProviderSpec, ...]) -> None:
        assert 'name="address"' not in Browser(portal_with(tmp_path, *specs)).get("/sign-in").text

    def test_the_address_is_in_no_log_and_no_url_of_the_portal(
        self, browser: Browser, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        answer = browser.post("/sign-in", address="ana@acme.example")

        assert "ana@" not in caplog.text
        assert "Location" not in answer.headers

    def test_the_first_of_two_with_one_domain_is_meant(self) -> None:
        twin = a_provider(id="twin", domains=ACME.domains)

        assert provider_of_address("ana@acme.test", [GITHUB, ACME, twin]) is ACME


class TestHidden:
    def test_strangers_learn_nothing_of_it_and_its_people_get_there(self, tmp_path: Path) -> None:
        browser = Browser(portal_with(tmp_path, GITHUB, replace(ACME, hidden=True)))
        page = browser.get("/sign-in", Cookie="__Host-portal-provider=acme").text

        assert "cme" not in page
        assert "Continue with GitHub" in page
        assert "Continuing to Acme" in browser.post("/sign-in", address="ana@acme.example").text

    def test_a_page_may_have_no_button_at_all(self, tmp_path: Path) -> None:
        browser = Browser(portal_with(tmp_path, replace(ACME, hidden=True), replace(BETA, hidden=True)))
        page = browser.post("/sign-in", address="ana@nobody.example").text

        assert 'name="address"' in page
        assert "/auth/oauth/" not in page
        assert "another option below" not in page
        assert ">or<" not in page


class TestDirect:
    @pytest.fixture
    def portal(self, tmp_path: Path) -> Portal:
        return portal_with(tmp_path, a_provider(), sign_in="direct")

    @pytest.fixture
    def browser(self, portal: Portal) -> Browser:
        return Browser(portal)

    def scripted(self, portal: Portal) -> ScriptedProvider:
        provider = portal.providers["company"]
        assert isinstance(provider, ScriptedProvider)
        return provider

    @pytest.mark.parametrize("site", ["none", "same-origin", "cross-site", "same-site"])
    def test_an_anonymous_person_goes_straight_there_and_returns(self, browser: Browser, site: str) -> None:
        first = browser.get("/apps/forecast/?x=1", **{"Sec-Fetch-Site": site})
        begun = browser.get(first.headers["Location"], **{"Sec-Fetch-Site": site})

        assert begun.status_code == 303
        assert begun.headers["Location"].startswith("https://id.example.com/authorize?")
        assert come_back(browser, begun, "company").headers["Location"] == "/apps/forecast/?x=1"

    def test_after_a_sign_out_the_page_is_shown(self, browser: Browser) -> None:
        come_back(browser, browser.get("/sign-in"), "company")
        browser.sign_out()
        page = browser.get("/signed-out")

        assert 'href="/sign-in?ask=1"' in page.text
        assert browser.get("/sign-in?ask=1").status_code == 200

    def test_after_an_error_too_with_the_wish_to_land_somewhere(self, portal: Portal, browser: Browser) -> None:
        begun = browser.get("/sign-in?next=/apps/forecast/")
        self.scripted(portal).fails_with = ProviderRefused("no")
        page = come_back(browser, begun, "company")

        assert page.status_code == 403
        assert 'href="/sign-in?next=%2Fapps%2Fforecast%2F&amp;ask=1"' in page.text
        again = browser.get("/sign-in?next=%2Fapps%2Fforecast%2F&ask=1")
        assert 'href="/auth/oauth/company?next=/apps/forecast/"' in again.text

    def test_a_provider_that_is_down_is_an_error_and_no_loop(self, portal: Portal, browser: Browser) -> None:
        self.scripted(portal).fails_with = ProviderUnavailable("down")
        page = browser.get("/sign-in?next=/account")

        assert page.status_code == 502
        assert 'href="/sign-in?next=%2Faccount&amp;ask=1"' in page.text

    def test_a_step_back_shows_the_page(self, browser: Browser) -> None:
        assert browser.get("/sign-in").status_code == 303
        assert browser.get("/sign-in").status_code == 200

    @pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Moz"])
    def test_a_prefetch_begins_no_sign_in(self, browser: Browser, header: str) -> None:
        answer = browser.get("/sign-in", **{header: "prefetch;prerender"})

        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers

    def test_nor_does_a_link_checker(self, browser: Browser) -> None:
        assert browser.client.head("/sign-in", base_url=PORTAL).status_code == 200

    def test_a_form_of_somebody_whose_sign_in_has_ended_meets_the_page(self, portal: Portal, browser: Browser) -> None:
        """
        A redirect of a form to another site would be stopped by form-action.
        """
        come_back(browser, browser.get("/sign-in"), "company")
        token = browser.get("/sign-out").text.partition('name="csrf" value="')[2].partition('"')[0]
        portal.now += portal.services.settings.idle_lifetime

        assert browser.post("/tenant", csrf=token, tenant="acme").headers["Location"] == "/sign-in?ask=1"

    def test_with_several_providers_the_page_stands_there(self, tmp_path: Path) -> None:
        """
        The configuration refuses it; the page does not guess.
        """
        assert Browser(portal_with(tmp_path / "two", *ALL, sign_in="direct")).get("/sign-in").status_code == 200
