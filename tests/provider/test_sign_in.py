"""The whole sign-in, portal and provider: a certified provider, and one that misbehaves."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from portal.rules.identity import Affiliation
from portal.settings import Secret
from portal.sign_in.providers.base import ProviderDiagnostics
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from tests.builders import NOW, PORTAL, a_provider
from tests.provider.browser import CALLBACK, HOST, Browser, Portal, link_to_provider, reference_in, state_in
from tests.provider.misbehaving import misbehaving_provider
from tests.provider.mischief import MISCHIEF, Mischief
from tests.provider.process import Person, RunningProvider, a_client, running_provider


@dataclass(frozen=True, slots=True)
class Real:
    """A portal that signs people in at a real provider, and a browser."""

    theirs: RunningProvider
    portal: Portal
    browser: Browser


@pytest.fixture(scope="module")
def theirs(processes: None) -> Iterator[RunningProvider]:
    with running_provider(a_client(PORTAL, callbacks=(CALLBACK, "/login/callback"))) as provider:
        yield provider


@pytest.fixture
def real(tmp_path: Path, theirs: RunningProvider) -> Real:
    spec = a_provider(
        provider_type="descope",
        issuer=theirs.issuer,
        client_id=theirs.client_id,
        client_secret=Secret(theirs.client_secret),
    )
    portal = Portal(tmp_path)
    portal.now = int(time.time())
    portal.providers["company"] = CodeFlow(spec)
    return Real(theirs, portal, Browser(portal))


CREDENTIALS: Final = (
    ("portal", "zT9VwFZq+ApmIQ/ZH1I5pLk+uB4udX2/8bLwfFTt1rFw="),
    ("a:colon", "100%25 sure? %2B"),
    ("https://portal.example.com/client", "two words & = ; : ~ * ' \" \\ | ^ { }"),
    ("space in it", "".join(map(chr, range(0x20, 0x7F)))),
)
"""Ids and secrets that are no plain words; printable ASCII, which is all that RFC 6749, appendix A, and so this
provider, lets them be."""


@pytest.fixture(scope="module")
def knowing_them(processes: None) -> Iterator[RunningProvider]:
    """Run a provider that knows a client with each of the credentials, once by Basic and once by the form."""
    clients = [
        a_client(PORTAL, client_id=f"{client_id}{suffix}", client_secret=secret, token_endpoint_auth_method=method)
        for client_id, secret in CREDENTIALS
        for suffix, method in (("", "client_secret_basic"), ("-post", "client_secret_post"))
    ]
    with running_provider(*clients) as provider:
        yield provider


class TestCredentials:
    @pytest.mark.parametrize(("suffix", "method"), [("", None), ("-post", "client_secret_post")])
    @pytest.mark.parametrize(("client_id", "secret"), CREDENTIALS)
    def test_whatever_they_contain_they_prove_the_client(
        self, knowing_them: RunningProvider, client_id: str, secret: str, suffix: str, method: str | None
    ) -> None:
        ours = CodeFlow(
            a_provider(
                issuer=knowing_them.issuer,
                client_id=f"{client_id}{suffix}",
                client_secret=Secret(secret),
                token_endpoint_auth_method=method,
            )
        )
        now = int(time.time())
        url, attempt = ours.begin(redirect_uri=f"{PORTAL}{CALLBACK}", return_to="/", now=now)
        callback = dict(parse_qsl(urlsplit(Person("ana").sign_in(url)).query))

        assert ours.complete(attempt, callback, now=now).identity.subject == "ana"


class TestBeforeASignIn:
    """What ``portal providers test`` learns about a certified provider without a sign-in."""

    def diagnostics(
        self, theirs: RunningProvider, *, callback: str = f"{PORTAL}{CALLBACK}", **changes: object
    ) -> ProviderDiagnostics:
        given = {"client_id": theirs.client_id, "client_secret": Secret(theirs.client_secret), **changes}
        return CodeFlow(a_provider(issuer=theirs.issuer, **given)).diagnostics(redirect_uri=callback)

    def test_a_registration_that_fits(self, theirs: RunningProvider) -> None:
        diagnostics = self.diagnostics(theirs)

        assert (diagnostics.client_problem, diagnostics.request_problem, diagnostics.callback_known) == (
            None,
            None,
            True,
        )

    def test_a_callback_that_is_not_registered(self, theirs: RunningProvider) -> None:
        diagnostics = self.diagnostics(theirs, callback=f"{PORTAL}/auth/oauth/another/callback")

        assert "redirect_uri" in str(diagnostics.request_problem)
        assert diagnostics.callback_known is False

    def test_a_client_that_is_not_registered(self, theirs: RunningProvider) -> None:
        diagnostics = self.diagnostics(theirs, client_id="another")

        assert "invalid_client" in str(diagnostics.client_problem)
        assert "client" in str(diagnostics.request_problem)

    def test_a_wrong_secret(self, theirs: RunningProvider) -> None:
        diagnostics = self.diagnostics(theirs, client_secret=Secret("wrong"))

        assert "invalid_client" in str(diagnostics.client_problem)
        assert (diagnostics.request_problem, diagnostics.callback_known) == (None, True)


class TestAtARealProvider:
    def test_a_person_signs_in_with_their_roles_and_signs_out_everywhere(self, real: Real) -> None:
        ada = Person("ada")
        response = real.browser.get(ada.sign_in(real.browser.begin("/auth/oauth/company?next=/account")))

        assert response.headers["Location"] == "/account"
        (sign_in,) = real.portal.services.sign_ins.of_tenant("acme", issuer=real.theirs.issuer, now=real.portal.now)
        assert sign_in.identity.issuer == real.theirs.issuer
        assert sign_in.identity.subject == "ada"
        assert sign_in.identity.verified_email == "ada@example.com"
        assert sign_in.identity.affiliations == (
            Affiliation(tenant="acme", tenant_name="Acme", roles=frozenset({"Tenant Admin"})),
        )

        back = ada.sign_out(link_to_provider(real.browser.sign_out()))
        assert back.startswith(f"{PORTAL}/signed-out?state=")
        # The return alone does not prove it: a person may decline there.
        assert "You may still be signed in to Example Company" in real.browser.get(back).text
        assert not real.browser.is_signed_in

    def test_a_second_sign_in_needs_no_question(self, real: Real) -> None:
        ana = Person("ana")
        real.browser.get(ana.sign_in(real.browser.begin()))
        real.browser.get(ana.sign_in(real.browser.begin()))

        assert real.browser.is_signed_in

    def test_a_no_is_a_no(self, real: Real) -> None:
        page = real.browser.get(Person("ana").refuse(real.browser.begin()))

        assert page.status_code == 403
        assert not real.browser.is_signed_in

    def test_two_tabs_both_sign_in(self, real: Real) -> None:
        ana = Person("ana")
        first, second = real.browser.begin(), real.browser.begin()
        callbacks = [ana.sign_in(first), ana.sign_in(second)]

        assert [real.browser.get(callback).status_code for callback in callbacks] == [303, 303]
        assert real.browser.is_signed_in

    def test_a_replayed_cookie_and_callback_fail_at_the_provider(self, real: Real) -> None:
        """
        A browser that keeps its attempt's cookie gets no second sign-in out of it: the code is used up.
        """
        url = real.browser.begin()
        (name,) = real.browser.attempts()
        kept = real.browser.cookies()[name]
        callback = Person("ana").sign_in(url)
        real.browser.get(callback)
        other = Browser(real.portal)
        other.client.set_cookie(name, kept, domain=HOST)
        page = other.get(callback)

        assert page.status_code == 400
        assert not other.is_signed_in

    def test_a_code_of_another_attempt_fails_at_pkce(self, real: Real) -> None:
        victims = parse_qs(urlsplit(Person("ada").sign_in(Browser(real.portal).begin())).query)
        mine = state_in(real.browser.begin())
        page = real.browser.get(f"{CALLBACK}?code={victims['code'][0]}&state={mine}&iss={real.theirs.issuer}")

        assert page.status_code == 400
        assert not real.browser.is_signed_in

    def test_a_callback_without_iss_is_rejected(self, real: Real) -> None:
        callback = Person("ana").sign_in(real.browser.begin())
        page = real.browser.get(re.sub(r"&iss=[^&]*", "", callback))

        assert page.status_code == 400
        assert not real.browser.is_signed_in

    def test_a_wrong_client_secret_is_the_portals_trouble(self, real: Real) -> None:
        spec = real.portal.providers["company"].spec
        real.portal.providers["company"] = CodeFlow(
            a_provider(issuer=spec.issuer, client_id=spec.client_id, client_secret=Secret("wrong"))
        )
        page = real.browser.get(Person("ana").sign_in(real.browser.begin()))

        assert page.status_code == 500
        assert "Trying again does not help" in page.text
        assert not real.browser.is_signed_in

    def test_a_registration_at_the_old_path_works(self, real: Real) -> None:
        spec = a_provider(
            issuer=real.theirs.issuer,
            client_id=real.theirs.client_id,
            client_secret=Secret(real.theirs.client_secret),
            redirect_uri=f"{PORTAL}/login/callback",
        )
        real.portal.providers["company"] = CodeFlow(spec)

        assert real.browser.get(Person("uwe").sign_in(real.browser.begin())).status_code == 303
        assert real.browser.is_signed_in


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Portal:
    """One portal for every wrong; each has its own provider and browser."""
    return Portal(tmp_path_factory.mktemp("portal"))


SOME: Final = {(one.error, one.at_begin, one.slow): name for name, one in reversed(MISCHIEF.items())}
"""One of each outcome: what is refused is decided in ``tests/portal/sign_in/providers/test_oidc.py``."""


class TestMischief:
    @pytest.mark.parametrize("mischief", [MISCHIEF[name] for name in SOME.values()], ids=SOME.values())
    def test_it_signs_no_one_in(self, shared: Portal, mischief: Mischief) -> None:
        browser = Browser(shared)
        with misbehaving_provider() as theirs:
            spec = a_provider(issuer=theirs.issuer)
            patient = CodeFlow(spec, limits=Limits(read=60, total=60))
            hurried = CodeFlow(spec, limits=Limits(read=0.5, total=2))
            shared.providers["company"] = hurried if mischief.slow and mischief.at_begin else patient
            if mischief.at_begin:
                mischief.prepare(theirs)
                page = browser.get("/auth/oauth/company")
            else:
                url = browser.begin()
                shared.providers["company"] = hurried if mischief.slow else patient
                mischief.prepare(theirs)
                page = browser.get(theirs.authorize(url))

        assert page.status_code == mischief.error.status
        assert reference_in(page)
        assert 'href="/sign-in' in page.text
        assert "<script>alert" not in page.text
        assert not browser.is_signed_in
        assert not browser.attempts()
        assert not shared.services.sign_ins.of_tenant("", issuer=theirs.issuer, now=NOW)
