"""Signing out, seen from a browser."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.sign_in.providers.logout_token import ProviderLogout
from tests.builders import ISSUER, NOW, PORTAL, a_provider
from tests.provider.browser import (
    HOST,
    Browser,
    Portal,
    csrf_in,
    link_to_provider,
    state_in,
)
from tests.provider.scripted import ScriptedProvider


class TestSignOut:
    def test_a_link_asks_first(self, browser: Browser) -> None:
        browser.sign_in()
        page = browser.get("/sign-out")

        assert page.status_code == 200
        assert "Ana Analyst" in page.text
        assert browser.is_signed_in

    def test_a_form_ends_the_sign_in_and_leads_on_to_the_provider(self, portal: Portal, browser: Browser) -> None:
        browser.sign_in()
        (sign_in,) = portal.sign_ins()
        page = browser.sign_out()

        assert portal.services.sign_ins.find(sign_in.id, now=NOW) is None
        assert not browser.is_signed_in
        assert "signed-out" in portal.events()
        address = link_to_provider(page)
        query = parse_qs(urlsplit(address).query)
        assert address.startswith("https://id.example.com/end?")
        assert query["id_token_hint"] == ["id.token.hint"]
        assert query["post_logout_redirect_uri"] == [f"{PORTAL}/signed-out"]

    def test_the_old_cookie_is_worth_nothing_afterwards(self, browser: Browser) -> None:
        browser.sign_in()
        before = browser.cookies()["__Host-portal"]
        browser.sign_out()
        browser.client.set_cookie("__Host-portal", before, domain=HOST)

        assert not browser.is_signed_in

    @pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "guessed"}])
    def test_a_form_without_its_sessions_token_ends_nothing(self, browser: Browser, form: dict[str, str]) -> None:
        browser.sign_in()

        assert browser.post("/sign-out", **form).status_code == 403
        assert browser.is_signed_in

    @pytest.mark.parametrize("origin", ["https://evil.test", "https://forecast.apps.example.com", "null"])
    def test_a_form_of_another_page_ends_nothing(self, browser: Browser, origin: str) -> None:
        browser.sign_in()
        token = csrf_in(browser.get("/sign-out"))

        assert browser.post("/sign-out", origin=origin, csrf=token).status_code == 403
        assert browser.is_signed_in

    def test_without_a_sign_out_at_the_provider_the_page_says_so(
        self, browser: Browser, provider: ScriptedProvider
    ) -> None:
        provider.end_session = None
        browser.sign_in()
        response = browser.sign_out()
        page = browser.get(response.headers["Location"]).text

        assert response.status_code == 303
        assert "You are signed out" in page
        assert "still be signed in to Example Company" in page

    def test_a_provider_removed_meanwhile_does_not_matter(self, portal: Portal, browser: Browser) -> None:
        browser.sign_in()
        portal.providers.clear()

        assert browser.sign_out().headers["Location"] == "/signed-out?provider=company"
        assert not portal.sign_ins()

    def test_without_a_sign_in_the_page_is_signed_out(self, browser: Browser) -> None:
        assert browser.get("/sign-out").headers["Location"] == "/signed-out"

    def test_after_a_sign_in_ended_elsewhere_the_page_is_signed_out(self, portal: Portal, browser: Browser) -> None:
        browser.sign_in()
        token = csrf_in(browser.get("/sign-out"))
        portal.now += portal.services.settings.idle_lifetime

        assert browser.post("/sign-out", csrf=token).headers["Location"] == "/signed-out"


def report(portal: Portal, *, session: str | None = None, subject: str | None = None) -> None:
    """Have the provider report a logout."""
    logout = ProviderLogout(issuer=ISSUER, subject=subject, session=session, token_id=str(session))
    portal.services.provider_logouts.end(logout, provider="company", now=portal.now)


class TestSignedOutPage:
    def test_a_return_proves_nothing_about_the_provider(self, browser: Browser) -> None:
        """
        A person may decline there, or take the way back by themselves.
        """
        browser.sign_in()
        state = state_in(link_to_provider(browser.sign_out()))
        page = browser.get(f"/signed-out?state={state}").text

        assert "You are signed out of this portal and its apps." in page
        assert "still be signed in to Example Company" in page
        assert "apps and Example Company" not in page

    def test_it_leads_to_the_providers_sign_out_without_the_id_token(self, browser: Browser) -> None:
        browser.sign_in()
        state = state_in(link_to_provider(browser.sign_out()))
        page = browser.get(f"/signed-out?state={state}").text
        (href,) = re.findall(r'<a href="([^"]+)">sign out of Example Company</a>', page)
        query = parse_qs(urlsplit(unescape(href)).query)

        assert href.startswith("https://id.example.com/end?")
        assert query["state"] == [state]
        assert "id.token.hint" not in page

    @pytest.mark.parametrize("begun_at", ["company", "gone"])
    def test_where_it_knows_no_such_place_it_says_so_without_a_link(
        self, portal: Portal, browser: Browser, provider: ScriptedProvider, begun_at: str
    ) -> None:
        browser.sign_in()
        state = state_in(link_to_provider(browser.sign_out()))
        provider.end_session = None
        if begun_at == "gone":
            portal.providers.clear()
        page = browser.get(f"/signed-out?state={state}").text

        assert "still be signed in to Example Company. On a shared computer, sign out there" in page

    @pytest.mark.parametrize(("provider_type", "confirms"), [("keycloak", True), ("oidc", False)])
    def test_only_the_providers_own_report_of_that_session_proves_it(
        self, tmp_path: Path, provider: ScriptedProvider, *, provider_type: str, confirms: bool
    ) -> None:
        """
        And only where it reports nothing to those who stay signed in there.
        """
        portal = Portal(tmp_path, providers=(a_provider(provider_type=provider_type),))
        portal.providers["company"] = provider
        browser = Browser(portal)
        provider.claims = {"sid": "session-1"}
        browser.sign_in()
        path = f"/signed-out?state={state_in(link_to_provider(browser.sign_out()))}"
        proven = "You are signed out of this portal, its apps and Example Company."

        report(portal, session="session-2")
        report(portal, subject="ana")
        portal.services.provider_logouts.end_session("session-1", provider="company", issuer=ISSUER, now=portal.now)
        assert proven not in browser.get(path).text
        report(portal, session="session-1")
        page = browser.get(path).text
        assert (proven in page) is confirms
        assert ("still be signed in" in page) is not confirms

    @pytest.mark.parametrize(
        "query", ["", "?state=forged", "?provider=unknown", "?provider=<script>", "?state=%ED%A0%80"]
    )
    def test_other_values_are_ignored(self, browser: Browser, query: str) -> None:
        page = browser.get(f"/signed-out{query}")

        assert page.status_code == 200
        assert "You are signed out" in page.text
        assert "Example Company" not in page.text
        assert "<script>" not in page.text

    def test_a_signed_in_person_goes_to_the_home_page(self, browser: Browser) -> None:
        browser.sign_in()

        assert browser.get("/signed-out").headers["Location"] == "/"
