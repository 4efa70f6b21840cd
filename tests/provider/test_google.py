"""The whole sign-in at Google: from Chainlit's variables to a sign-in, at an emulation with Google's quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.settings import Admission, ProviderSpec
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.google import BOB, Google
from tests.provider.emulations.serving import serving

WORKSPACE = Admission(domains=frozenset({"example.org"}))


@pytest.fixture
def theirs() -> Iterator[Google]:
    with serving(Google) as emulation:
        yield emulation


def spec_of(theirs: Google, folder: Path, **more: str) -> ProviderSpec:
    """Return the provider that Chainlit's variables configure, at the emulation's address instead of Google's."""
    said = {"OAUTH_GOOGLE_CLIENT_ID": theirs.CLIENT_ID, "OAUTH_GOOGLE_CLIENT_SECRET": theirs.CLIENT_SECRET}
    return replace(configured(folder, {**said, **more}), issuer=theirs.url)


@pytest.fixture
def spec(theirs: Google, tmp_path: Path) -> ProviderSpec:
    return spec_of(theirs, tmp_path)


def test_a_member_of_a_workspace_signs_in_to_its_tenant(spec: ProviderSpec, theirs: Google, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, spec)
    url = deployment.begin()
    asked = parse_qs(urlsplit(url).query)
    response = deployment.browser.get(theirs.consent(url))

    assert response.status_code == 303
    assert asked["scope"] == ["openid profile email"]
    assert asked["redirect_uri"] == [f"{URL}/auth/oauth/google/callback"]
    assert asked["access_type"] == ["offline"]
    assert "prompt" not in asked  # it would ask for consent at every sign-in
    identity = deployment.identity("example.org")
    assert (identity.subject, identity.verified_email) == (BOB, "bob@example.org")
    assert identity.affiliations[0].groups == frozenset()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 303),
        ({"hd": "EXAMPLE.ORG"}, 303),
        ({"hd": "other.example"}, 403),
        # A private account with the company's address, and one that says the link asked for the company's.
        ({"hd": None}, 403),
        ({"hd": None, "email": "bob@gmail.com"}, 403),
        ({"hd": ["example.org"]}, 403),
        ({"hd": "example.org.evil.test"}, 403),
    ],
    ids=["its own", "in capitals", "another", "none", "private", "a list", "alike"],
)
def test_only_one_workspace(
    spec: ProviderSpec, theirs: Google, tmp_path: Path, changes: dict[str, object], status: int
) -> None:
    theirs.account = {name: value for name, value in {**theirs.account, **changes}.items() if value is not None}
    deployment = Deployment(tmp_path, replace(spec, admission=WORKSPACE))
    # The person can write hd into the link, or take it out.
    page = deployment.browser.get(theirs.consent(f"{deployment.begin()}&hd=example.org"))

    assert page.status_code == status
    assert deployment.browser.is_signed_in is (status == 303)


def test_a_private_account_is_in_no_tenant(spec: ProviderSpec, theirs: Google, tmp_path: Path) -> None:
    theirs.account = {"sub": "1", "email": "bob@example.org", "email_verified": True}
    deployment = Deployment(tmp_path, spec)
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.identity().verified_email is None


@pytest.mark.parametrize(("prompt", "status"), [("consent", 303), ("login", 303), ("select_account", 303)])
def test_a_prompt_that_google_does_not_know_is_not_passed_on(
    theirs: Google, tmp_path: Path, prompt: str, status: int
) -> None:
    deployment = Deployment(tmp_path, spec_of(theirs, tmp_path, OAUTH_PROMPT=prompt))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status


def test_sign_out_ends_here_for_there_is_nothing_there(spec: ProviderSpec, theirs: Google, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, spec)
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.leave() is None
    assert not deployment.browser.is_signed_in
