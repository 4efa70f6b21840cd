"""The whole sign-in at Amazon Cognito: from variables to a sign-in, at an emulation with Cognito's quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.settings import Admission, ProviderSpec
from portal.sign_in.providers.diagnostics import limitations_of
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.cognito import POOL, Cognito
from tests.provider.emulations.serving import as_json, serving
from tests.provider.signing import OTHER_RSA


@pytest.fixture
def theirs() -> Iterator[Cognito]:
    with serving(Cognito) as emulation:
        yield emulation


@pytest.fixture
def spec(theirs: Cognito, tmp_path: Path) -> ProviderSpec:
    """Return the provider that Chainlit's variables configure, with the pool's address from the file."""
    text = f"""
[[providers]]
id = "aws-cognito"
type = "aws-cognito"
domain = "{theirs.url}"
issuer = "{theirs.issuer}"
client_id_env = "OAUTH_COGNITO_CLIENT_ID"
client_secret_env = "OAUTH_COGNITO_CLIENT_SECRET"
"""
    environ = {"OAUTH_COGNITO_CLIENT_ID": theirs.CLIENT_ID, "OAUTH_COGNITO_CLIENT_SECRET": theirs.CLIENT_SECRET}
    return configured(tmp_path, environ, text)


@pytest.fixture
def deployment(spec: ProviderSpec, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, spec)


def test_chainlits_variables_and_the_pools_id_say_where_everything_is(theirs: Cognito, tmp_path: Path) -> None:
    environ = {
        "OAUTH_COGNITO_CLIENT_ID": theirs.CLIENT_ID,
        "OAUTH_COGNITO_CLIENT_SECRET": theirs.CLIENT_SECRET,
        "OAUTH_COGNITO_DOMAIN": "company.auth.eu-west-2.amazoncognito.com",
        "OAUTH_COGNITO_USER_POOL_ID": POOL,
        "OAUTH_COGNITO_SCOPE": "openid email",
    }
    spec = configured(tmp_path, environ)

    assert spec.issuer == f"https://cognito-idp.eu-west-2.amazonaws.com/{POOL}"
    assert spec.scopes == ("openid", "email")
    assert spec.endpoints is not None
    assert spec.endpoints.authorize == "https://company.auth.eu-west-2.amazoncognito.com/oauth2/authorize"
    assert spec.endpoints.jwks == f"https://cognito-idp.eu-west-2.amazonaws.com/{POOL}/.well-known/jwks.json"


def test_a_person_signs_in_at_the_domain_with_a_token_of_the_pool(deployment: Deployment, theirs: Cognito) -> None:
    url = deployment.begin()

    assert deployment.browser.get(theirs.consent(url)).status_code == 303
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{URL}/auth/oauth/aws-cognito/callback"]
    identity = deployment.identity()
    assert (identity.issuer, identity.subject) == (theirs.issuer, "7c5b7e0a-1111-4222-8333-0123456789ab")
    assert identity.verified_email == "erin@example.com"
    assert identity.affiliations[0].groups == {"ml-admins"}
    assert sorted(theirs.paths()) == [f"/{POOL}/.well-known/jwks.json", "/oauth2/token", "/oauth2/userInfo"]


class TestWithChainlitsThreeVariables:
    """Only the ID token from the domain names the user pool."""

    @pytest.fixture
    def deployment(self, theirs: Cognito, tmp_path: Path) -> Deployment:
        environ = {
            "OAUTH_COGNITO_CLIENT_ID": theirs.CLIENT_ID,
            "OAUTH_COGNITO_CLIENT_SECRET": theirs.CLIENT_SECRET,
            "OAUTH_COGNITO_DOMAIN": theirs.url,
        }
        return Deployment(tmp_path, configured(tmp_path, environ))

    def test_a_person_signs_in_with_their_identity_of_the_pool(self, deployment: Deployment, theirs: Cognito) -> None:
        assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 303
        (sign_in,) = deployment.portal.services.sign_ins.of_tenant("", issuer=theirs.issuer, now=deployment.portal.now)

        assert (sign_in.identity.issuer, sign_in.identity.subject) == (
            theirs.issuer,
            "7c5b7e0a-1111-4222-8333-0123456789ab",
        )
        assert sign_in.identity.affiliations[0].groups == {"ml-admins"}
        assert sorted(theirs.paths()) == [f"/{POOL}/.well-known/jwks.json", "/oauth2/token", "/oauth2/userInfo"]

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://evil.test/eu-west-2_Ab12Cd34E"},
            {"iss": f"https://cognito-idp.eu-west-2.amazonaws.com.evil.test/{POOL}"},
            {"iss": None},
            {"iss": 7},
            {"aud": "another-client"},
            {"nonce": "another"},
            {"token_use": "access"},
        ],
    )
    def test_a_token_without_a_person_or_for_others_signs_no_one_in(
        self, deployment: Deployment, theirs: Cognito, claims: dict[str, Any]
    ) -> None:
        theirs.id_token |= claims

        assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 400
        assert not deployment.browser.is_signed_in

    def test_the_pools_keys_must_have_signed_it(self, deployment: Deployment, theirs: Cognito) -> None:
        theirs.instead[f"/{POOL}/.well-known/jwks.json"] = as_json(
            {"keys": [{**OTHER_RSA.as_dict(private=False), "kid": "rsa"}]}
        )

        assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 400
        assert not deployment.browser.is_signed_in

    def test_the_checks_before_a_sign_in_run(self, deployment: Deployment) -> None:
        provider = deployment.portal.providers["aws-cognito"]
        diagnostics = provider.diagnostics(redirect_uri=f"{URL}/auth/oauth/aws-cognito/callback")

        assert (diagnostics.problem, diagnostics.client_problem) == (None, None)
        assert diagnostics.endpoints is not None
        assert diagnostics.endpoints.jwks is None
        [caution] = [one for one in limitations_of(deployment.spec, diagnostics) if "user pool" in one.what]
        assert not caution.blocks

    def test_signing_out_goes_on_at_the_domain(self, deployment: Deployment, theirs: Cognito) -> None:
        deployment.browser.get(theirs.consent(deployment.begin()))
        left = deployment.leave()

        assert left is not None
        assert left.startswith(f"{theirs.url}/logout?")


def test_a_refresh_token_needs_no_scope(deployment: Deployment, theirs: Cognito, tmp_path: Path) -> None:
    """And asking for one is an error."""
    deployment = Deployment(tmp_path, replace(deployment.spec, scopes=("openid", "offline_access")))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 500


@pytest.mark.parametrize("iss", ["", f"/eu-west-2_{'X' * 9}"])
def test_tokens_of_another_pool_sign_no_one_in(deployment: Deployment, theirs: Cognito, iss: str) -> None:
    theirs.issuer = f"{theirs.url}{iss}"

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 400
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    "claims",
    [
        {"token_use": "access"},
        {"aud": None, "client_id": "portal", "token_use": "access"},
        {"nonce": None},
        {"nonce": "another"},
    ],
    ids=["access token", "access token without audience", "no nonce", "another nonce"],
)
def test_what_is_no_id_token_of_this_attempt_signs_nobody_in(
    deployment: Deployment, theirs: Cognito, claims: dict[str, Any]
) -> None:
    theirs.id_token |= claims

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 400
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("in_token", "in_userinfo", "verified"),
    [
        (True, "true", True),
        (True, "false", True),
        (False, "true", False),
        (None, "true", True),
        (None, "false", False),
        (None, None, False),
    ],
)
def test_the_id_token_has_the_last_word_on_the_address(
    deployment: Deployment,
    theirs: Cognito,
    in_token: object,
    in_userinfo: object,
    verified: bool,  # noqa: FBT001 - one column of the table
) -> None:
    theirs.id_token["email_verified"] = in_token
    theirs.userinfo["email_verified"] = in_userinfo
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.identity().email_verified is verified


def test_signing_out_is_cognitos_own_way(deployment: Deployment, theirs: Cognito) -> None:
    deployment.browser.get(theirs.consent(deployment.begin()))
    left = deployment.leave()

    assert left is not None
    assert parse_qs(urlsplit(left).query) == {"client_id": ["portal"], "logout_uri": [f"{URL}/signed-out"]}
    back = theirs.sign_out(left)
    assert back == f"{URL}/signed-out"
    assert "You are signed out" in deployment.browser.get(back).text
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("admission", "status"),
    [
        (Admission(groups=frozenset({"ml-admins"})), 303),
        # Everybody of the other provider is in there; nobody put them there.
        (Admission(groups=frozenset({f"{POOL}_Okta"})), 403),
        (Admission(domains=frozenset({"example.com"})), 303),
        (Admission(domains=frozenset({"example.org"})), 403),
    ],
    ids=["group", "group of a provider", "domain", "another domain"],
)
def test_who_may_come_in(
    theirs: Cognito, spec: ProviderSpec, tmp_path: Path, admission: Admission, status: int
) -> None:
    deployment = Deployment(tmp_path, replace(spec, admission=admission))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status
    assert deployment.browser.is_signed_in is (status == 303)
