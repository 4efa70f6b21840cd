"""Claims are read again at each make of provider, as it gives and takes refresh tokens, or from its API."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from portal.access.revocation import RevocationReason
from portal.settings import Admission, ProviderSpec
from portal.storage import tables
from tests.provider.browser import Browser
from tests.provider.deployments import Deployment, configured
from tests.provider.emulations.auth0 import NAMESPACE, Auth0
from tests.provider.emulations.azure_ad import CONTOSO, Entra, group
from tests.provider.emulations.cognito import Cognito
from tests.provider.emulations.github import GitHub
from tests.provider.emulations.gitlab import GitLab
from tests.provider.emulations.google import Google
from tests.provider.emulations.keycloak import REALM, Keycloak
from tests.provider.emulations.okta import Okta
from tests.provider.emulations.serving import as_json, serving


def _auth0_drops_a_role(theirs: Auth0) -> None:
    for claims in (theirs.id_token, theirs.userinfo):
        claims[f"{NAMESPACE}/roles"] = ["editor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """One make of provider: how it is configured, and what its operator changes."""

    emulation: Callable[[str], Any]
    lines: tuple[str, ...]
    """Options of its section, where ``{url}`` stands for its address."""
    change: Callable[[Any], object]
    before: frozenset[str]
    """Groups and roles at the sign-in."""
    after: frozenset[str]
    tenant: str = ""


MAKES: Final[dict[str, Make]] = {
    "auth0": Make(
        emulation=Auth0,
        lines=('domain = "{url}"', f'namespace = "{NAMESPACE}"'),
        change=_auth0_drops_a_role,
        before=frozenset({"admin", "editor"}),
        after=frozenset({"editor"}),
    ),
    "aws-cognito": Make(
        emulation=Cognito,
        lines=('domain = "{url}"', 'issuer = "{issuer}"'),
        change=lambda theirs: theirs.id_token["cognito:groups"].append("new"),
        before=frozenset({"ml-admins"}),
        after=frozenset({"ml-admins", "new"}),
    ),
    "azure-ad": Make(
        emulation=Entra,
        lines=(f'tenant_id = "{CONTOSO}"', 'authority = "{url}"', 'graph = "{url}"'),
        change=lambda theirs: theirs.person.update(roles=["Reader"]),
        before=frozenset({"Portal.Admin", group(1)}),
        after=frozenset({"Reader", group(1)}),
        tenant=CONTOSO,
    ),
    "github": Make(
        emulation=GitHub,
        lines=(
            'auth_url = "{url}/login/oauth/authorize"',
            'token_url = "{url}/login/oauth/access_token"',
            'user_info_url = "{url}/api/v3/user"',
        ),
        change=lambda theirs: theirs.teams.clear(),
        before=frozenset({"example-org/team-0"}),
        after=frozenset(),
    ),
    "gitlab": Make(
        emulation=GitLab,
        lines=('domain = "{issuer}"',),
        change=lambda theirs: theirs.roles.update(owner=[]),
        before=frozenset({"research/ml:owner", "platform:maintainer"}),
        after=frozenset({"platform:maintainer"}),
    ),
    "keycloak": Make(
        emulation=Keycloak,
        lines=('base_url = "{url}/auth"', f'realm = "{REALM}"'),
        change=lambda theirs: theirs.roles.remove("portal-admin"),
        before=frozenset({"portal-admin", "portal:editor"}),
        after=frozenset({"portal:editor"}),
    ),
    "okta": Make(
        emulation=Okta,
        lines=('domain = "{url}"', 'authorization_server_id = "false"'),
        change=lambda theirs: theirs.groups.remove("ML-Admins"),
        before=frozenset({"ML-Admins"}),
        after=frozenset(),
    ),
}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who is signed in at one make of provider."""

    make: Make
    theirs: Any
    deployment: Deployment

    def groups_and_roles(self) -> frozenset[str]:
        [affiliation] = self.deployment.identity(self.make.tenant).affiliations
        return affiliation.groups | affiliation.roles

    def row(self) -> sa.Row[Any]:
        with self.deployment.portal.services.database.read() as connection:
            return connection.execute(sa.select(tables.sign_ins)).one()

    def refresh(self) -> None:
        self.deployment.portal.refresh()


def spec_of(name: str, theirs: Any, folder: Path, *lines: str) -> ProviderSpec:
    """Return the provider that a file configures."""
    section = (
        "[[providers]]",
        f'id = "{name}"',
        f'type = "{name}"',
        f'client_id = "{theirs.CLIENT_ID}"',
        'client_secret_env = "COMPANY_SECRET"',
        *(line.format(url=theirs.url, issuer=getattr(theirs, "issuer", "")) for line in lines),
    )
    return configured(folder, {"COMPANY_SECRET": theirs.CLIENT_SECRET}, "\n".join(section))


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Callable[[str], SignedIn]]:
    with ExitStack() as running:

        def sign_in(name: str) -> SignedIn:
            make = MAKES[name]
            theirs = running.enter_context(serving(make.emulation))
            if isinstance(theirs, Okta):
                theirs.choose("")
            deployment = Deployment(tmp_path, spec_of(name, theirs, tmp_path, *make.lines))
            answer = deployment.browser.get(theirs.consent(deployment.begin()))
            assert answer.status_code == 303, answer.text
            return SignedIn(make, theirs, deployment)

        yield sign_in


@pytest.mark.parametrize("name", MAKES)
def test_a_changed_group_or_role_is_there_after_a_refresh_and_after_the_next(
    at: Callable[[str], SignedIn], name: str
) -> None:
    one = at(name)
    assert one.make.before <= one.groups_and_roles()
    one.refresh()
    assert one.make.before <= one.groups_and_roles()

    one.make.change(one.theirs)
    one.refresh()

    assert one.groups_and_roles() & (one.make.before | one.make.after) == one.make.after
    assert (one.row().ended_at, one.row().refresh_lease_until) == (None, None)


@pytest.mark.parametrize("name", MAKES)
def test_a_refusal_ends_the_sign_in(at: Callable[[str], SignedIn], name: str) -> None:
    one = at(name)
    if isinstance(one.theirs, GitHub):  # the person has revoked the app's access
        one.theirs.instead["/api/v3/user"] = as_json({"message": "Bad credentials"}, status=401)
    else:
        one.theirs.refresh_tokens.clear()
    one.refresh()

    assert one.row().end_reason == RevocationReason.REFRESH_REFUSED
    assert not one.deployment.browser.is_signed_in


@pytest.mark.parametrize("name", MAKES)
def test_a_provider_that_answers_nonsense_ends_no_sign_in(at: Callable[[str], SignedIn], name: str) -> None:
    one = at(name)
    ask = one.theirs.answer
    for answer in (as_json({"message": "busy"}, status=503), as_json([]), as_json({}, status=429)):
        one.theirs.answer = lambda _, answer=answer: answer
        one.refresh()
        assert one.row().ended_at is None
        assert one.row().refresh_due_at > one.deployment.portal.now
    one.theirs.answer = ask
    one.make.change(one.theirs)
    one.refresh()

    assert one.groups_and_roles() & (one.make.before | one.make.after) == one.make.after


@pytest.fixture
def google() -> Iterator[Google]:
    with serving(Google) as emulation:
        yield emulation


def at_google(google: Google, folder: Path, **changes: Any) -> Deployment:
    spec = replace(spec_of("google", google, folder), issuer=google.url, **changes)
    deployment = Deployment(folder, spec)
    assert deployment.browser.get(google.consent(deployment.begin())).status_code == 303
    return deployment


def test_who_leaves_the_company_at_google_is_signed_out_at_the_next_refresh(google: Google, tmp_path: Path) -> None:
    deployment = at_google(google, tmp_path, admission=Admission(domains=frozenset({"example.org"})))
    deployment.portal.refresh()
    assert deployment.browser.is_signed_in
    google.account |= {"hd": None, "email": "bob@gmail.com"}
    deployment.portal.refresh()

    assert not deployment.browser.is_signed_in


def test_a_second_browser_gets_no_refresh_token_of_google(google: Google, tmp_path: Path) -> None:
    """
    Google asks for consent once.
    """
    deployment = at_google(google, tmp_path)
    second = Browser(deployment.portal)
    second.get(google.consent(second.begin(f"/auth/oauth/{deployment.spec.id}")))
    lives = deployment.portal.services.sign_ins.of_tenant("example.org", issuer=google.url, now=deployment.portal.now)

    assert sorted(one.is_refreshed for one in lives) == [False, True]
    assert "as of this sign-in" in second.get("/account").text
