"""The sign-in page and the redirect to the provider, seen from a browser."""

from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.errors import (
    ProviderUnavailable,
)
from portal.sign_in.attempts import ATTEMPT_LIFETIME, MAX_ATTEMPTS, cookie_name
from tests.builders import PORTAL, a_provider
from tests.provider.browser import (
    CALLBACK,
    Browser,
    Portal,
    callback_of,
    reference_in,
    state_in,
)
from tests.provider.scripted import ScriptedProvider


class TestSignInPage:
    def test_each_provider_has_its_button(self, portal: Portal, browser: Browser) -> None:
        portal.providers["other"] = ScriptedProvider(a_provider(id="other", label="Elsewhere"))
        page = browser.get("/sign-in").text

        assert 'href="/auth/oauth/company"' in page
        assert 'href="/auth/oauth/other"' in page
        assert "Elsewhere" in page

    def test_it_names_the_path_of_the_next_page_but_not_the_app(self, browser: Browser) -> None:
        """
        An app's title would tell a stranger that the app exists.
        """
        page = browser.get("/sign-in?next=/apps/forecast/%3Fx%3D1").text

        assert "/apps/forecast/" in page
        assert "x=1<" not in page
        assert ">Forecast" not in page
        assert "next=/apps/forecast/?x%3D1" in unescape(page) or "next=/apps/forecast/?x=1" in unescape(page)

    @pytest.mark.parametrize(
        "target", ["https://evil.test/", "//evil.test", "/%5C%5Cevil.test", "/sign-out", "javascript:alert(1)", ""]
    )
    def test_it_leads_nowhere_else(self, browser: Browser, target: str) -> None:
        page = browser.get(f"/sign-in?next={target}").text

        assert "evil.test" not in page
        assert 'href="/auth/oauth/company"' in page

    def test_who_is_signed_in_goes_on(self, browser: Browser) -> None:
        browser.sign_in()

        assert browser.get("/sign-in?next=/apps/forecast/").headers["Location"] == "/apps/forecast/"
        assert browser.get("/sign-in?next=//evil.test").headers["Location"] == "/"


class TestSmallWindow:
    def test_it_leads_through_the_sign_in(self, browser: Browser) -> None:
        assert browser.get("/signed-in").headers["Location"] == "/sign-in?next=%2Fsigned-in"

    def test_afterwards_its_script_tells_the_open_pages(self, browser: Browser) -> None:
        browser.sign_in()

        page = browser.get("/signed-in")
        assert page.status_code == 200
        assert "signed-in.js" in page.text
        assert "You can close this window." in page.text


class TestBegin:
    def test_the_browser_goes_to_the_provider_with_a_cookie_of_its_own(self, browser: Browser) -> None:
        response = browser.get("/auth/oauth/company")
        cookie = response.headers["Set-Cookie"]

        assert response.status_code == 303
        assert response.headers["Location"].startswith("https://id.example.com/authorize?")
        assert response.headers["Cache-Control"] == "no-store"
        assert cookie.startswith(f"{cookie_name(state_in(response.headers['Location']), secure=True)}=")
        for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax", f"Max-Age={ATTEMPT_LIFETIME}"):
            assert attribute in cookie
        assert "Domain" not in cookie

    def test_over_plain_http_on_this_machine_the_cookie_goes_without_secure(
        self, tmp_path: Path, provider: ScriptedProvider
    ) -> None:
        portal = Portal(tmp_path, url="http://127.0.0.1:7800")
        portal.providers["company"] = provider
        browser = Browser(portal)
        cookie = browser.get("/auth/oauth/company").headers["Set-Cookie"]

        assert cookie.startswith("portal-attempt-")
        assert "Secure" not in cookie
        assert browser.sign_in().status_code == 303
        assert browser.is_signed_in

    def test_the_state_cannot_be_read_from_the_cookie(self, browser: Browser) -> None:
        state = state_in(browser.begin())

        assert state not in str(browser.cookies())

    def test_the_callback_is_the_providers_own_or_the_registered_one(self, portal: Portal, browser: Browser) -> None:
        assert parse_qs(urlsplit(browser.begin()).query)["redirect_uri"] == [f"{PORTAL}{CALLBACK}"]

        spec = a_provider(redirect_uri=f"{PORTAL}/login/callback")
        portal.providers["company"] = ScriptedProvider(spec)
        assert parse_qs(urlsplit(browser.begin()).query)["redirect_uri"] == [f"{PORTAL}/login/callback"]

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "x"])
    def test_another_page_does_not_sign_anybody_in_anew(self, browser: Browser, site: str) -> None:
        """
        A provider that knows the browser asks nothing: the person's apps would be closed behind their back.
        """
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        answer = browser.get("/auth/oauth/company?next=/apps/forecast/", **headers)

        assert answer.status_code == 303
        assert unescape(answer.headers["Location"]) == "/sign-in?next=%2Fapps%2Fforecast%2F"
        assert "Set-Cookie" not in answer.headers
        assert browser.get("/auth/oauth/company?next=//evil.test", **headers).headers["Location"] == "/sign-in"

    @pytest.mark.parametrize("site", ["same-origin", "none"])
    def test_its_own_page_and_the_person_do(self, browser: Browser, site: str) -> None:
        answer = browser.get("/auth/oauth/company", **{"Sec-Fetch-Site": site})

        assert answer.headers["Location"].startswith("https://id.example.com/authorize?")

    def test_an_unknown_provider_is_not_found(self, browser: Browser) -> None:
        assert browser.get("/auth/oauth/unknown").status_code == 404

    def test_the_page_of_a_provider_that_is_down_has_a_link_to_try_again(
        self, browser: Browser, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
    ) -> None:
        provider.fails_with = ProviderUnavailable("GET https://id.example.com: ConnectionError")
        page = browser.get("/auth/oauth/company")

        assert page.status_code == 502
        assert reference_in(page)
        assert 'href="/sign-in' in page.text
        assert "ConnectionError" not in page.text
        assert "ConnectionError" in caplog.text
        assert not browser.attempts()

    def test_many_tabs_do_not_grow_the_cookies_without_end(self, browser: Browser) -> None:
        urls = [browser.begin() for _ in range(MAX_ATTEMPTS + 5)]

        assert len(browser.attempts()) <= MAX_ATTEMPTS
        assert sum(map(len, browser.cookies().values())) < 4096
        assert browser.get(callback_of(urls[-1])).status_code == 303
