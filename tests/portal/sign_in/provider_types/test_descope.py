import json
from typing import Any

import pytest

from portal.errors import ClaimsTooLarge
from portal.rules.identity import NO_TENANT, Affiliation
from portal.sign_in.claims.reading import MAX_TENANTS
from tests.builders import RULES, a_standing
from tests.portal.sign_in.provider_types.reading import read_person as read
from tests.portal.sign_in.provider_types.reading import without

ACME, BETA = "T32tenantAcme00000000000000000", "T32tenantBeta00000000000000000"

DANA: dict[str, Any] = {
    "amr": ["oauth"],
    "aud": ["P2aBcDeFgHiJkLmNoPqRsTuVwXyZ"],
    "iss": "https://api.descope.com/P2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
    "sub": "U31exampleUserId000000000000",
    "drn": "DS",
    "nonce": "N",
    "name": "Dana Desc",
    "email": "dana@acme.example",
    "email_verified": True,
    "phone_number": "",
    "picture": "",
    "dct": BETA,
    "roles": ["Tenant Admin"],
    "permissions": [],
    "tenants": {
        ACME: {"name": "Acme", "roles": ["Tenant Admin"], "permissions": ["User Admin"], "groups": ["AI-Analysts"]},
        BETA: {"roles": ["Viewer"], "permissions": []},
    },
}


def test_roles_belong_to_their_tenant() -> None:
    identity = read("descope", **DANA)

    assert identity.affiliation(ACME) == Affiliation(
        tenant=ACME,
        tenant_name="Acme",
        roles=frozenset({"Tenant Admin"}),
        permissions=frozenset({"User Admin"}),
        groups=frozenset({"AI-Analysts"}),
    )
    assert identity.affiliation(BETA) == Affiliation(tenant=BETA, roles=frozenset({"Viewer"}))


def test_project_roles_give_nothing_in_a_tenant() -> None:
    """Dana's token also says "Tenant Admin" at the top; in Beta she is a viewer."""
    identity = read("descope", **DANA)

    assert a_standing(identity, tenant=ACME).roles == {"admin", "analyst"}
    assert a_standing(identity, tenant=BETA).roles == frozenset()


def test_the_tenant_they_work_in_comes_first() -> None:
    assert read("descope", **DANA).tenants == (BETA, ACME)
    assert read("descope", **{**DANA, "dct": ACME}).tenants == (ACME, BETA)
    assert read("descope", **without(DANA, "dct")).tenants == (ACME, BETA)


def test_a_current_tenant_they_do_not_belong_to_is_not_added() -> None:
    assert read("descope", **{**DANA, "dct": "T99foreign"}).tenants == (ACME, BETA)


@pytest.mark.parametrize("tenants", [None, {}, [], [ACME], "", ACME, 0, 7, True])
def test_without_tenants_the_roles_at_the_top_are_the_current_tenants(tenants: object) -> None:
    """The JWT template "tenantOnly": roles refer only to dct."""
    identity = read("descope", **{**DANA, "dct": ACME, "roles": ["Viewer"], "tenants": tenants})

    assert identity.affiliations == (Affiliation(tenant=ACME, roles=frozenset({"Viewer"})),)


@pytest.mark.parametrize("dct", [None, "", " ", 7, [], {}, "a\nb"])
def test_without_any_tenant_the_roles_are_the_projects(dct: object) -> None:
    identity = read("descope", dct=dct, roles=["Tenant Admin"])

    assert identity.affiliations == (Affiliation(tenant=NO_TENANT, roles=frozenset({"Tenant Admin"})),)
    assert a_standing(identity, tenant=NO_TENANT).roles == {"admin"}


@pytest.mark.parametrize("entry", [None, [], "Tenant Admin", 7, True, ["Tenant Admin"], {"roles": {"x": 1}}, {}])
def test_an_entry_of_another_shape_is_membership_without_roles(entry: object) -> None:
    identity = read("descope", roles=["Tenant Admin"], tenants={ACME: entry})

    assert identity.affiliations == (Affiliation(tenant=ACME),)


@pytest.mark.parametrize("key", ["", " ", "a\x00", "x" * 513])
def test_tenants_without_a_usable_id_give_nothing_not_even_project_roles(key: str) -> None:
    identity = read("descope", roles=["Tenant Admin"], tenants={key: {"roles": ["Tenant Admin"]}})

    assert identity.affiliations == (Affiliation(),)


@pytest.mark.parametrize("name", [None, 7, "", "a\nb", ["Acme"]])
def test_a_tenant_may_have_no_usable_name(name: object) -> None:
    assert read("descope", tenants={ACME: {"name": name}}).affiliations[0].tenant_name is None


def test_many_tenants_are_all_read_and_a_flood_of_them_is_refused_and_never_cut() -> None:
    identity = read("descope", tenants={f"T{index:05}": {} for index in range(MAX_TENANTS)})

    assert len(identity.affiliations) == MAX_TENANTS
    with pytest.raises(ClaimsTooLarge, match="1001 tenants"):
        read("descope", tenants={f"T{index:05}": {} for index in range(MAX_TENANTS + 1)})


def test_what_is_read_survives_json() -> None:
    again = json.loads(json.dumps(dict(read("descope", **DANA).claims)))

    assert read("descope", **again).affiliations == read("descope", **DANA).affiliations


def test_rules_over_the_claims_see_one_tenant_only() -> None:
    assert all(rule.provider is None for rule in RULES)
    assert a_standing(read("descope", **{**DANA, "tenants": {BETA: {}}}), tenant=BETA).roles == frozenset()
