"""The whole sign-in at Hugging Face: from what a Space says to a sign-in, at an emulation with the hub's quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal.settings import Admission, ProviderSpec
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.huggingface import ACME, BETA, HuggingFace
from tests.provider.emulations.openid import query_of
from tests.provider.emulations.serving import serving

FILE = """
[[providers]]
id = "hub"
type = "huggingface"
client_id_env = "OAUTH_CLIENT_ID"
client_secret_env = "OAUTH_CLIENT_SECRET"
"""


def variables(theirs: HuggingFace) -> dict[str, str]:
    return {
        # A Space sets it unasked; where the file names the client, that says what it is for.
        "OPENID_PROVIDER_URL": "https://huggingface.co",
        "OAUTH_CLIENT_ID": theirs.CLIENT_ID,
        "OAUTH_CLIENT_SECRET": theirs.CLIENT_SECRET,
    }


@pytest.fixture
def theirs() -> Iterator[HuggingFace]:
    with serving(HuggingFace) as emulation:
        yield emulation


@pytest.fixture
def spec(theirs: HuggingFace, tmp_path: Path) -> ProviderSpec:
    """Return the provider that the variables of a Space configure, at another hub."""
    spec = configured(
        tmp_path,
        variables(theirs) | {"OAUTH_SCOPES": "openid profile"},
    )
    return replace(spec, issuer=theirs.issuer)


@pytest.fixture
def deployment(spec: ProviderSpec, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, spec)


def of_file(folder: Path, theirs: HuggingFace, *lines: str) -> ProviderSpec:
    text = "\n".join((FILE, f'issuer = "{theirs.issuer}"', *lines, ""))
    return configured(folder, variables(theirs), text)


def test_a_person_signs_in_with_what_a_space_has(deployment: Deployment, theirs: HuggingFace) -> None:
    url = deployment.begin()
    response = deployment.browser.get(theirs.consent(url))

    assert response.status_code == 303
    assert query_of(url)["scope"] == "openid profile"
    assert query_of(url)["redirect_uri"] == f"{URL}/auth/oauth/huggingface/callback"
    identity = deployment.identity()
    assert (identity.issuer, identity.subject, identity.name) == (
        theirs.issuer,
        "62ce7c39a1b2c3d4e5f60718",
        "Hugo Face",
    )
    assert identity.email is None
    (affiliation,) = identity.affiliations
    assert affiliation.groups == {"acme-ml", f"org:{ACME}"}
    assert affiliation.roles == frozenset()


def test_an_organisation_that_is_asked_for_says_the_role_too(theirs: HuggingFace, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, of_file(tmp_path, theirs, f'org_ids = "{ACME}"'))
    url = deployment.begin()
    deployment.browser.get(theirs.consent(url))

    assert query_of(url)["orgIds"] == ACME
    assert query_of(url)["scope"] == "openid profile email"
    assert deployment.identity().verified_email == "hugo@example.com"
    assert deployment.identity().affiliations[0].roles == {"acme-ml:admin"}


def test_organisations_may_be_tenants(theirs: HuggingFace, tmp_path: Path) -> None:
    theirs.restrictions[BETA] = {}
    theirs.org_ids = frozenset({ACME, BETA})
    deployment = Deployment(
        tmp_path, of_file(tmp_path, theirs, 'organisations_as = "tenants"', f'allowed_tenants = ["{BETA}"]')
    )
    deployment.browser.get(theirs.consent(deployment.begin()))

    (affiliation,) = deployment.identity(BETA).affiliations
    assert (affiliation.tenant, affiliation.tenant_name, affiliation.roles) == (BETA, "Beta", frozenset({"read"}))


def test_a_registered_callback_of_a_space_goes_on(theirs: HuggingFace, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, of_file(tmp_path, theirs, f'redirect_uri = "{URL}/login/callback"'))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 303
    assert deployment.browser.is_signed_in


def test_a_no_is_a_no(deployment: Deployment, theirs: HuggingFace) -> None:
    assert deployment.browser.get(theirs.refuse(deployment.begin())).status_code == 403
    assert not deployment.browser.is_signed_in


def test_signing_out_ends_here_for_there_is_nothing_there(deployment: Deployment, theirs: HuggingFace) -> None:
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.browser.sign_out().status_code == 303
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("organisations", "status"),
    [
        ({"acme-ml"}, 303),
        ({f"org:{ACME}"}, 303),
        # Listed, and single sign-on is still to be done there.
        ({"beta", f"org:{BETA}"}, 403),
        ({"acme", "Acme-ml", ACME}, 403),
    ],
    ids=["name", "id", "restricted", "others"],
)
def test_the_authorized_organisation_is_held_here_too(
    theirs: HuggingFace, spec: ProviderSpec, tmp_path: Path, organisations: set[str], status: int
) -> None:
    """What ``hf_oauth_authorized_org`` means on the hub; a portal that relied on the hub alone would trust one word."""
    deployment = Deployment(tmp_path, replace(spec, admission=Admission(organisations=frozenset(organisations))))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status
    assert deployment.browser.is_signed_in is (status == 303)
