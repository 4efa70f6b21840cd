from typing import Any

import pytest

from portal.rules.identity import NO_TENANT, Affiliation, Identity, VerifiedClaims
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import UnusableOption
from tests.portal.sign_in.provider_types.reading import located, spec_at, without

SPEC = spec_at("okta", domain="https://example.okta.com")

ALICE: dict[str, Any] = {
    "sub": "00u1abcdEFGH2ijkl3m4",
    "name": "Alice Doe",
    "given_name": "Alice",
    "family_name": "Doe",
    "locale": "en-US",
    "zoneinfo": "America/Los_Angeles",
    "preferred_username": "alice@example.com",
    "email": "alice@example.com",
    "email_verified": True,
    "updated_at": 1795200000,
    "groups": ["Everyone", "ML-Admins"],
    "ver": 1,
    "iss": "https://example.okta.com/oauth2/default",
    "aud": "0oa1clientid",
    "jti": "ID.x",
    "amr": ["pwd", "mfa"],
    "idp": "00o1idp",
    "auth_time": 1795249800,
}
"""ID token and userinfo together, as the API reference shows them."""


def read(**claims: object) -> Identity:
    return read_identity(VerifiedClaims({**ALICE, **claims}), spec=SPEC)


def test_who_somebody_is() -> None:
    identity = read()

    assert (identity.issuer, identity.subject) == ("https://example.okta.com/oauth2/default", "00u1abcdEFGH2ijkl3m4")
    assert (identity.name, identity.verified_email) == ("Alice Doe", "alice@example.com")
    assert identity.affiliations == (Affiliation(tenant=NO_TENANT, groups=frozenset({"ML-Admins"})),)


def test_one_person_at_two_servers_of_an_org_is_two() -> None:
    """Each server admits people by its own rules; accounts of one are not accounts of another."""
    assert read(iss="https://example.okta.com").id != read().id


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["Everyone"], set()),
        ("Everyone", set()),
        # Names of their own, which somebody made.
        (["everyone", "Everyone "], {"everyone", "Everyone "}),
        ("ML-Admins", {"ML-Admins"}),
        ("ML-Admins,Other", {"ML-Admins,Other"}),
        ([["ML-Admins"], {"name": "ML-Admins"}, 7, True, None, ""], set()),
        ({"ML-Admins": True}, set()),
        (["ML-Admins\n", "ML\u202e-Admins", "x" * 1025], {"ML\u202e-Admins"}),
        (None, set()),
        (True, set()),
    ],
)
def test_groups_are_names_without_the_group_of_all(groups: object, expected: set[str]) -> None:
    assert read(groups=groups).affiliations[0].groups == expected


def test_however_many_groups_there_are_all_are_read() -> None:
    assert len(read(groups=[f"group-{number}" for number in range(600)]).affiliations[0].groups) == 600


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({}, "alice@example.com"),
        ({"email_verified": False}, None),
        ({"email_verified": "true"}, None),
        ({"email_verified": 1}, None),
        ({"email_verified": None}, None),
        ({"email": ["alice@example.com"]}, None),
        ({"email": "a@b@example.com"}, None),
        ({"email": "alice@ex\u212aample.com"}, None),
    ],
)
def test_the_address_is_verified_if_okta_says_so(claims: dict[str, Any], verified: str | None) -> None:
    assert read(**claims).verified_email == verified


def test_a_user_name_that_looks_like_an_address_is_none() -> None:
    identity = read_identity(VerifiedClaims(without(ALICE, "email")), spec=SPEC)

    assert identity.email is None


def test_roles_come_from_a_custom_claim() -> None:
    identity = read(roles=["editor"], tenants={"acme": {"roles": ["admin"]}})

    assert identity.affiliations[0].roles == {"editor"}
    assert identity.tenants == (NO_TENANT,)


class TestWhereItIs:
    @pytest.mark.parametrize(
        ("options", "issuer", "scopes"),
        [
            ({}, "https://example.okta.com/oauth2/default", ()),
            ({"authorization_server_id": "default"}, "https://example.okta.com/oauth2/default", ()),
            ({"authorization_server_id": "false"}, "https://example.okta.com", ("groups",)),
            ({"authorization_server_id": "False"}, "https://example.okta.com", ("groups",)),
            ({"authorization_server_id": "aus1a2b3"}, "https://example.okta.com/oauth2/aus1a2b3", ()),
        ],
    )
    def test_each_server_is_an_issuer(self, options: dict[str, str], issuer: str, scopes: tuple[str, ...]) -> None:
        place = located("okta", domain="https://example.okta.com", **options)

        assert (place.issuer, place.discovery, place.endpoints, place.scopes) == (issuer, None, None, scopes)

    def test_a_custom_domain_may_serve_an_issuer_of_the_org(self) -> None:
        issuer = "https://example.okta.com/oauth2/aus1"
        place = located("okta", domain="https://id.example.com", authorization_server_id="aus1", issuer=issuer)

        assert place.issuer == issuer
        assert place.discovery == "https://id.example.com/oauth2/aus1/.well-known/openid-configuration"

    @pytest.mark.parametrize(
        ("options", "key"),
        [
            ({"domain": "https://example-admin.okta.com"}, "domain"),
            ({"domain": "https://example-admin.oktapreview.com"}, "domain"),
            ({"domain": "https://example.okta.com/oauth2/default"}, "domain"),
            ({"authorization_server_id": "/oauth2/default"}, "authorization_server_id"),
            ({"authorization_server_id": "https://example.okta.com/oauth2/aus1"}, "authorization_server_id"),
            ({"authorization_server_id": "../evil"}, "authorization_server_id"),
            ({"authorization_server_id": "a" * 65}, "authorization_server_id"),
        ],
    )
    def test_an_unusable_option_is_reported(self, options: dict[str, str], key: str) -> None:
        with pytest.raises(UnusableOption) as caught:
            located("okta", **{"domain": "https://example.okta.com", **options})

        assert caught.value.key == key

    def test_a_custom_domain_may_be_called_admin(self) -> None:
        assert located("okta", domain="https://sso-admin.example.com").issuer.startswith("https://sso-admin.")


def test_it_has_no_way_to_choose_an_account() -> None:
    assert "select_account" not in PROVIDER_TYPES["okta"].prompts
