"""The whole sign-in at Keycloak, and the sign-out: from Chainlit's variables, at an emulation with its quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from portal.settings import Admission, ProviderSpec
from tests.builders import ISSUER
from tests.provider.browser import link_to_provider
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.keycloak import ORGANIZATION, REALM, Keycloak
from tests.provider.emulations.openid import query_of
from tests.provider.emulations.serving import serving


@pytest.fixture
def theirs() -> Iterator[Keycloak]:
    with serving(Keycloak) as emulation:
        yield emulation


@pytest.fixture
def spec(theirs: Keycloak, tmp_path: Path) -> ProviderSpec:
    return configured(
        tmp_path,
        {
            "OAUTH_KEYCLOAK_CLIENT_ID": theirs.CLIENT_ID,
            "OAUTH_KEYCLOAK_CLIENT_SECRET": theirs.CLIENT_SECRET,
            "OAUTH_KEYCLOAK_BASE_URL": f"{theirs.url}/auth/",
            "OAUTH_KEYCLOAK_REALM": REALM,
            "OAUTH_KEYCLOAK_NAME": "Acme SSO",
        },
    )


@pytest.fixture
def deployment(spec: ProviderSpec, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, spec)


def test_a_person_signs_in_with_the_roles_that_are_the_portals(deployment: Deployment, theirs: Keycloak) -> None:
    url = deployment.begin()
    response = deployment.browser.get(theirs.consent(url))

    assert response.status_code == 303
    assert query_of(url)["redirect_uri"] == f"{URL}/auth/oauth/Acme%20SSO/callback"
    identity = deployment.identity()
    assert (identity.issuer, identity.subject) == (theirs.issuer, "f:1f3c:kim")
    assert identity.verified_email == "kim@example.com"
    (affiliation,) = identity.affiliations
    assert affiliation.roles == {"default-roles-acme", "offline_access", "portal-admin", "portal:editor"}
    assert affiliation.groups == {"/research/ml"}


def test_roles_that_no_mapper_adds_are_not_there(deployment: Deployment, theirs: Keycloak) -> None:
    """Keycloak's default: roles are in the access token, which the portal must not read."""
    theirs.mappers = False
    deployment.browser.get(theirs.consent(deployment.begin()))

    (affiliation,) = deployment.identity().affiliations
    assert (affiliation.roles, affiliation.groups) == (frozenset(), frozenset())


@pytest.mark.parametrize("iss", [ISSUER, "x"])
def test_a_callback_of_another_realm_is_not_believed(deployment: Deployment, theirs: Keycloak, iss: str) -> None:
    theirs.iss = iss

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 400
    assert not deployment.browser.is_signed_in


def test_a_realm_with_another_issuer_is_refused_until_it_is_configured(theirs: Keycloak, tmp_path: Path) -> None:
    """The hostname setting: the portal asks at one address, and the realm's issuer has another."""
    named = theirs.behind_another_hostname()
    text = "\n".join(
        (
            "[[providers]]",
            'id = "sso"',
            'type = "keycloak"',
            f'client_id = "{theirs.CLIENT_ID}"',
            'client_secret_env = "SSO_SECRET"',
            f'base_url = "{theirs.url}/auth"',
            f'realm = "{REALM}"',
            "",
        )
    )
    secret = {"SSO_SECRET": theirs.CLIENT_SECRET}
    unsaid = Deployment(tmp_path / "1", configured(tmp_path, secret, text))
    said = Deployment(tmp_path / "2", configured(tmp_path, secret, f'{text}issuer = "{named}"\n'))

    assert unsaid.browser.get("/auth/oauth/sso").status_code == 500
    said.browser.get(theirs.consent(said.begin()))
    assert said.identity().issuer == named


def test_signing_out_goes_on_there_and_comes_back(deployment: Deployment, theirs: Keycloak) -> None:
    deployment.browser.get(theirs.consent(deployment.begin()))
    url = link_to_provider(deployment.browser.sign_out())

    asked = query_of(url)
    assert urlsplit(url).path == "/auth/realms/acme%20co/protocol/openid-connect/logout"
    assert asked["id_token_hint"].count(".") == 2
    assert asked["post_logout_redirect_uri"] == f"{URL}/signed-out"
    assert requests.get(url, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (("organization", Admission(organisations=frozenset({"acme"}))), 303),
        (("organization", Admission(organisations=frozenset({f"org:{ORGANIZATION}"}))), 303),
        # Nothing is said of organizations unless their scope is asked for.
        (("profile", Admission(organisations=frozenset({"acme"}))), 403),
        (("profile", Admission(groups=frozenset({"/research/ml"}))), 303),
        (("profile", Admission(groups=frozenset({"ml", "research/ml", "/research"}))), 403),
        (("email", Admission(domains=frozenset({"example.com"}))), 303),
    ],
    ids=["alias", "id", "not asked", "group", "other groups", "domain"],
)
def test_who_may_come_in(
    spec: ProviderSpec,
    tmp_path: Path,
    theirs: Keycloak,
    asked: tuple[str, Admission],
    status: int,
) -> None:
    scope, admission = asked
    deployment = Deployment(tmp_path, replace(spec, scopes=("openid", scope), admission=admission))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status
    assert deployment.browser.is_signed_in is (status == 303)
