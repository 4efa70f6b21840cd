"""The whole sign-in at Auth0: from Chainlit's variables to a sign-in, at an emulation with Auth0's quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.settings import Admission
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.auth0 import ACME, NAMESPACE, Auth0
from tests.provider.emulations.serving import serving


@pytest.fixture
def theirs() -> Iterator[Auth0]:
    with serving(Auth0) as emulation:
        yield emulation


def variables(theirs: Auth0, **others: str) -> dict[str, str]:
    """Return the variables of a company with Chainlit."""
    return {
        "OAUTH_AUTH0_CLIENT_ID": theirs.CLIENT_ID,
        "OAUTH_AUTH0_CLIENT_SECRET": theirs.CLIENT_SECRET,
        "OAUTH_AUTH0_DOMAIN": theirs.url,
        **others,
    }


@pytest.fixture
def deployment(theirs: Auth0, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, configured(tmp_path, variables(theirs)))


def with_options(theirs: Auth0, folder: Path, *lines: str) -> Deployment:
    """Return a portal whose file has *lines* for the provider."""
    said = (
        "[[providers]]",
        'id = "auth0"',
        'type = "auth0"',
        f'domain = "{theirs.url}"',
        f'client_id = "{theirs.CLIENT_ID}"',
        'client_secret_env = "COMPANY_SECRET"',
        *lines,
    )
    return Deployment(folder, configured(folder, {"COMPANY_SECRET": theirs.CLIENT_SECRET}, "\n".join(said)))


def test_a_person_signs_in(deployment: Deployment, theirs: Auth0) -> None:
    url = deployment.begin()

    assert deployment.browser.get(theirs.consent(url)).status_code == 303
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{URL}/auth/oauth/auth0/callback"]
    identity = deployment.identity()
    assert (identity.issuer, identity.subject) == (f"{theirs.url}/", "auth0|653a1f0c9e")
    assert identity.verified_email == "otto@example.com"
    assert not identity.affiliations[0].roles


def test_an_issuer_without_its_slash_is_another(deployment: Deployment, theirs: Auth0) -> None:
    callback = theirs.consent(deployment.begin())
    theirs.issuer = theirs.url

    assert deployment.browser.get(callback).status_code == 400
    assert not deployment.browser.is_signed_in


def test_at_a_custom_domain_the_audience_is_of_the_tenants_own(theirs: Auth0, tmp_path: Path) -> None:
    original = theirs.original.removeprefix("https://")
    deployment = Deployment(tmp_path, configured(tmp_path, variables(theirs, OAUTH_AUTH0_ORIGINAL_DOMAIN=original)))
    url = deployment.begin()

    assert parse_qs(urlsplit(url).query)["audience"] == ["https://company.eu.auth0.com/userinfo"]
    assert deployment.browser.get(theirs.consent(url)).status_code == 303
    assert deployment.identity().issuer == f"{theirs.url}/"


def test_a_custom_domain_alone_asks_for_no_audience(deployment: Deployment) -> None:
    """Auth0 knows none by that name, and refuses."""
    assert "audience" not in parse_qs(urlsplit(deployment.begin()).query)


def test_another_tenants_own_domain_is_refused_there(theirs: Auth0, tmp_path: Path) -> None:
    deployment = Deployment(
        tmp_path, configured(tmp_path, variables(theirs, OAUTH_AUTH0_ORIGINAL_DOMAIN="other.auth0.com"))
    )

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 403


def test_roles_stand_under_the_namespace_that_is_named(theirs: Auth0, tmp_path: Path) -> None:
    deployment = with_options(theirs, tmp_path, f'namespace = "{NAMESPACE}/"')
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.identity().affiliations[0].roles == {"admin", "editor"}


def test_an_organisation_is_a_tenant(theirs: Auth0, tmp_path: Path) -> None:
    deployment = with_options(theirs, tmp_path, f'organization = "{ACME}"', f'namespace = "{NAMESPACE}"')
    url = deployment.begin()

    assert parse_qs(urlsplit(url).query)["organization"] == [ACME]
    assert deployment.browser.get(theirs.consent(url)).status_code == 303
    (affiliation,) = deployment.identity(ACME).affiliations
    assert affiliation.tenant_name == "acme"
    assert affiliation.roles == {"admin", "editor"}


def test_whoever_takes_the_organisation_out_of_the_link_stays_outside(theirs: Auth0, tmp_path: Path) -> None:
    deployment = with_options(theirs, tmp_path, f'organization = "{ACME}"')
    without = deployment.begin().replace(f"organization={ACME}", "")
    page = deployment.browser.get(theirs.consent(without))

    assert page.status_code == 400
    theirs.organisation = "org_somebodyElses"
    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 400
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize("shown", [True, False], ids=["end-session endpoint", "older way"])
def test_signing_out_goes_on_at_auth0_and_returns(deployment: Deployment, theirs: Auth0, *, shown: bool) -> None:
    theirs.shows_end_session = shown
    deployment.browser.get(theirs.consent(deployment.begin()))
    left = deployment.leave()

    assert left is not None
    assert left.startswith(f"{theirs.url}/oidc/logout?" if shown else f"{theirs.url}/v2/logout?")
    back = theirs.sign_out(left)
    assert back is not None
    assert "still be signed in to Auth0" in deployment.browser.get(back).text
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("admission", "status"),
    [
        (Admission(organisations=frozenset({ACME})), 303),
        (Admission(organisations=frozenset({"acme"})), 303),
        (Admission(tenants=frozenset({ACME})), 303),
        (Admission(organisations=frozenset({"org_other"})), 403),
        (Admission(tenants=frozenset({"acme"})), 403),
        (Admission(domains=frozenset({"example.com"})), 303),
        (Admission(domains=frozenset({"example.org"})), 403),
    ],
    ids=["organisation", "by name", "tenant", "another", "a name is no tenant", "domain", "another domain"],
)
def test_who_may_come_in(
    theirs: Auth0, deployment: Deployment, tmp_path: Path, admission: Admission, status: int
) -> None:
    theirs.organisation = ACME
    deployment = Deployment(tmp_path, replace(deployment.spec, admission=admission))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status
    assert deployment.browser.is_signed_in is (status == 303)


def test_who_chose_no_organisation_is_a_member_of_none(theirs: Auth0, deployment: Deployment, tmp_path: Path) -> None:
    admission = Admission(organisations=frozenset({ACME}))
    deployment = Deployment(tmp_path, replace(deployment.spec, admission=admission))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 403
