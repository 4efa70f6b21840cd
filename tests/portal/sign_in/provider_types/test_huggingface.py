"""Hugging Face's userinfo, as huggingface.js and huggingface_hub read it, and what must not follow from it."""

import json
from typing import Any

import pytest

from portal.errors import ClaimsTooLarge
from portal.rules.identity import NO_TENANT, Affiliation, Identity, VerifiedClaims
from portal.rules.policy import claims_of_tenant
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import UnusableOption
from tests.portal.sign_in.provider_types.reading import located, spec_at, without

SPEC = spec_at("huggingface")
OF_TENANTS = spec_at("huggingface", organisations_as="tenants")
ACME_ID, BETA_ID = "5e67bdd61009063689407479", "5e67bdd61009063689407480"

ACME: dict[str, Any] = {
    "sub": ACME_ID,
    "name": "Acme ML",
    "preferred_username": "acme-ml",
    "picture": "https://cdn-avatars.huggingface.co/y.png",
    "isEnterprise": True,
    "plan": "enterprise",
    "canPay": True,
    "roleInOrg": "admin",
    "pendingSSO": False,
    "missingMFA": False,
    "securityRestrictions": [],
    "resourceGroups": [{"sub": "65f0aa", "name": "Vision Team", "role": "write"}],
}
BETA: dict[str, Any] = {"sub": BETA_ID, "name": "Beta", "preferred_username": "beta"}
HUGO: dict[str, Any] = {
    "sub": "62ce7c39a1b2c3d4e5f60718",
    "name": "Hugo Face",
    "preferred_username": "hugo",
    "profile": "https://huggingface.co/hugo",
    "picture": "https://cdn-avatars.huggingface.co/x.png",
    "website": "",
    "email": "hugo@example.com",
    "email_verified": True,
    "isPro": True,
    "orgs": [ACME, BETA],
}


def read(**claims: object) -> Identity:
    return read_identity(VerifiedClaims({**HUGO, **claims}), spec=SPEC)


def as_tenants(**claims: object) -> Identity:
    return read_identity(VerifiedClaims({**HUGO, **claims}), spec=OF_TENANTS)


def groups(*orgs: object) -> frozenset[str]:
    return read(orgs=list(orgs)).affiliations[0].groups


def organisations(identity: Identity) -> frozenset[str]:
    of = PROVIDER_TYPES["huggingface"].organisations
    assert of is not None
    return of(identity)


def test_who_it_is_and_where_they_belong() -> None:
    identity = read()

    assert (identity.issuer, identity.subject) == ("https://huggingface.co", "62ce7c39a1b2c3d4e5f60718")
    assert identity.verified_email == "hugo@example.com"
    assert identity.affiliations == (
        Affiliation(
            groups=frozenset(
                {"acme-ml", f"org:{ACME_ID}", "acme-ml/Vision Team", f"org:{ACME_ID}/65f0aa", "beta", f"org:{BETA_ID}"}
            ),
            roles=frozenset({"acme-ml:admin"}),
        ),
    )
    assert organisations(identity) == {"acme-ml", f"org:{ACME_ID}", "beta", f"org:{BETA_ID}"}


def test_a_name_is_not_an_account() -> None:
    assert read(preferred_username="hugo2").id == read().id


@pytest.mark.parametrize(
    "restriction",
    [
        {"securityRestrictions": ["sso"]},
        {"securityRestrictions": ["ip", "mfa"]},
        {"securityRestrictions": ["something newer"]},
        {"securityRestrictions": "sso"},
        {"securityRestrictions": {}},
        {"securityRestrictions": False},
        {"pendingSSO": True},
        {"pendingSSO": "false"},
        {"pendingSSO": 0},
        {"missingMFA": True},
        {"missingMFA": "true"},
    ],
    ids=str,
)
def test_a_membership_with_an_unmet_condition_is_ignored(restriction: dict[str, object]) -> None:
    identity = read(orgs=[{**ACME, **restriction}])

    assert identity.affiliations == (Affiliation(),)
    assert organisations(identity) == frozenset()
    assert "acme-ml" not in json.dumps(dict(identity.claims))
    assert as_tenants(orgs=[{**ACME, **restriction}]).tenants == (NO_TENANT,)


@pytest.mark.parametrize(
    "nothing", [{"securityRestrictions": None}, {"pendingSSO": None}, {"missingMFA": None}], ids=str
)
def test_what_is_not_said_restricts_nothing(nothing: dict[str, object]) -> None:
    assert "acme-ml" in groups({**ACME, **nothing})


def test_of_two_entries_the_stricter_counts() -> None:
    assert groups(ACME, {**ACME, "pendingSSO": True}) == frozenset()
    assert groups({**ACME, "pendingSSO": True}, ACME) == frozenset()


@pytest.mark.parametrize(
    ("orgs", "expected"),
    [
        (None, set()),
        ({}, set()),
        ({"acme-ml": ACME}, set()),
        ("acme-ml", set()),
        (["acme-ml", 7, None, ["acme-ml"]], set()),
        ([without(ACME, "sub")], set()),
        ([{**BETA, "sub": 7}], set()),
        ([{**BETA, "sub": "a/b"}], set()),
        ([{**BETA, "sub": "x" * 65}], set()),
        # A name that could pass for an id, or for what is within another organisation, is none.
        ([{**BETA, "preferred_username": f"org:{ACME_ID}"}], {f"org:{BETA_ID}"}),
        ([{**BETA, "preferred_username": "acme-ml/Vision Team"}], {f"org:{BETA_ID}"}),
        ([{**BETA, "preferred_username": "acme-ml\n"}], {f"org:{BETA_ID}"}),
        ([{**BETA, "preferred_username": ["acme-ml"]}], {f"org:{BETA_ID}"}),
        ([{**BETA, "preferred_username": "x" * 97}], {f"org:{BETA_ID}"}),
        ([{**BETA, "resourceGroups": "x"}], {"beta", f"org:{BETA_ID}"}),
        (
            [{**BETA, "resourceGroups": [7, {}, {"name": "a\nb", "sub": "../x"}, {"name": ["x"], "sub": "65"}]}],
            {"beta", f"org:{BETA_ID}", f"org:{BETA_ID}/65"},
        ),
    ],
)
def test_what_has_another_shape_is_nothing(orgs: object, expected: set[str]) -> None:
    assert read(orgs=orgs).affiliations[0].groups == expected


@pytest.mark.parametrize("role", [None, 7, True, ["admin"], "", "a\nb"])
def test_a_role_is_there_or_not(role: object) -> None:
    assert read(orgs=[{**ACME, "roleInOrg": role}]).affiliations[0].roles == frozenset()


def test_roles_in_the_claims_do_not_count() -> None:
    identity = read(roles=["admin"], groups=["acme-ml"], tenants={"T1": {"roles": ["admin"]}}, orgs=[])

    assert identity.affiliations == (Affiliation(),)
    assert "tenants" not in identity.claims


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"email_verified": True}, "hugo@example.com"),
        ({"email_verified": "true"}, None),
        ({"email_verified": "false"}, None),
        ({"email_verified": None}, None),
        # Without the scope "email", which a Space does not ask for by itself.
        ({"email": None, "email_verified": None}, None),
    ],
    ids=["true", "text true", "text false", "null", "no scope"],
)
def test_an_address_is_vouched_for_by_true_alone(claims: dict[str, Any], verified: str | None) -> None:
    assert read(**claims).verified_email == verified


class TestAsTenants:
    def test_each_has_its_own_roles(self) -> None:
        identity = as_tenants(orgs=[BETA, ACME])

        assert identity.tenants == (ACME_ID, BETA_ID)
        acme = identity.affiliation(ACME_ID)
        assert acme is not None
        assert (acme.tenant_name, acme.roles) == ("Acme ML", frozenset({"admin"}))
        assert identity.affiliation(BETA_ID) == Affiliation(
            tenant=BETA_ID, tenant_name="Beta", groups=frozenset({"beta", f"org:{BETA_ID}"})
        )
        assert organisations(identity) == {"acme-ml", f"org:{ACME_ID}", "beta", f"org:{BETA_ID}"}

    def test_a_rule_in_one_sees_nothing_of_another(self) -> None:
        identity = as_tenants()
        beta = identity.affiliation(BETA_ID)
        assert beta is not None

        assert "acme-ml" not in json.dumps(claims_of_tenant(identity, beta))

    def test_whoever_is_in_none_is_in_no_tenant(self) -> None:
        assert as_tenants(orgs=[]).tenants == (NO_TENANT,)


def test_a_flood_is_read_to_the_end_and_refused_only_where_each_would_be_a_tenant() -> None:
    orgs = [{**ACME, "sub": f"{number:024x}", "preferred_username": f"org-{number}"} for number in range(5000)]

    assert len(organisations(read(orgs=orgs))) == 2 * 5000
    with pytest.raises(ClaimsTooLarge, match="5000 tenants"):
        as_tenants(orgs=orgs)


def test_organisations_to_ask_for_stand_in_the_request() -> None:
    assert located("huggingface").authorize_params == ()
    assert located("huggingface", org_ids=ACME_ID).authorize_params == (("orgIds", ACME_ID),)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"org_ids": "acme-ml"}, "org_ids"),
        ({"org_ids": f"{ACME_ID}&scope=x"}, "org_ids"),
        ({"org_ids": f"{ACME_ID},"}, "org_ids"),
        ({"organisations_as": "roles"}, "organisations_as"),
    ],
)
def test_what_leads_nowhere_is_reported(options: dict[str, str], key: str) -> None:
    with pytest.raises(UnusableOption) as caught:
        located("huggingface", **options)

    assert caught.value.key == key


class TestTheGuidesWord:
    """Hugging Face's guide says ``organizations`` of what its userinfo endpoint calls ``orgs``."""

    def test_it_counts_by_itself_and_beside_the_other(self) -> None:
        assert groups() == frozenset()
        alone = read(organizations=[BETA], orgs=[])
        beside = read(organizations=[BETA], orgs=[ACME])

        assert organisations(alone) == {"beta", f"org:{BETA_ID}"}
        assert organisations(beside) == {"acme-ml", f"org:{ACME_ID}", "beta", f"org:{BETA_ID}"}
        assert "organizations" not in beside.claims

    def test_what_either_restricts_is_restricted(self) -> None:
        assert organisations(read(organizations=[{**ACME, "pendingSSO": True}], orgs=[ACME])) == frozenset()
        assert organisations(read(organizations=[ACME], orgs=[{**ACME, "missingMFA": True}])) == frozenset()
