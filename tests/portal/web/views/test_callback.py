"""The callback, seen from a browser; the provider returns what the test wants.

Real and misbehaving providers: ``tests.provider.test_sign_in``.
"""

import json
import logging
import sqlite3
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from portal.access.audit import Audit
from portal.errors import (
    CallbackRejected,
    ProviderMisconfigured,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnavailable,
)
from portal.rules.catalogue import Catalogue
from portal.rules.identity import Affiliation, Identity
from portal.settings import Admission
from portal.sign_in.admission import Arrival, Hook
from portal.sign_in.attempts import ATTEMPT_LIFETIME, cookie_name
from portal.sign_in.providers.metadata import IssuerMismatch
from portal.storage import tables
from portal.storage.session_store import SessionStore
from tests.builders import NOW, PORTAL, a_provider, an_app, an_identity
from tests.provider.browser import (
    CALLBACK,
    HOST,
    Browser,
    Portal,
    callback_of,
    reference_in,
    state_in,
)
from tests.provider.scripted import ScriptedProvider


class TestCallback:
    def test_a_person_signs_in(self, portal: Portal, browser: Browser) -> None:
        response = browser.sign_in()

        assert response.status_code == 303
        assert response.headers["Location"] == "/"
        assert response.headers["Cache-Control"] == "no-store"
        assert browser.is_signed_in
        assert not browser.attempts()
        (sign_in,) = portal.sign_ins()
        assert sign_in.identity == an_identity()
        assert sign_in.tenant == "acme"
        assert portal.events() == ["signed-in"]

    def test_the_sign_in_leads_to_the_requested_page(self, browser: Browser) -> None:
        response = browser.sign_in("/auth/oauth/company?next=/apps/forecast/%3Fx%3D1")

        assert response.headers["Location"] == "/apps/forecast/?x=1"

    @pytest.mark.parametrize(
        "target", ["https://evil.test", "//evil.test", "/auth/oauth/company", "/apps/x/.portal/launch"]
    )
    def test_it_leads_nowhere_off_site(self, browser: Browser, target: str) -> None:
        assert browser.sign_in(f"/auth/oauth/company?next={target}").headers["Location"] == "/"

    @pytest.mark.parametrize(
        ("landing", "expected"), [(("admin",), "/"), (("admin", "forecast"), "/apps/forecast/"), ((), "/")]
    )
    def test_otherwise_it_leads_to_the_first_landing_app_that_is_open_to_them(
        self, tmp_path: Path, provider: ScriptedProvider, landing: tuple[str, ...], expected: str
    ) -> None:
        catalogue = Catalogue((an_app(slug="admin", open_to=frozenset({"admin"})), an_app()))
        portal = Portal(tmp_path, landing=landing, catalogue=catalogue)
        portal.providers["company"] = provider

        assert Browser(portal).sign_in().headers["Location"] == expected

    def test_people_of_several_tenants_begin_where_they_have_most_roles(
        self, portal: Portal, provider: ScriptedProvider
    ) -> None:
        acme, beta = Affiliation(tenant="acme"), Affiliation(tenant="beta", roles=frozenset({"Tenant Admin"}))
        provider.identity = an_identity(affiliations=(acme, beta))
        Browser(portal).sign_in()

        assert portal.sign_ins()[0].tenant == "beta"

    def test_the_session_id_changes_at_sign_in(self, browser: Browser) -> None:
        """
        A session id planted before the sign-in must not become one that is signed in.
        """
        browser.sign_in()
        before = browser.cookies()["__Host-portal"]
        browser.sign_in()

        assert browser.cookies()["__Host-portal"] != before

    def test_two_tabs_both_sign_in(self, portal: Portal, browser: Browser) -> None:
        first = browser.begin("/auth/oauth/company?next=/apps/first/")
        second = browser.begin("/auth/oauth/company?next=/apps/second/")

        assert browser.get(callback_of(second)).headers["Location"] == "/apps/second/"
        assert browser.get(callback_of(first)).headers["Location"] == "/apps/first/"
        assert browser.is_signed_in
        assert len(portal.sign_ins()) == 1

    def test_signing_in_again_ends_the_sign_in_before(self, portal: Portal, browser: Browser) -> None:
        browser.sign_in()
        (former,) = portal.sign_ins()
        browser.sign_in()
        (current,) = portal.sign_ins()

        assert former.id != current.id
        assert portal.services.sign_ins.find(former.id, now=NOW) is None

    @pytest.mark.parametrize(
        "failing",
        [
            pytest.param((SessionStore, sqlite3.OperationalError("disk I/O error")), id="the session store"),
            pytest.param((Audit, StoreUnavailable("locked")), id="the database, in its transaction"),
        ],
    )
    def test_a_store_that_fails_leaves_the_browser_with_the_sign_in_it_had(
        self, portal: Portal, browser: Browser, monkeypatch: pytest.MonkeyPatch, failing: tuple[type, Exception]
    ) -> None:
        owner, error = failing

        def fail(*_: object, **__: object) -> None:
            raise error

        browser.sign_in()
        (former,) = portal.sign_ins()
        callback = callback_of(browser.begin("/auth/oauth/company"))
        with monkeypatch.context() as broken:
            broken.setattr(owner, "_write", fail)
            assert browser.get(callback).status_code == 503
        assert [one.id for one in portal.sign_ins()] == [former.id]  # the new one is not there, out of all reach
        assert browser.is_signed_in
        browser.sign_in()
        assert len(portal.sign_ins()) == 1

    def test_another_person_in_the_same_browser_replaces_the_first(
        self, portal: Portal, browser: Browser, provider: ScriptedProvider
    ) -> None:
        browser.sign_in()
        provider.identity = an_identity(subject="uwe", name="Uwe User")
        browser.sign_in()

        assert not portal.sign_ins()
        assert len(portal.sign_ins(provider.identity)) == 1
        assert "Uwe User" in browser.get("/account").text

    def test_the_browser_is_remembered_and_bounded(self, portal: Portal, browser: Browser) -> None:
        url = browser.begin()
        browser.get(callback_of(url), **{"User-Agent": "Firefox " + "x" * 5000})

        assert portal.sign_ins()[0].browser.startswith("Firefox")
        assert len(portal.sign_ins()[0].browser) <= 200


class TestCallbackOfNoAttempt:
    def assert_nobody(self, browser: Browser, page: TestResponse, *, status: int = 400) -> None:
        assert page.status_code == status
        assert reference_in(page)
        assert not browser.is_signed_in

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "?code=code",
            "?code=code&state=",
            "?code=code&state=guessed",
            "?code=code&state=" + "x" * 5000,
            "?code=code&state=%00",
            "?code=code&state=%ED%A0%80",
            "?error=access_denied&state=guessed",
            "?error=access_denied",
        ],
    )
    def test_a_state_this_browser_never_had_signs_nobody_in(
        self, browser: Browser, provider: ScriptedProvider, query: str
    ) -> None:
        page = browser.get(f"{CALLBACK}{query}")

        self.assert_nobody(browser, page)
        assert not provider.completed

    def test_an_error_without_an_attempt_is_not_believed(self, browser: Browser) -> None:
        """
        A stranger's link must not make the portal say that somebody's provider refused them, in the stranger's words.
        """
        page = browser.get(f"{CALLBACK}?error=access_denied&error_description=Call%20555-1234&state=guessed")

        assert page.status_code == 400
        assert "555-1234" not in page.text

    def test_another_browsers_attempt_signs_nobody_in(self, portal: Portal, browser: Browser) -> None:
        """
        An attacker who sends somebody the callback of their own attempt must not sign them in as the attacker.
        """
        attackers = Browser(portal).begin()

        self.assert_nobody(browser, browser.get(callback_of(attackers)))
        assert not portal.sign_ins()

    def test_another_browsers_cookie_without_its_state_signs_nobody_in(self, portal: Portal, browser: Browser) -> None:
        other = Browser(portal)
        other.begin()
        (stolen,) = other.attempts()
        url = browser.begin()
        browser.client.set_cookie(cookie_name(state_in(url), secure=True), other.cookies()[stolen], domain=HOST)

        self.assert_nobody(browser, browser.get(callback_of(url)))

    @pytest.mark.parametrize("value", ["", "x", "gAAAAA==", "ö"])
    def test_a_tampered_cookie_signs_nobody_in(self, browser: Browser, value: str) -> None:
        url = browser.begin()
        browser.client.set_cookie(cookie_name(state_in(url), secure=True), value, domain=HOST)

        self.assert_nobody(browser, browser.get(callback_of(url)))

    def test_a_used_callback_signs_no_one_in(self, browser: Browser, provider: ScriptedProvider) -> None:
        url = browser.begin()
        browser.get(callback_of(url))
        browser.sign_out()

        self.assert_nobody(browser, browser.get(callback_of(url)))
        assert len(provider.completed) == 1

    def test_a_used_callback_signs_no_one_out(self, browser: Browser) -> None:
        """
        The back button after signing in: the page says so, leads home, and the sign-in stands.
        """
        url = browser.begin()
        browser.get(callback_of(url))
        page = browser.get(callback_of(url))

        assert page.status_code == 400
        assert 'href="/"' in page.text
        assert browser.is_signed_in

    def test_an_attempt_too_old_signs_nobody_in(self, portal: Portal, browser: Browser) -> None:
        url = browser.begin()
        portal.now += ATTEMPT_LIFETIME

        self.assert_nobody(browser, browser.get(callback_of(url)))
        assert not browser.attempts()

    def test_one_second_earlier_is_early_enough(self, portal: Portal, browser: Browser) -> None:
        url = browser.begin()
        portal.now += ATTEMPT_LIFETIME - 1

        assert browser.get(callback_of(url)).status_code == 303

    def test_a_parameter_twice_signs_nobody_in(self, browser: Browser) -> None:
        url = browser.begin()

        self.assert_nobody(browser, browser.get(f"{callback_of(url)}&code=other"))
        self.assert_nobody(browser, browser.get(f"{callback_of(url)}&state={state_in(url)}"))

    def test_a_failed_attempt_cannot_be_finished_later(self, browser: Browser, provider: ScriptedProvider) -> None:
        url = browser.begin()
        provider.fails_with = CallbackRejected("no")
        browser.get(callback_of(url))
        provider.fails_with = None

        self.assert_nobody(browser, browser.get(callback_of(url)))


class TestCallbackElsewhere:
    @pytest.mark.parametrize("path", ["/auth/callback", "/auth/auth/callback", "/login/callback"])
    def test_registrations_that_exist_go_on_working(self, portal: Portal, path: str) -> None:
        portal.providers["company"] = ScriptedProvider(a_provider(redirect_uri=f"{PORTAL}{path}"))
        browser = Browser(portal)

        assert browser.get(callback_of(browser.begin(), path)).status_code == 303
        assert browser.is_signed_in

    @pytest.mark.parametrize("path", ["/auth/callback", "/login/callback", "/auth/oauth/other/callback"])
    def test_an_attempt_does_not_end_at_an_address_it_did_not_name(
        self, portal: Portal, browser: Browser, path: str
    ) -> None:
        """
        Each provider answers at its own address, so that a hostile one cannot hand in another's code.
        """
        portal.providers["other"] = ScriptedProvider(a_provider(id="other"))
        page = browser.get(callback_of(browser.begin(), path))

        assert page.status_code == 400
        assert not browser.is_signed_in

    @pytest.mark.parametrize("name", ["MyCompany", "Acme SSO", "Öl & Gas?", "100%25"])
    def test_chainlits_own_address_goes_on_working(self, portal: Portal, name: str) -> None:
        portal.providers["company"] = ScriptedProvider(a_provider(chainlit_id=name))
        browser = Browser(portal)
        path = f"/auth/oauth/{quote(name, safe='')}/callback"
        url = browser.begin()

        assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{PORTAL}{path}"]
        assert browser.get(callback_of(url, path)).status_code == 303
        assert browser.is_signed_in

    @pytest.mark.parametrize(
        "path", [CALLBACK, "/auth/oauth/mycompany/callback", "/auth/oauth/Other/callback", "/auth/callback"]
    )
    def test_and_is_the_only_one(self, portal: Portal, path: str) -> None:
        portal.providers["company"] = ScriptedProvider(a_provider(chainlit_id="MyCompany"))
        portal.providers["other"] = ScriptedProvider(a_provider(id="other", chainlit_id="Other"))
        browser = Browser(portal)

        assert browser.get(callback_of(browser.begin(), path)).status_code == 400
        assert not browser.is_signed_in

    def test_the_registered_address_is_the_only_one(self, portal: Portal, browser: Browser) -> None:
        portal.providers["company"] = ScriptedProvider(a_provider(redirect_uri=f"{PORTAL}/login/callback"))

        assert browser.get(callback_of(browser.begin())).status_code == 400

    def test_a_provider_removed_meanwhile_signs_no_one_in(self, portal: Portal, browser: Browser) -> None:
        url = browser.begin()
        portal.providers.clear()

        assert browser.get(callback_of(url)).status_code == 400

    @pytest.mark.parametrize("path", [CALLBACK, "/auth/callback", "/login/callback"])
    def test_only_a_navigation_finishes_an_attempt(self, portal: Portal, browser: Browser, path: str) -> None:
        url = browser.begin()
        target = callback_of(url, path)

        assert browser.client.head(target, base_url=PORTAL).status_code == 405
        assert browser.post(target).status_code in {403, 405}
        assert browser.get(callback_of(url)).status_code == 303
        assert len(portal.sign_ins()) == 1


class TestAdmission:
    """Who proved who they are, and is still not let in."""

    def with_hook(self, portal: Portal, hook: Hook) -> None:
        portal.app.extensions["portal.services"] = replace(portal.services, hook=hook)

    def test_a_person_who_is_not_admitted_reads_so(self, portal: Portal, browser: Browser) -> None:
        spec = a_provider(admission=Admission(tenants=frozenset({"beta"})))
        portal.providers["company"] = ScriptedProvider(spec)
        page = browser.sign_in()

        assert page.status_code == 403
        assert "This account cannot sign in here" in page.text
        assert reference_in(page)
        assert not browser.is_signed_in
        assert portal.sign_ins() == []

    def test_log_and_audit_name_the_rule(
        self, portal: Portal, browser: Browser, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        self.with_hook(portal, lambda _: None)
        browser.sign_in()

        assert "not-admitted: refused-by-hook" in caplog.text
        assert "company: not-admitted (refused-by-hook)" in caplog.text
        with portal.services.database.read() as connection:
            (written,) = connection.execute(sa.select(tables.audit.c.fields)).scalars()
        fields = json.loads(written)
        assert (fields["provider"], fields["code"], fields["rule"]) == ("company", "not-admitted", "refused-by-hook")
        assert "ana@example.com" not in written  # names, no values

    def test_a_hook_that_fails_admits_nobody_and_shows_nothing(self, portal: Portal, browser: Browser) -> None:
        def hook(arrival: Arrival) -> Identity:
            raise RuntimeError(f"secret thing about {arrival.identity.name}")

        self.with_hook(portal, hook)
        page = browser.sign_in()

        assert page.status_code == 403
        assert "secret thing" not in page.text
        assert not browser.is_signed_in

    def test_a_hook_may_give_roles(self, portal: Portal, browser: Browser) -> None:
        def hook(arrival: Arrival) -> Identity:
            (affiliation,) = arrival.identity.affiliations
            return replace(arrival.identity, affiliations=(replace(affiliation, hook_roles=frozenset({"vip"})),))

        self.with_hook(portal, hook)
        browser.sign_in()
        (sign_in,) = portal.sign_ins()

        assert sign_in.identity.affiliations[0].hook_roles == {"vip"}
        with portal.services.database.read() as connection:
            (written,) = connection.execute(sa.select(tables.audit.c.fields)).scalars()
        assert json.loads(written)["hook_roles"] == ["vip"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ProviderRefused("the provider answered 'access_denied'"), 403),
            (CallbackRejected("ID token: wrong-nonce"), 400),
            (ProviderUnavailable("POST https://id.example.com/token: ReadTimeout"), 502),
            (ProviderMisconfigured("the token endpoint answered 'invalid_client'"), 500),
        ],
    )
    def test_a_refusal_is_a_page_with_a_reference_that_the_log_has_too(
        self,
        browser: Browser,
        provider: ScriptedProvider,
        caplog: pytest.LogCaptureFixture,
        error: ProviderRefused,
        status: int,
    ) -> None:
        provider.fails_with = None
        url = browser.begin()
        provider.fails_with = error
        with caplog.at_level(logging.INFO):
            page = browser.get(callback_of(url))

        assert page.status_code == status
        assert str(error) not in unescape(page.text)
        assert 'href="/sign-in' in page.text
        assert error.code in caplog.text
        assert reference_in(page) in caplog.text
        assert not browser.is_signed_in
        assert not browser.attempts()

    def test_a_wrong_setting_is_the_operators_to_correct(self, browser: Browser, provider: ScriptedProvider) -> None:
        provider.fails_with = IssuerMismatch("the metadata is of issuer 'https://b.test', not of https://a.test")
        page = browser.get("/auth/oauth/company")

        assert page.status_code == 500
        assert "Trying again does not help" in page.text
        assert "in a moment" not in page.text
        assert "b.test" not in page.text

    def test_a_failed_attempt_keeps_the_current_sign_in(self, browser: Browser, provider: ScriptedProvider) -> None:
        browser.sign_in()
        url = browser.begin()
        provider.fails_with = ProviderRefused("no")
        browser.get(callback_of(url))

        assert browser.is_signed_in
