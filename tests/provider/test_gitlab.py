"""The whole sign-in at GitLab: from Chainlit's variables to a sign-in, at an emulation with GitLab's quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal.settings import Admission, ProviderSpec
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.gitlab import GitLab
from tests.provider.emulations.openid import query_of
from tests.provider.emulations.serving import serving


def variables(theirs: GitLab) -> dict[str, str]:
    return {
        "OAUTH_GITLAB_CLIENT_ID": theirs.CLIENT_ID,
        "OAUTH_GITLAB_CLIENT_SECRET": theirs.CLIENT_SECRET,
        "OAUTH_GITLAB_DOMAIN": f"{theirs.issuer}/",
    }


@pytest.fixture
def theirs() -> Iterator[GitLab]:
    with serving(GitLab) as emulation:
        yield emulation


@pytest.fixture
def spec(theirs: GitLab, tmp_path: Path) -> ProviderSpec:
    return configured(tmp_path, variables(theirs))


@pytest.fixture
def deployment(spec: ProviderSpec, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, spec)


def test_a_person_signs_in_with_groups_of_both_tokens(deployment: Deployment, theirs: GitLab) -> None:
    url = deployment.begin()
    response = deployment.browser.get(theirs.consent(url))

    assert response.status_code == 303
    assert query_of(url)["scope"] == "openid profile email"
    assert query_of(url)["redirect_uri"] == f"{URL}/auth/oauth/gitlab/callback"
    identity = deployment.identity()
    assert (identity.issuer, identity.subject) == (theirs.issuer, "4217")
    assert identity.verified_email == "gina@example.com"
    (affiliation,) = identity.affiliations
    assert affiliation.groups == {"research/ml", "platform", "research/ml/vision"}
    assert affiliation.roles == {"research/ml:owner", "platform:maintainer"}


@pytest.mark.parametrize("verified", [False, None, "true"], ids=str)
def test_an_address_that_gitlab_does_not_vouch_for_opens_nothing(
    deployment: Deployment, theirs: GitLab, verified: object
) -> None:
    theirs.email_verified = verified
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.identity().verified_email is None


def test_without_the_scope_there_is_the_public_address_or_none(deployment: Deployment, theirs: GitLab) -> None:
    theirs.scope = "openid profile"
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.identity().email is None


def test_hundreds_of_inherited_groups_sign_in_all_the_same(deployment: Deployment, theirs: GitLab) -> None:
    theirs.inherited = [f"research/ml/{'a-long-name-' * 5}{number}" for number in range(2000)]
    response = deployment.browser.get(theirs.consent(deployment.begin()))

    assert response.status_code == 303
    [not_kept] = [one for one in deployment.identity().unread if "groups" in one]
    assert not_kept.endswith("of groups not stored: no rule reads them")


def test_a_no_is_a_no(deployment: Deployment, theirs: GitLab) -> None:
    assert deployment.browser.get(theirs.refuse(deployment.begin())).status_code == 403
    assert not deployment.browser.is_signed_in


def test_what_it_has_no_page_for_is_not_asked(theirs: GitLab, tmp_path: Path) -> None:
    """``OAUTH_PROMPT=select_account`` means all providers, and would end every sign-in here with an error."""
    deployment = Deployment(tmp_path, configured(tmp_path, variables(theirs) | {"OAUTH_PROMPT": "select_account"}))
    url = deployment.browser.begin("/auth/oauth/gitlab?login_hint=gina@example.com")

    assert not {"prompt", "login_hint"} & query_of(url).keys()
    assert deployment.browser.get(theirs.consent(url)).status_code == 303


def test_signing_out_ends_here_for_there_is_nothing_there(deployment: Deployment, theirs: GitLab) -> None:
    deployment.browser.get(theirs.consent(deployment.begin()))
    response = deployment.browser.sign_out()

    assert response.status_code == 303
    assert response.headers["Location"].startswith("/signed-out")
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("admission", "status"),
    [
        (Admission(organisations=frozenset({"platform"})), 303),
        # A member of a subgroup is none of the group above it.
        (Admission(organisations=frozenset({"research"})), 403),
        (Admission(organisations=frozenset({"research/ml"})), 403),
        (Admission(groups=frozenset({"research/ml/vision"})), 303),
        (Admission(groups=frozenset({"research", "research/m", "platform-2"})), 403),
        (Admission(domains=frozenset({"example.com"})), 303),
        (Admission(domains=frozenset({"ample.com"})), 403),
    ],
    ids=["top", "above", "no top", "inherited", "others", "domain", "another domain"],
)
def test_who_may_come_in(theirs: GitLab, spec: ProviderSpec, tmp_path: Path, admission: Admission, status: int) -> None:
    deployment = Deployment(tmp_path, replace(spec, admission=admission))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status
    assert deployment.browser.is_signed_in is (status == 303)
