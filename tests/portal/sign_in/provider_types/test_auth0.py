from typing import Any

import pytest

from portal.errors import CallbackRejected
from portal.rules.identity import NO_TENANT, Affiliation, Identity, VerifiedClaims
from portal.rules.policy import RoleRule, standing_in
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import UnusableOption
from portal.sign_in.provider_types.sign_out import SignOutRequest
from tests.portal.sign_in.provider_types.reading import located, spec_at

NAMESPACE = "https://portal.example.com"
ROLES = f"{NAMESPACE}/roles"
DOMAIN = "https://login.example.com"
ACME = "org_9ybsU1dN2dKfDkBi"

OTTO: dict[str, Any] = {
    ROLES: ["admin", "editor"],
    f"{NAMESPACE}/tenant": "acme",
    "given_name": "Otto",
    "family_name": "Null",
    "nickname": "otto",
    "name": "Otto Null",
    "picture": "https://s.gravatar.com/avatar/x",
    "updated_at": "2026-11-20T10:00:00.000Z",
    "email": "otto@example.com",
    "email_verified": True,
    "iss": "https://login.example.com/",
    "aud": "a1B2c3D4",
    "sub": "auth0|653a1f0c9e",
    "sid": "s3ss10n",
    "auth_time": 1795249870,
}
"""An ID token at a custom domain, with what an Action adds."""


def read(**claims: object) -> Identity:
    return read_with({"namespace": NAMESPACE}, claims)


def read_with(options: dict[str, str], claims: dict[str, object]) -> Identity:
    spec = spec_at("auth0", domain=DOMAIN, **options)
    return read_identity(VerifiedClaims({**OTTO, **claims}), spec=spec)


def test_who_somebody_is() -> None:
    identity = read()

    assert (identity.issuer, identity.subject) == ("https://login.example.com/", "auth0|653a1f0c9e")
    assert (identity.name, identity.verified_email) == ("Otto Null", "otto@example.com")
    assert identity.affiliations == (Affiliation(tenant="acme", roles=frozenset({"admin", "editor"})),)


def test_one_person_by_two_connections_is_two() -> None:
    """An account with the same address at another connection is another person."""
    assert read(sub="google-oauth2|110169484474386276334").id != read().id


@pytest.mark.parametrize("namespace", [NAMESPACE, f"{NAMESPACE}/"])
def test_the_namespace_may_end_in_a_slash(namespace: str) -> None:
    assert read_with({"namespace": namespace}, {}).affiliations[0].roles == {"admin", "editor"}


@pytest.mark.parametrize(
    "claims",
    [
        # What an Action says for another application is nothing here.
        {"https://other.example.com/roles": ["owner"]},
        {"https://portal.example.com.evil.test/roles": ["owner"]},
        {"https://portal.example.com//roles": ["owner"]},
        {"https://PORTAL.example.com/roles": ["owner"]},
        {"http://portal.example.com/roles": ["owner"]},
        {NAMESPACE: {"roles": ["owner"]}},
        # Attributes of a profile stand at the top for some applications, and connections choose them.
        {"roles": ["owner"]},
        {"app_metadata": {"roles": ["owner"]}},
        {"user_metadata": {"roles": ["owner"]}},
    ],
)
def test_where_a_namespace_is_named_nothing_else_counts(claims: dict[str, object]) -> None:
    assert read(**claims).affiliations[0].roles == {"admin", "editor"}


def test_where_none_is_named_only_the_top_counts() -> None:
    identity = read_with({}, {"roles": ["viewer"], "tenant": "x"})

    assert identity.affiliations == (Affiliation(tenant=NO_TENANT, roles=frozenset({"viewer"})),)


def test_a_rule_can_name_a_namespaced_claim_all_the_same() -> None:
    rule = RoleRule(role="admin", when=f"""contains("{ROLES}", 'admin')""")
    standing = standing_in(read_with({}, {}), tenant=NO_TENANT, rules=[rule])

    assert standing is not None
    assert standing.roles == {"admin"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("admin", {"admin"}),
        ("admin,editor", {"admin,editor"}),
        ([["admin"], {"admin": True}, 7, True, None, "", " "], set()),
        ({"admin": True}, set()),
        (["admin\n", "ad\u202emin", "x" * 1025], {"ad\u202emin"}),
        (None, set()),
        (True, set()),
    ],
)
def test_roles_of_another_shape_are_ignored(said: object, expected: set[str]) -> None:
    assert read(**{ROLES: said}).affiliations[0].roles == expected


def test_groups_and_permissions_stand_beside_roles() -> None:
    (affiliation,) = read(**{f"{NAMESPACE}/groups": ["ml"], f"{NAMESPACE}/permissions": ["read:x"]}).affiliations

    assert affiliation.groups == {"ml"}
    assert affiliation.permissions == {"read:x"}


def test_however_many_roles_there_are_all_are_read() -> None:
    assert len(read(**{ROLES: [f"role-{number}" for number in range(600)]}).affiliations[0].roles) == 600


@pytest.mark.parametrize(
    ("claims", "tenant", "name", "organisations"),
    [
        ({"org_id": ACME, "org_name": "acme-corp"}, ACME, "acme-corp", {ACME, "acme-corp"}),
        ({"org_id": ACME}, ACME, None, {ACME}),
        # A name alone can be given up and taken by somebody else.
        ({"org_name": "acme-corp"}, "acme", None, set()),
        # A name that poses as an id.
        ({"org_id": ACME, "org_name": "org_other"}, ACME, None, {ACME}),
        ({"org_id": [ACME]}, "acme", None, set()),
        ({"org_id": ""}, "acme", None, set()),
        ({"org_id": f"{ACME}\n"}, "acme", None, set()),
        ({f"{NAMESPACE}/tenant": ["acme"]}, NO_TENANT, None, set()),
        ({f"{NAMESPACE}/tenant": ACME}, ACME, None, set()),
    ],
)
def test_an_organisation_is_the_tenant(
    claims: dict[str, object], tenant: str, name: str | None, organisations: set[str]
) -> None:
    identity = read(**claims)
    organisations_of = PROVIDER_TYPES["auth0"].organisations

    assert organisations_of is not None
    assert (identity.tenants, identity.affiliations[0].tenant_name) == ((tenant,), name)
    assert organisations_of(identity) == organisations


@pytest.mark.parametrize(
    ("wanted", "claims", "admitted"),
    [
        (ACME, {"org_id": ACME}, True),
        (ACME, {"org_id": ACME.lower()}, False),
        (ACME, {"org_id": "org_other"}, False),
        (ACME, {"org_id": "org_other", "org_name": ACME}, False),
        (ACME, {}, False),
        (ACME, {"org_id": [ACME]}, False),
        ("Acme-Corp", {"org_id": ACME, "org_name": "acme-corp"}, True),
        ("acme-corp", {"org_id": ACME, "org_name": "other"}, False),
        ("acme-corp", {"org_name": "acme-corp"}, False),
        ("acme-corp", {"org_id": ACME}, False),
    ],
)
def test_only_the_configured_organisation_signs_in(
    wanted: str,
    claims: dict[str, object],
    admitted: bool,  # noqa: FBT001 - one column of the table
) -> None:
    if admitted:
        assert read_with({"organization": wanted}, claims).tenants == (ACME,)
    else:
        with pytest.raises(CallbackRejected):
            read_with({"organization": wanted}, claims)


@pytest.mark.parametrize("said", [False, "true", "false", 1, None])
def test_an_address_that_is_not_verified_opens_nothing(said: object) -> None:
    assert read(email_verified=said).verified_email is None


class TestWhereItIs:
    def test_the_issuer_ends_in_a_slash(self) -> None:
        assert located("auth0", domain="https://company.eu.auth0.com").issuer == "https://company.eu.auth0.com/"

    @pytest.mark.parametrize(
        ("options", "audience"),
        [
            ({"domain": "https://company.eu.auth0.com"}, "https://company.eu.auth0.com/userinfo"),
            (
                {"domain": DOMAIN, "original_domain": "https://company.eu.auth0.com"},
                "https://company.eu.auth0.com/userinfo",
            ),
            ({"domain": DOMAIN}, None),
            ({"domain": "https://auth0.com.evil.test"}, None),
        ],
    )
    def test_the_access_token_is_for_userinfo(self, options: dict[str, str], audience: str | None) -> None:
        assert dict(located("auth0", **options).authorize_params).get("audience") == audience

    @pytest.mark.parametrize(
        ("options", "key"),
        [
            ({"domain": "https://login.example.com/authorize"}, "domain"),
            ({"original_domain": "https://company.auth0.com/userinfo"}, "original_domain"),
            ({"namespace": ROLES}, "namespace"),
            ({"namespace": f"{ROLES}/"}, "namespace"),
            ({"organization": "acme corp"}, "organization"),
            ({"organization": "https://login.example.com"}, "organization"),
        ],
    )
    def test_an_unusable_option_is_reported(self, options: dict[str, str], key: str) -> None:
        with pytest.raises(UnusableOption) as caught:
            located("auth0", **{"domain": DOMAIN, **options})

        assert caught.value.key == key


def test_the_older_sign_out_brings_the_state_back_in_the_address() -> None:
    sign_out = PROVIDER_TYPES["auth0"].sign_out
    leaving = SignOutRequest(
        end_session=None,
        id_token_hint="hint",
        post_logout_redirect_uri="https://portal.example.com/signed-out",
        state="s&t",
    )

    assert sign_out is not None
    assert sign_out(spec_at("auth0", domain=DOMAIN), leaving) == (
        "https://login.example.com/v2/logout?client_id=portal"
        "&returnTo=https%3A%2F%2Fportal.example.com%2Fsigned-out%3Fstate%3Ds%2526t"
    )
