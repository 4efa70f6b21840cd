"""Keycloak's claims, as its mappers write them, and what must not follow from them."""

from dataclasses import replace
from typing import Any

import pytest

from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import UnusableOption
from tests.portal.sign_in.provider_types.reading import located, spec_at, without

BASE = "https://sso.example.com"
SPEC = spec_at("keycloak", base_url=BASE, realm="acme")

KIM: dict[str, Any] = {
    "iss": "https://sso.example.com/realms/acme",
    "aud": "portal",
    "sub": "f:1f3c:kim",
    "typ": "ID",
    "azp": "portal",
    "sid": "0f1e2d3c",
    "acr": "1",
    "email_verified": True,
    "name": "Kim Cloak",
    "preferred_username": "kim",
    "email": "kim@example.com",
    "groups": ["/research/ml"],
    "realm_access": {"roles": ["default-roles-acme", "portal-admin"]},
    "resource_access": {
        "portal": {"roles": ["editor"]},
        "account": {"roles": ["view-profile"]},
        "payroll": {"roles": ["payroll-admin"]},
    },
}


def read(**claims: object) -> Identity:
    return read_identity(VerifiedClaims({"sub": "s", **claims}), spec=SPEC)


def roles(**claims: object) -> frozenset[str]:
    return read(**claims).affiliations[0].roles


def organisations(organization: object) -> frozenset[str]:
    of = PROVIDER_TYPES["keycloak"].organisations
    assert of is not None
    return of(read(organization=organization))


def test_who_it_is_and_what_they_may() -> None:
    identity = read(**KIM)

    assert (identity.issuer, identity.subject) == ("https://sso.example.com/realms/acme", "f:1f3c:kim")
    assert identity.verified_email == "kim@example.com"
    assert identity.affiliations == (
        Affiliation(
            groups=frozenset({"/research/ml"}),
            roles=frozenset({"default-roles-acme", "portal-admin", "portal:editor"}),
        ),
    )


def test_roles_of_other_clients_are_none_of_the_portals() -> None:
    """An admin of another client must not be able to make an admin of the portal."""
    assert not any("payroll" in role or "view" in role for role in roles(**KIM))
    other = replace(SPEC, client_id="payroll")

    assert read_identity(VerifiedClaims(KIM), spec=other).affiliations[0].roles == {
        "default-roles-acme",
        "portal-admin",
        "payroll:payroll-admin",
    }


def test_a_role_of_the_client_is_none_of_the_realm() -> None:
    """Other people may administer a client's roles than the realm's."""
    assert roles(resource_access={"portal": {"roles": ["portal-admin"]}}) == {"portal:portal-admin"}


def test_a_thin_token_gives_nothing() -> None:
    identity = read(**without(KIM, "realm_access", "resource_access", "groups"))

    assert identity.affiliations == (Affiliation(),)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        # A mapper of the portal's own client that writes a flat list.
        ({"roles": ["editor"]}, {"editor"}),
        ({"roles": "editor"}, {"editor"}),
        ({"realm_access": {"roles": "one name"}}, {"one name"}),
        ({"realm_access": ["portal-admin"]}, set()),
        ({"realm_access": "portal-admin"}, set()),
        ({"realm_access": {"roles": {"portal-admin": True}}}, set()),
        ({"realm_access": {"role": ["portal-admin"]}}, set()),
        ({"resource_access": ["portal"]}, set()),
        ({"resource_access": {"portal": ["editor"]}}, set()),
        ({"resource_access": {"Portal": {"roles": ["editor"]}, "portal ": {"roles": ["editor"]}}}, set()),
        ({"resource_access": {"portal": {"roles": [7, True, None, ["x"], "", "a\nb", "x" * 1025]}}}, set()),
        ({"realm_access": None, "resource_access": None}, set()),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else None,
)
def test_what_has_another_shape_is_nothing(claims: dict[str, Any], expected: set[str]) -> None:
    assert roles(**claims) == expected


def test_a_role_of_the_realm_does_not_pass_for_one_of_the_client() -> None:
    assert roles(realm_access={"roles": ["portal:editor", "portal-admin"]}) == {"portal-admin"}


def test_groups_are_whole_paths() -> None:
    names = ["/research/ml", "ml", 7, None, "", "/a\u202eb"]

    assert read(groups=names).affiliations[0].groups == {"/research/ml", "ml", "/a\u202eb"}


def test_thousands_of_groups_are_no_reason_to_refuse() -> None:
    identity = read(groups=[f"/{'long-name-' * 20}{number}" for number in range(2000)])

    assert len(identity.affiliations[0].groups) == 2000


@pytest.mark.parametrize("verified", [None, False, "true", "false", 1])
def test_an_address_is_vouched_for_by_true_alone(verified: object) -> None:
    assert read(email="kim@example.com", email_verified=verified).verified_email is None


@pytest.mark.parametrize(
    ("organization", "expected"),
    [
        (["acme", "beta"], {"acme", "beta"}),
        ("acme", {"acme"}),
        ({"acme": {"id": "42c3"}, "beta": {}}, {"acme", "org:42c3", "beta"}),
        ({"acme": None, "beta": ["x"]}, {"acme", "beta"}),
        ({"acme": {"id": 7}, "": {"id": ["x"]}}, {"acme"}),
        # No alias passes for somebody's id.
        (["org:42c3"], set()),
        ({"org:42c3": {}}, set()),
        (None, set()),
        (7, set()),
        ([], set()),
    ],
    ids=["list", "text", "map", "no ids", "odd ids", "id in list", "id in map", "none", "number", "empty"],
)
def test_organizations(organization: object, expected: set[str]) -> None:
    assert organisations(organization) == expected


@pytest.mark.parametrize(
    ("options", "issuer", "discovery"),
    [
        ({}, f"{BASE}/realms/acme", None),
        ({"realm": "acme co"}, f"{BASE}/realms/acme%20co", None),
        ({"base_url": f"{BASE}/auth"}, f"{BASE}/auth/realms/acme", None),
        ({"issuer": f"{BASE}/realms/acme"}, f"{BASE}/realms/acme", None),
        (
            {"base_url": "https://keycloak.internal.example", "issuer": f"{BASE}/realms/acme"},
            f"{BASE}/realms/acme",
            "https://keycloak.internal.example/realms/acme/.well-known/openid-configuration",
        ),
    ],
    ids=["plain", "space", "before 17", "said again", "inside"],
)
def test_where_a_realm_is(options: dict[str, str], issuer: str, discovery: str | None) -> None:
    place = located("keycloak", **{"base_url": BASE, "realm": "acme", **options})

    assert (place.issuer, place.discovery) == (issuer, discovery)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"base_url": f"{BASE}/realms/acme"}, "base_url"),
        ({"base_url": f"{BASE}/realms"}, "base_url"),
        ({"realm": f"{BASE}/realms/acme"}, "realm"),
        ({"realm": "acme/x"}, "realm"),
        ({"realm": ".."}, "realm"),
        ({"realm": "a\nb"}, "realm"),
    ],
)
def test_what_leads_nowhere_is_reported(options: dict[str, str], key: str) -> None:
    with pytest.raises(UnusableOption) as caught:
        located("keycloak", **{"base_url": BASE, "realm": "acme", **options})

    assert caught.value.key == key
