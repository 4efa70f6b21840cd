"""The company's sign-in hook, from the name in the settings to the page that the person sees."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from portal.errors import SettingsError
from portal.rules.identity import Affiliation, Identity
from portal.sign_in.providers.base import CompletedSignIn
from portal.web.request_log import JsonLines, ReferenceFilter
from portal.web.services import Services
from tests.builders import NOW, a_provider, an_identity
from tests.portal.sign_in.hook.company import EVERYBODY, MODULE, ONE_GOOGLE_DOMAIN, written
from tests.provider.browser import Browser, Portal, reference_in, state_in
from tests.provider.scripted import ScriptedProvider

TWO = an_identity(affiliations=(Affiliation(tenant="acme", tenant_name="Acme"), Affiliation(tenant="beta")))


class ProviderWithClaims(ScriptedProvider):
    """A provider with claims for a hook."""

    claims: MappingProxyType[str, object] = MappingProxyType({})

    def complete(self, *arguments: Any, **options: Any) -> CompletedSignIn:
        done = super().complete(*arguments, **options)
        return CompletedSignIn(
            identity=done.identity,
            id_token="secret.id.token",
            access_token="secret-access-token",
            claims=self.claims,
        )


class Deployment:
    """A portal with a hook, one provider, and a browser."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        identity: Identity | None = None,
        provider_type: str = "oidc",
        provider: str = "company",
        chainlit_id: str | None = None,
        **claims: Any,
    ) -> None:
        spec = a_provider(id=provider, provider_type=provider_type, chainlit_id=chainlit_id)
        person = identity or an_identity(provider=provider)
        self.portal = Portal(folder, sign_in_hook=f"{MODULE}:{name}", providers=(spec,))
        self.provider = ProviderWithClaims(spec)
        self.provider.identity = person
        self.provider.claims = MappingProxyType(claims)
        self.portal.providers[provider] = self.provider
        self.browser = Browser(self.portal)

    @property
    def services(self) -> Services:
        return self.portal.services

    def sign_in(self) -> Any:
        state = state_in(self.browser.begin(f"/auth/oauth/{self.provider.spec.id}"))
        return self.browser.get(f"{self.provider.spec.callback_path}?code=code&state={state}")


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Yield what the portal writes to its log, as it writes it."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines())
    handler.addFilter(ReferenceFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield text
    finally:
        root.removeHandler(handler)


def test_everybody_comes_in_by_the_first_example_of_chainlits_guide(tmp_path: Path) -> None:
    with written(tmp_path, company_rules=EVERYBODY):
        deployment = Deployment(tmp_path, "oauth_callback")

        assert deployment.sign_in().status_code == 303
        assert deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("provider", "claims", "status"),
    [
        ("google", {"hd": "example.org"}, 303),
        ("google", {"hd": "evil.test"}, 403),
        ("google", {"hd": ["example.org"]}, 403),
        ("google", {}, 403),
        ("company", {"hd": "example.org"}, 403),
    ],
    ids=["the domain", "another", "a list", "none", "another provider"],
)
def test_one_google_domain_comes_in_by_the_second(
    tmp_path: Path, provider: str, claims: dict[str, Any], status: int
) -> None:
    with written(tmp_path, company_rules=ONE_GOOGLE_DOMAIN):
        provider_type = "google" if provider == "google" else "oidc"
        deployment = Deployment(tmp_path, "oauth_callback", provider_type=provider_type, provider=provider, **claims)

        assert deployment.sign_in().status_code == status
        assert deployment.browser.is_signed_in is (status == 303)


def test_the_hook_gets_a_renamed_provider_by_the_name_that_chainlit_has_for_it(tmp_path: Path) -> None:
    source = (
        "def hook(provider_id, token, raw_user_data, default_user):\n"
        "    return default_user if (provider_id, default_user.metadata['provider']) == ('MyCompany',) * 2 else None\n"
    )
    with written(tmp_path, company_rules=source):
        deployment = Deployment(tmp_path, "hook", chainlit_id="MyCompany")

        assert deployment.sign_in().status_code == 303
        assert deployment.browser.is_signed_in


def test_a_refused_person_reads_that_the_company_does_not_allow_the_account(tmp_path: Path) -> None:
    with written(tmp_path, company_rules="def hook(*arguments): return None"), logged() as log:
        page = Deployment(tmp_path, "hook").sign_in()

    assert page.status_code == 403
    assert "your company does not allow this account" in page.text
    assert "not-admitted: refused-by-hook" in log.getvalue()


def test_it_gets_the_arguments_that_chainlit_passes(tmp_path: Path) -> None:
    source = """
    async def hook(provider_id, token, raw_user_data, default_user, id_token=None):
        assert provider_id == "company"
        assert token == "secret-access-token"
        assert id_token == "secret.id.token"
        assert raw_user_data == {"sub": "ana", "department": "R&D", "email": "ana@example.com"}
        assert default_user.identifier == "ana@example.com"
        return default_user
    """
    with written(tmp_path, company_rules=source):
        assert Deployment(tmp_path, "hook", sub="ana", department="R&D").sign_in().status_code == 303


FAILURES = {
    "raises": "raise ValueError(f'no: {token} {id_token} <b>hunter2</b>')",
    "ends the process": "raise SystemExit(token)",
    "returns somebody who is none": "return {'identifier': token}",
    "gives what are no roles": "default_user.metadata['roles'] = 7; return default_user",
}


@pytest.mark.parametrize("body", FAILURES.values(), ids=FAILURES)
def test_a_hook_that_fails_admits_nobody_shows_nothing_and_is_logged_without_the_tokens(
    tmp_path: Path, body: str
) -> None:
    source = f"def hook(provider_id, token, raw_user_data, default_user, id_token):\n    {body}"
    with written(tmp_path, company_rules=source), logged() as log:
        deployment = Deployment(tmp_path, "hook")
        page = deployment.sign_in()
        lines = [json.loads(line) for line in log.getvalue().splitlines()]

        assert page.status_code == 403
        assert not deployment.browser.is_signed_in
    failure = next(line for line in lines if line["logger"] == "portal.hook")
    assert failure["reference"] == reference_in(page)
    assert "Traceback" in failure["exception"]
    for secret in ("secret-access-token", "secret.id.token"):
        assert secret not in log.getvalue()
        assert secret not in page.text
    assert "hunter2" not in page.text
    assert any(line["message"] == "not-admitted: hook-failed" for line in lines)


ROLES = """
def hook(provider_id, token, raw_user_data, default_user):
    default_user.identifier = "ada"
    default_user.metadata = {"roles": {"acme": ["admin", "root"], "evil": ["admin"]}}
    return default_user
"""


def test_roles_it_gives_are_shown_with_their_reason_in_their_tenant_and_outlive_the_process(tmp_path: Path) -> None:
    with written(tmp_path, company_rules=ROLES), logged() as log:
        first = Deployment(tmp_path, "hook", identity=TWO)
        first.sign_in()
        cookies = first.browser.cookies()
        again = Deployment(tmp_path, "hook", identity=TWO)  # the portal starts anew, on the same stores
        for name, value in cookies.items():
            again.browser.client.set_cookie(name, value, domain="portal.example.com")
        account = again.browser.get("/account").text

    assert 'admin</strong><span class="row-text">given by <code>sign-in hook</code>' in account
    assert "root" not in account
    assert "roles that portal.toml does not name: 'root'" in log.getvalue()
    assert "roles in tenants that are not the person's: 'evil'" in log.getvalue()
    (sign_in,) = again.portal.sign_ins(TWO)
    assert sign_in.tenant == "acme"
    assert {one.tenant: one.hook_roles for one in sign_in.identity.affiliations} == {
        "acme": frozenset({"admin"}),
        "beta": frozenset(),
    }
    assert (sign_in.identity.subject, sign_in.identity.id) == (TWO.subject, TWO.id)
    assert sign_in.created_at == NOW


def test_a_portal_whose_hook_cannot_be_loaded_does_not_start(tmp_path: Path) -> None:
    with written(tmp_path), pytest.raises(SettingsError, match="PORTAL_SIGN_IN_HOOK"):
        Deployment(tmp_path, "hook")
