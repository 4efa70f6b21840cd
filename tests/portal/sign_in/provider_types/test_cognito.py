from typing import Any

import pytest

from portal.errors import CallbackRejected
from portal.rules.identity import NO_TENANT, Affiliation, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import UnusableOption
from portal.sign_in.provider_types.cognito import pool_of_token
from portal.sign_in.provider_types.sign_out import SignOutRequest
from tests.portal.sign_in.provider_types.reading import located, spec_at, without

POOL = "eu-west-2_Ab12Cd34E"
DOMAIN = "https://company.auth.eu-west-2.amazoncognito.com"
ISSUER = f"https://cognito-idp.eu-west-2.amazonaws.com/{POOL}"
SPEC = spec_at("aws-cognito", domain=DOMAIN, user_pool_id=POOL)

ERIN: dict[str, Any] = {
    "sub": "7c5b7e0a-1111-4222-8333-0123456789ab",
    "cognito:groups": ["ml-admins", f"{POOL}_Okta"],
    "email_verified": True,
    "iss": ISSUER,
    "cognito:username": "Okta_erin@example.com",
    "origin_jti": "o",
    "cognito:roles": ["arn:aws:iam::111122223333:role/ml"],
    "identities": [{"userId": "erin@example.com", "providerName": "Okta", "providerType": "SAML", "primary": "true"}],
    "aud": "7abc123clientid",
    "event_id": "e",
    "token_use": "id",
    "auth_time": 1795249870,
    "name": "Erin",
    "custom:department": "ml",
    "jti": "j",
    "email": "erin@example.com",
}
"""An ID token of somebody who comes by another provider."""


def read(**claims: object) -> Identity:
    return read_identity(VerifiedClaims({**ERIN, **claims}), spec=SPEC)


def test_who_somebody_is() -> None:
    identity = read()

    assert (identity.issuer, identity.subject) == (ISSUER, "7c5b7e0a-1111-4222-8333-0123456789ab")
    assert (identity.name, identity.verified_email) == ("Erin", "erin@example.com")
    assert identity.affiliations == (Affiliation(tenant=NO_TENANT, groups=frozenset({"ml-admins"})),)


def test_a_user_name_is_not_a_key() -> None:
    """It belongs to one pool; another pool may give it to another person."""
    assert read(**{"cognito:username": "somebody"}).id == read().id
    assert read(iss=f"{ISSUER}x").id != read().id


@pytest.mark.parametrize(
    ("said", "verified"),
    [
        (True, True),
        # Userinfo's way; bool("false") is True in Python.
        ("true", True),
        ("false", False),
        (False, False),
        ("True", False),
        ("TRUE", False),
        ("yes", False),
        ("1", False),
        (1, False),
        (["true"], False),
        ("", False),
        (None, False),
    ],
)
def test_the_address_is_verified_if_cognito_says_so_in_one_of_two_ways(
    said: object,
    verified: bool,  # noqa: FBT001 - one column of the table
) -> None:
    assert read(email_verified=said).email_verified is verified


def test_without_a_word_it_is_not() -> None:
    """As for people of another provider, unless the attribute is mapped."""
    assert read_identity(VerifiedClaims(without(ERIN, "email_verified")), spec=SPEC).verified_email is None


@pytest.mark.parametrize("email", [None, ["erin@example.com"], "erin", "a@b@c", "\u212ane@example.com"])
def test_the_text_true_verifies_no_address_there_is_not(email: object) -> None:
    assert read(email=email, email_verified="true").verified_email is None


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["ml-admins"], {"ml-admins"}),
        ("ml-admins", {"ml-admins"}),
        ([f"{POOL}_Okta", f"{POOL}_Google", f"{POOL}_"], set()),
        # Somebody made these, whatever they look like.
        (["eu-west-2_Other_Okta", POOL, "Okta"], {"eu-west-2_Other_Okta", POOL, "Okta"}),
        ([["ml-admins"], {"ml-admins": True}, 7, True, None, ""], set()),
        ("[ml-admins other]", {"[ml-admins other]"}),
        ({"ml-admins": True}, set()),
        (["ml-admins\n", "ml\u202e-admins", "x" * 1025], {"ml\u202e-admins"}),
        (None, set()),
    ],
)
def test_groups_are_those_that_somebody_gave(groups: object, expected: set[str]) -> None:
    assert read(**{"cognito:groups": groups}).affiliations[0].groups == expected


def test_what_a_trigger_adds_counts_beside_them() -> None:
    affiliation = read(groups=["research"], roles=["editor"], permissions=["p"]).affiliations[0]

    assert affiliation == Affiliation(
        groups=frozenset({"ml-admins", "research"}), roles=frozenset({"editor"}), permissions=frozenset({"p"})
    )


@pytest.mark.parametrize(
    "claims",
    [
        # People may write these of themselves where the app client lets them, which is how clients are made.
        {"custom:roles": ["admin"]},
        {"custom:groups": ["admins"]},
        {"custom:role": "admin"},
        {"cognito:roles": ["admin"]},
        {"cognito:preferred_role": "admin"},
        {"profile": "admin"},
        {"tenants": {"acme": {"roles": ["admin"]}}},
        {"identities": '[{"providerName":"Okta"}]'},
    ],
)
def test_attributes_and_roles_of_aws_give_nothing(claims: dict[str, object]) -> None:
    assert read(**claims).affiliations == read().affiliations


def test_however_many_groups_there_are_all_are_read() -> None:
    groups = [f"group-{number}" for number in range(600)]

    assert len(read(**{"cognito:groups": groups}).affiliations[0].groups) == 600


@pytest.mark.parametrize("use", ["access", "", None, True, ["id"]])
def test_a_token_for_another_purpose_is_rejected(use: object) -> None:
    with pytest.raises(CallbackRejected):
        read(token_use=use)


class TestWhereItIs:
    def test_people_sign_in_at_the_domain_and_tokens_are_of_the_pool(self) -> None:
        ends = SPEC.endpoints

        assert SPEC.issuer == ISSUER
        assert ends is not None
        assert (ends.authorize, ends.token) == (f"{DOMAIN}/oauth2/authorize", f"{DOMAIN}/oauth2/token")
        assert (ends.userinfo, ends.end_session) == (f"{DOMAIN}/oauth2/userInfo", f"{DOMAIN}/logout")
        assert ends.jwks == f"{ISSUER}/.well-known/jwks.json"

    @pytest.mark.parametrize("pool", ["us-gov-west-1_Ab12Cd34E", "ap-southeast-2_x", "us-east-1_Ab12Cd34E"])
    def test_the_region_is_the_pools(self, pool: str) -> None:
        place = located("aws-cognito", domain="https://sso.example.com", user_pool_id=pool)

        assert place.issuer == f"https://cognito-idp.{pool.partition('_')[0]}.amazonaws.com/{pool}"

    @pytest.mark.parametrize(
        ("options", "key"),
        [
            ({"user_pool_id": "Ab12Cd34E"}, "user_pool_id"),
            ({"user_pool_id": "eu-west-2"}, "user_pool_id"),
            ({"user_pool_id": ISSUER}, "user_pool_id"),
            ({"user_pool_id": "eu-west-2.evil.test/_x"}, "user_pool_id"),
            ({"user_pool_id": "eu-west-2_../x"}, "user_pool_id"),
            ({"user_pool_id": "us-east-1_Ab12Cd34E"}, "user_pool_id"),
            ({"user_pool_id": POOL, "issuer": ISSUER}, "issuer"),
            ({"user_pool_id": POOL, "domain": f"{DOMAIN}/login"}, "domain"),
        ],
    )
    def test_an_unusable_option_is_reported(self, options: dict[str, str], key: str) -> None:
        with pytest.raises(UnusableOption) as caught:
            located("aws-cognito", **{"domain": DOMAIN, **options})

        assert caught.value.key == key


def test_it_signs_out_in_its_own_words() -> None:
    sign_out = PROVIDER_TYPES["aws-cognito"].sign_out
    leaving = SignOutRequest(
        end_session=f"{DOMAIN}/logout",
        id_token_hint="hint",
        post_logout_redirect_uri="https://portal.example.com/signed-out",
        state="s",
    )

    assert sign_out is not None
    assert sign_out(SPEC, leaving) == (
        f"{DOMAIN}/logout?client_id=portal&logout_uri=https%3A%2F%2Fportal.example.com%2Fsigned-out"
    )


def test_without_an_address_it_signs_out_nowhere() -> None:
    sign_out = PROVIDER_TYPES["aws-cognito"].sign_out
    leaving = SignOutRequest(end_session=None, id_token_hint=None, post_logout_redirect_uri="https://x.test", state="s")

    assert sign_out is not None
    assert sign_out(SPEC, leaving) is None


def test_no_scope_is_asked_for_to_refresh() -> None:
    refresh = PROVIDER_TYPES["aws-cognito"].refresh

    assert (refresh.scopes, refresh.params) == ((), ())


UNPINNED = spec_at("aws-cognito", domain=DOMAIN)
CUSTOM = spec_at("aws-cognito", domain="https://login.example.com")
EMULATED = spec_at("aws-cognito", domain="http://127.0.0.1:9229")


@pytest.mark.parametrize(
    ("spec", "issuer"),
    [
        (UNPINNED, ISSUER),
        (UNPINNED, "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_Other"),
        (CUSTOM, ISSUER),
        (CUSTOM, "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_Ab12Cd34E"),
        (CUSTOM, "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Ab12Cd34E"),
        (EMULATED, "http://127.0.0.1:9229/local_4XuzIs7P"),
    ],
)
def test_the_pool_of_a_domain_shows_in_its_tokens(spec: ProviderSpec, issuer: str) -> None:
    named = pool_of_token(spec, issuer)

    assert named is not None
    assert (named.issuer, named.issuer_of_token) == (issuer, False)
    assert named.endpoints is not None
    assert named.endpoints.jwks == f"{issuer}/.well-known/jwks.json"


@pytest.mark.parametrize("spec", [UNPINNED, CUSTOM, EMULATED], ids=["hosted", "custom", "emulated"])
@pytest.mark.parametrize(
    "issuer",
    [
        None,
        7,
        [ISSUER],
        "",
        "https://evil.test",
        "https://evil.test/eu-west-2_Ab12Cd34E",
        f"{ISSUER}/",
        f"{ISSUER}?x",
        f"{ISSUER}#x",
        f"{ISSUER}\n",
        f" {ISSUER}",
        f"{ISSUER}/../x",
        ISSUER.replace("https", "http"),
        ISSUER.upper(),
        ISSUER.replace("amazonaws.com", "amazonaws.com.evil.test"),
        ISSUER.replace("amazonaws.com", "amazonaws.evil"),
        ISSUER.replace("amazonaws.com", "evil.test#amazonaws.com"),
        ISSUER.replace("https://", "https://evil.test@"),
        ISSUER.replace("amazonaws.com", "amazonaws.com:8443"),
        # The region of the host and that of the pool must be one.
        f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}",
        f"https://cognito-idp.evil.test/x.amazonaws.com/{POOL}",
        "https://cognito-idp.eu-west-2.amazonaws.com/",
        "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_",
        "http://127.0.0.1:9230/local_x",
        "http://127.0.0.1:9229",
        "http://127.0.0.1:9229/",
        "http://127.0.0.1:9229/../x",
        "http://127.0.0.1:9229@evil.test/x",
        "http://127.0.0.1:92291/x",
    ],
)
def test_nothing_else_is_a_pool(spec: ProviderSpec, issuer: object) -> None:
    assert pool_of_token(spec, issuer) is None


def test_a_pool_of_another_region_is_not_the_hosted_domains() -> None:
    elsewhere = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab12Cd34E"

    assert pool_of_token(UNPINNED, elsewhere) is None
    assert pool_of_token(CUSTOM, elsewhere) is not None


def test_what_an_emulator_may_be_called_is_none_of_a_public_domains() -> None:
    assert pool_of_token(CUSTOM, "https://login.example.com/local_x") is None
    assert pool_of_token(CUSTOM, "http://127.0.0.1:9229/local_x") is None


def test_the_automatic_group_has_the_pool_of_the_token() -> None:
    identity = read_identity(VerifiedClaims(ERIN), spec=UNPINNED)

    assert identity.affiliations[0].groups == {"ml-admins"}
    assert identity.issuer == ISSUER


def test_a_pool_in_china_is_in_a_domain_of_its_own() -> None:
    place = located("aws-cognito", domain="https://login.example.com", user_pool_id="cn-north-1_Ab12Cd34E")

    assert place.issuer == "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Ab12Cd34E"
