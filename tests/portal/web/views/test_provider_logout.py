"""Logouts that a provider reports, from its request to what the person and the apps notice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.contract import Active, Inactive, TrustedProxies, read_network
from portal.contract.logout_tokens import verify_logout_token
from portal.rules.catalogue import Catalogue
from portal.sign_in.providers.document_cache import EARLY_PAUSE
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.id_token import read_claims
from portal.sign_in.providers.logout_token import MAX_SESSION
from portal.sign_in.providers.transport import Limits
from portal.web.app import create_app
from portal.web.rate_limits import RateLimits
from tests.builders import NOW, PORTAL, a_provider, an_app, an_identity, settings_for
from tests.portal.access.listening_app import ListeningApp, listening
from tests.portal.web.deployment import NAVIGATION, OWN, field_of
from tests.prepared import prepared
from tests.provider.browser import Browser, Portal, csrf_in
from tests.provider.misbehaving import CLIENT_ID, MisbehavingProvider, as_json, misbehaving_provider
from tests.provider.signing import OTHER_RSA, forged, signed, with_public_key_as_secret

BACK = "/auth/oauth/company/backchannel-logout"
FRONT = "/auth/oauth/company/frontchannel-logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
PATIENT = Limits(read=60, total=60)
FOREIGN = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}


class Elapsed:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        provider.claims = {"sid": "session-1"}
        yield provider


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def app() -> Iterator[ListeningApp]:
    with listening() as listener:
        yield listener


@pytest.fixture
def portal(tmp_path: Path, theirs: MisbehavingProvider, elapsed: Elapsed, app: ListeningApp) -> Portal:
    spec = an_app(url=f"http://forecast.demo.localhost:{app.port}", open_to=frozenset({"everyone"}))
    portal = Portal(tmp_path, catalogue=Catalogue((spec,)))
    portal.providers["company"] = CodeFlow(a_provider(issuer=theirs.issuer), limits=PATIENT, monotonic=elapsed)
    portal.providers["github"] = CodeFlow(a_provider(id="github", provider_type="github"))
    return portal


@pytest.fixture
def browser(portal: Portal) -> Browser:
    return Browser(portal)


@pytest.fixture
def stranger(portal: Portal) -> FlaskClient:
    """A client without cookies."""
    return portal.app.test_client()


def sign_in(browser: Browser, theirs: MisbehavingProvider) -> None:
    assert browser.get(theirs.authorize(browser.begin())).status_code == 303
    assert browser.is_signed_in


def a_token(theirs: MisbehavingProvider, **changes: Any) -> str:
    """Return a logout token of *theirs*; ``None`` removes a claim."""
    claims = {
        "iss": theirs.issuer,
        "aud": CLIENT_ID,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "logout-1",
        "sid": "session-1",
        "events": {EVENT: {}},
        **changes,
    }
    return signed({name: value for name, value in claims.items() if value is not None}, typ="logout+jwt")


def report(client: FlaskClient, token: str, path: str = BACK, **options: Any) -> TestResponse:
    return client.post(path, base_url=PORTAL, data={"logout_token": token}, **options)


def frame(client: FlaskClient, query: dict[str, str], path: str = FRONT, **options: Any) -> TestResponse:
    """Load the front channel's address as a frame on a page of the provider's does."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    options["headers"] = {**headers, **options.get("headers", {})}
    return client.open(path, base_url=PORTAL, query_string=query, **options)


def problem_of(answer: TestResponse) -> str:
    assert answer.status_code == 400, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body["error"] == "invalid_request"
    return str(body["error_description"])


class TestBackChannel:
    def test_it_ends_the_sign_in(
        self, portal: Portal, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        sign_in(browser, theirs)
        answer = report(stranger, a_token(theirs))

        assert (answer.status_code, answer.get_json()) == (200, {})
        assert answer.headers["Cache-Control"] == "no-store"  # section 2.8
        assert answer.headers["Content-Type"] == "application/json"
        assert "Set-Cookie" not in answer.headers
        assert not browser.is_signed_in
        assert portal.sign_ins(an_identity(issuer=theirs.issuer)) == []

    @pytest.mark.parametrize(
        "changes",
        [{"sub": "ana", "sid": None}, {"sub": "ana"}, {"aud": [CLIENT_ID, "another"]}],
        ids=["by subject", "by both", "for several audiences"],
    )
    def test_it_may_name_it_otherwise(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider, changes: dict[str, Any]
    ) -> None:
        sign_in(browser, theirs)

        assert report(stranger, a_token(theirs, **changes)).status_code == 200
        assert not browser.is_signed_in

    def test_one_that_ends_nothing_here_is_done(self, stranger: FlaskClient, theirs: MisbehavingProvider) -> None:
        """
        The session may have ended here already (section 2.7).
        """
        assert report(stranger, a_token(theirs)).status_code == 200

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"iss": "https://evil.test"}, "wrong-issuer"),
            ({"aud": "another"}, "wrong-audience"),
            ({"events": None}, "no-logout-event"),
            ({"events": {f"{EVENT}2": {}}}, "no-logout-event"),
            ({"nonce": "n"}, "has-nonce"),
            ({"iat": NOW - 3600, "exp": NOW + 120}, "too-old"),
            ({"exp": None}, "no-expiry"),
            ({"jti": None}, "bad-shape"),
            ({"sid": None}, "ends-nothing"),
            ({"sid": ""}, "bad-shape"),
        ],
    )
    def test_a_token_that_proves_nothing_ends_nothing(
        self,
        browser: Browser,
        stranger: FlaskClient,
        theirs: MisbehavingProvider,
        changes: dict[str, Any],
        problem: str,
    ) -> None:
        sign_in(browser, theirs)
        answer = report(stranger, a_token(theirs, **changes))

        assert problem_of(answer) == problem
        assert "Set-Cookie" not in answer.headers
        assert browser.is_signed_in

    def test_a_forged_one_ends_nothing(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        sign_in(browser, theirs)
        claims = read_claims(a_token(theirs))

        assert problem_of(report(stranger, forged({"alg": "none"}, claims))) == "wrong-algorithm"
        assert problem_of(report(stranger, with_public_key_as_secret(claims))) == "wrong-algorithm"
        assert problem_of(report(stranger, signed(claims, key=OTHER_RSA))) == "bad-signature"
        assert problem_of(report(stranger, signed(claims, kid="unknown"))) == "unknown-key"
        assert browser.is_signed_in

    def test_a_repeated_one_does_not_end_what_began_since(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        token = a_token(theirs, sub="ana", sid=None)
        assert report(stranger, token).status_code == 200
        sign_in(browser, theirs)

        assert problem_of(report(stranger, token)) == "repeated"
        assert browser.is_signed_in

    def test_a_key_that_is_new_at_the_provider_is_fetched(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        sign_in(browser, theirs)
        theirs.jwks = {"keys": [{**OTHER_RSA.as_dict(private=False), "kid": "new"}]}
        claims = read_claims(a_token(theirs))
        elapsed.seconds += EARLY_PAUSE

        assert report(stranger, signed(claims, key=OTHER_RSA, kid="new")).status_code == 200
        assert not browser.is_signed_in

    def test_strangers_neither_have_the_keys_fetched_again_and_again_nor_keep_people_out(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        claims = read_claims(a_token(theirs))
        statuses = {report(stranger, signed(claims, kid=f"unknown-{number}")).status_code for number in range(20)}

        assert theirs.asked.count("/jwks") == 2
        assert statuses == {400, 503}
        theirs.jwks = {"keys": [{**OTHER_RSA.as_dict(private=False), "kid": "new"}]}
        theirs.sign = lambda document: signed(document, key=OTHER_RSA, kid="new")
        sign_in(browser, theirs)

    def test_a_key_that_may_be_new_is_asked_for_again_when_the_pause_is_over(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        sign_in(browser, theirs)
        claims = read_claims(a_token(theirs))
        report(stranger, signed(claims, kid="unknown"))
        theirs.jwks = {"keys": [{**OTHER_RSA.as_dict(private=False), "kid": "new"}]}
        token = signed(claims, key=OTHER_RSA, kid="new")

        assert report(stranger, token).status_code == 503
        elapsed.seconds += EARLY_PAUSE
        assert report(stranger, token).status_code == 200
        assert not browser.is_signed_in

    def test_without_the_providers_keys_it_asks_for_the_token_again(
        self, browser: Browser, stranger: FlaskClient, portal: Portal, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        sign_in(browser, theirs)
        portal.providers["company"] = CodeFlow(a_provider(issuer=theirs.issuer), limits=PATIENT, monotonic=elapsed)
        theirs.respond["/jwks"] = lambda _: as_json({}, status=500)
        answer = report(stranger, a_token(theirs))

        assert (answer.status_code, answer.get_json()["error_description"]) == (503, "provider-unavailable")
        assert (answer.headers["Cache-Control"], answer.headers["Retry-After"]) == ("no-store", "5")
        assert browser.is_signed_in
        del theirs.respond["/jwks"]
        elapsed.seconds += EARLY_PAUSE
        assert report(stranger, a_token(theirs)).status_code == 200
        assert not browser.is_signed_in

    def test_without_the_database_it_asks_for_the_token_again(
        self, browser: Browser, stranger: FlaskClient, portal: Portal, theirs: MisbehavingProvider
    ) -> None:
        sign_in(browser, theirs)
        file = portal.services.database.file
        assert file is not None
        away = file.rename(file.with_suffix(".away"))
        answer = report(stranger, a_token(theirs))

        assert (answer.status_code, answer.get_json()["error_description"]) == (503, "store-unavailable")
        assert (answer.headers["Cache-Control"], answer.headers["Retry-After"]) == ("no-store", "5")
        away.rename(file)
        assert report(stranger, a_token(theirs)).status_code == 200
        assert not browser.is_signed_in

    @pytest.mark.parametrize("provider", ["unknown", "github", "Company", "company%00", "%ED%A0%80"])
    def test_a_provider_without_signed_tokens_has_no_such_address(
        self, stranger: FlaskClient, theirs: MisbehavingProvider, provider: str
    ) -> None:
        answer = report(stranger, a_token(theirs), f"/auth/oauth/{provider}/backchannel-logout")

        assert answer.status_code == 404
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
    def test_it_takes_a_form_that_is_posted(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider, method: str
    ) -> None:
        sign_in(browser, theirs)
        answer = stranger.open(
            BACK, method=method, base_url=PORTAL, data={"logout_token": a_token(theirs)}, headers=OWN
        )

        assert answer.status_code == 405
        assert browser.is_signed_in

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"data": {}},
            {"data": {"token": "TOKEN"}},
            {"data": {"logout_token": ["TOKEN", "TOKEN"]}},
            {"data": {"logout_token": ["TOKEN", ""]}},
            {"query_string": {"logout_token": "TOKEN"}},
            {"json": {"logout_token": "TOKEN"}},
            {"data": "logout_token=TOKEN", "content_type": "text/plain"},
            {"data": "logout_token=TOKEN", "content_type": "application/logout+jwt"},
            {"data": "TOKEN", "content_type": "application/logout+jwt"},
            {"data": "logout_token=TOKEN"},
        ],
        ids=str,
    )
    def test_it_takes_one_field_of_a_form(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider, options: dict[str, Any]
    ) -> None:
        sign_in(browser, theirs)
        given = json.loads(json.dumps(options).replace("TOKEN", a_token(theirs)))

        assert problem_of(stranger.post(BACK, base_url=PORTAL, **given)) == "no-single-token"
        assert browser.is_signed_in

    def test_a_body_longer_than_any_form_is_not_read(self, stranger: FlaskClient) -> None:
        answer = report(stranger, "x" * 70_000)

        assert answer.status_code == 413
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("headers", [{}, FOREIGN, {"Origin": "null"}], ids=["none", "foreign", "opaque"])
    def test_it_needs_neither_origin_nor_cookie_and_heeds_none(
        self, portal: Portal, browser: Browser, theirs: MisbehavingProvider, headers: dict[str, str]
    ) -> None:
        """
        The token is the proof: whose browser carries it does not matter.
        """
        sign_in(browser, theirs)
        another = Browser(portal)
        theirs.claims, theirs.subject = {"sid": "session-2"}, "ada"
        sign_in(another, theirs)
        answer = report(another.client, a_token(theirs), headers=headers)

        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert another.is_signed_in
        assert not browser.is_signed_in

    def test_it_works_while_sessions_of_browsers_cannot_be_read(
        self, portal: Portal, browser: Browser, theirs: MisbehavingProvider
    ) -> None:
        sign_in(browser, theirs)
        (portal.services.settings.data_dir / "sessions.db").write_bytes(b"no database" * 100)

        assert report(browser.client, a_token(theirs)).status_code == 200
        assert portal.sign_ins(an_identity(issuer=theirs.issuer)) == []

    def test_it_is_answered_at_the_portals_own_name_alone(
        self, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        answer = stranger.post(BACK, base_url="https://evil.test", data={"logout_token": a_token(theirs)})

        assert (answer.status_code, answer.get_json()["error"]) == (400, "foreign-host")


class TestFrontChannel:
    def test_it_ends_the_session_in_a_frame_on_any_page_without_a_cookie(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        sign_in(browser, theirs)
        answer = frame(stranger, {"iss": theirs.issuer, "sid": "session-1"})

        assert (answer.status_code, answer.get_json()) == (200, {})
        assert "frame-ancestors *;" in answer.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
        assert not browser.is_signed_in

    @pytest.mark.parametrize(
        ("query", "problem"),
        [
            ({"sid": "session-1"}, "no-session"),
            ({"iss": "", "sid": "session-1"}, "no-session"),
            ({"iss": "ISSUER"}, "no-session"),
            ({"iss": "ISSUER", "sid": ""}, "no-session"),
            ({}, "no-session"),
            ({"iss": "https://evil.test", "sid": "session-1"}, "wrong-issuer"),
            ({"iss": "ISSUER/", "sid": "session-1"}, "wrong-issuer"),
            ({"iss": "ISSUER", "sid": "s" * (MAX_SESSION + 1)}, "ends-nothing"),
        ],
    )
    def test_without_both_names_it_ends_nothing_whoever_is_signed_in(
        self, browser: Browser, theirs: MisbehavingProvider, query: dict[str, str], problem: str
    ) -> None:
        """
        The cookie may come along, where the provider is at the same site.
        """
        sign_in(browser, theirs)
        given = {name: value.replace("ISSUER", theirs.issuer) for name, value in query.items()}

        assert problem_of(frame(browser.client, given)) == problem
        assert browser.is_signed_in

    def test_a_session_that_never_was_is_answered_like_one_that_ended(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        sign_in(browser, theirs)
        guessed = frame(stranger, {"iss": theirs.issuer, "sid": "session-2"})
        known = frame(stranger, {"iss": theirs.issuer, "sid": "session-1"})

        assert (guessed.status_code, guessed.data) == (known.status_code, known.data) == (200, b"{}\n")

    @pytest.mark.parametrize(
        "options",
        [
            {"method": "HEAD"},
            {"method": "OPTIONS"},
            {"headers": {"Sec-Purpose": "prefetch"}},
            {"headers": {"Sec-Purpose": "prefetch;prerender"}},
            {"headers": {"Purpose": "prefetch"}},
            {"headers": {"X-Moz": "prefetch"}},
        ],
        ids=str,
    )
    def test_what_only_looks_ends_nothing(
        self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider, options: dict[str, Any]
    ) -> None:
        sign_in(browser, theirs)

        assert frame(stranger, {"iss": theirs.issuer, "sid": "session-1"}, **options).status_code == 200
        assert browser.is_signed_in

    def test_it_is_no_form(self, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider) -> None:
        sign_in(browser, theirs)
        query = {"iss": theirs.issuer, "sid": "session-1"}

        assert stranger.post(FRONT, base_url=PORTAL, query_string=query).status_code == 403
        assert stranger.post(FRONT, base_url=PORTAL, query_string=query, headers=OWN).status_code == 405
        assert browser.is_signed_in

    @pytest.mark.parametrize("provider", ["unknown", "github"])
    def test_a_provider_without_sessions_has_no_such_address(
        self, stranger: FlaskClient, theirs: MisbehavingProvider, provider: str
    ) -> None:
        path = f"/auth/oauth/{provider}/frontchannel-logout"

        assert frame(stranger, {"iss": theirs.issuer, "sid": "session-1"}, path).status_code == 404

    def test_without_the_providers_metadata_it_is_not_done(
        self, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        theirs.respond["/.well-known/openid-configuration"] = lambda _: as_json({}, status=500)
        answer = frame(stranger, {"iss": theirs.issuer, "sid": "session-1"})

        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "frame-ancestors *;" in answer.headers["Content-Security-Policy"]


class TestFloods:
    @pytest.fixture
    def few(self, tmp_path: Path, theirs: MisbehavingProvider) -> FlaskClient:
        """A client of a portal that takes three a minute."""
        proxies = TrustedProxies((read_network("10.0.0.0/8"),))
        settings = prepared(settings_for(tmp_path, trusted_proxies=proxies))
        providers = {"company": CodeFlow(a_provider(issuer=theirs.issuer), limits=PATIENT)}
        limits = RateLimits(logout="3 per minute")
        return create_app(settings, clock=lambda: NOW, providers=providers, limits=limits).test_client()

    def statuses(self, few: FlaskClient, tokens: list[str], *, address: str) -> list[int]:
        return [report(few, token, environ_overrides={"REMOTE_ADDR": address}).status_code for token in tokens]

    def test_refused_tokens_are_limited_by_address(self, few: FlaskClient) -> None:
        assert self.statuses(few, ["forged"] * 5, address="198.51.100.7") == [400, 400, 400, 429, 429]
        answer = report(few, "forged", environ_overrides={"REMOTE_ADDR": "198.51.100.7"})
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Cache-Control"] == "no-store"

    def test_a_strangers_flood_keeps_no_genuine_token_out(self, few: FlaskClient, theirs: MisbehavingProvider) -> None:
        self.statuses(few, ["forged"] * 10, address="198.51.100.7")
        genuine = [a_token(theirs, jti=f"logout-{number}") for number in range(10)]

        assert self.statuses(few, genuine, address="203.0.113.5") == [200] * 10

    def test_genuine_tokens_are_not_counted(self, few: FlaskClient, theirs: MisbehavingProvider) -> None:
        """
        Thousands may come at once, when an administrator ends all sessions; each that is turned away keeps access.
        """
        genuine = [a_token(theirs, jti=f"logout-{number}") for number in range(10)]

        assert self.statuses(few, [*genuine, "forged", "forged", *genuine[:1], "forged"], address="203.0.113.5") == [
            *[200] * 10,
            400,
            400,
            400,
            429,
        ]

    def test_a_flood_of_the_front_channel_does_not_close_the_back_channel(
        self, few: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        query = {"iss": theirs.issuer, "sid": "guessed"}

        assert [frame(few, query).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert report(few, a_token(theirs)).status_code == 200

    def test_neither_sign_ins_nor_forwarded_addresses_of_its_own_help_a_flood(
        self, few: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        statuses = []
        for number in range(5):
            client = few.application.test_client()
            begun = client.get("/auth/oauth/company", base_url=PORTAL)
            callback = theirs.authorize(begun.headers["Location"]).removeprefix(PORTAL)
            assert client.get(callback, base_url=PORTAL).status_code == 303
            forwarded, peer = {"X-Forwarded-For": f"192.0.2.{number}"}, {"REMOTE_ADDR": "198.51.100.7"}
            statuses.append(report(client, "forged", headers=forwarded, environ_overrides=peer).status_code)

        assert statuses == [400, 400, 400, 429, 429]


class TestWhatThePersonAndTheAppsNotice:
    def launched(self, portal: Portal, browser: Browser) -> str:
        """Open the app and return the id of its session."""
        ticket = field_of(browser.get("/apps/forecast/.portal/launch?next=/", **NAVIGATION), "ticket")
        (spec,) = portal.services.settings.catalogue
        answer = portal.services.app_sessions.redeem(ticket, app=spec, now=portal.now)
        assert isinstance(answer, Active)
        return answer.session

    def test_the_app_is_notified_and_the_old_cookie_is_a_strangers(
        self,
        portal: Portal,
        browser: Browser,
        stranger: FlaskClient,
        theirs: MisbehavingProvider,
        app: ListeningApp,
    ) -> None:
        sign_in(browser, theirs)
        session, csrf = self.launched(portal, browser), csrf_in(browser.get("/sign-out"))
        assert report(stranger, a_token(theirs)).status_code == 200

        (token,) = app.tokens
        keys = portal.services.keys.key_set(NOW)
        assert verify_logout_token(token, keys=keys, issuer=PORTAL, audience="forecast", now=NOW).session == session
        (spec,) = portal.services.settings.catalogue
        assert portal.services.app_sessions.renew(session, app=spec, now=NOW) == Inactive(code="provider-signed-out")

        assert browser.get("/").headers["Location"] == "/sign-in"
        assert browser.get("/account").headers["Location"].startswith("/sign-in")
        assert "ticket" not in browser.get("/apps/forecast/.portal/launch?next=/", **NAVIGATION).text
        assert browser.post("/sign-out", csrf=csrf).headers["Location"] == "/signed-out"

    def test_a_launch_that_was_under_way_opens_nothing(
        self, portal: Portal, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        sign_in(browser, theirs)
        ticket = field_of(browser.get("/apps/forecast/.portal/launch?next=/", **NAVIGATION), "ticket")
        report(stranger, a_token(theirs))
        (spec,) = portal.services.settings.catalogue

        assert portal.services.app_sessions.redeem(ticket, app=spec, now=NOW) == Inactive(code="provider-signed-out")

    def test_a_sign_in_that_is_just_finishing_is_refused(
        self, portal: Portal, browser: Browser, stranger: FlaskClient, theirs: MisbehavingProvider
    ) -> None:
        callback = theirs.authorize(browser.begin())
        report(stranger, a_token(theirs))

        assert browser.get(callback).status_code == 403
        assert not browser.is_signed_in
        assert portal.sign_ins(an_identity(issuer=theirs.issuer)) == []
