import json
from typing import Any

import pytest

from portal.claims import READINGS, read_identity
from portal.claims.descope import MAX_TENANTS
from portal.claims.reading import MAX_CLAIMS
from portal.configuration.provider_tables import SCOPES
from portal.errors import CallbackRejected
from portal.identity import NO_TENANT, Affiliation, Identity, VerifiedClaims
from tests.builders import RULES, a_provider, a_standing

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


def read(kind: str, **claims: object) -> Identity:
    return read_identity(VerifiedClaims({"sub": "s", **claims}), spec=a_provider(kind=kind))


def without(claims: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in names}


def test_every_kind_has_scopes_and_a_reading() -> None:
    assert READINGS.keys() == SCOPES.keys()


@pytest.mark.parametrize("kind", sorted(READINGS))
class TestEveryReading:
    def test_it_says_who_and_where_from(self, kind: str) -> None:
        identity = read(kind, iss="https://id.example.com", sub="ana", name="Ana", picture="https://x.test/a.png")

        assert identity.provider == "company"
        assert identity.issuer == "https://id.example.com"
        assert (identity.subject, identity.name, identity.picture) == ("ana", "Ana", "https://x.test/a.png")

    @pytest.mark.parametrize("sub", [None, "", " ", 7, True, ["s"], {"s": 1}, "s" * 256, "a\nb"])
    def test_without_a_subject_there_is_nobody(self, kind: str, sub: object) -> None:
        with pytest.raises(CallbackRejected):
            read(kind, sub=sub)

    def test_an_address_is_no_key(self, kind: str) -> None:
        one, other = (read(kind, sub=sub, email="x@example.com", email_verified=True) for sub in ("1", "2"))

        assert one.id != other.id

    def test_the_nonce_is_not_kept_but_the_rest_is(self, kind: str) -> None:
        identity = read(kind, nonce="N", at_hash="h", department="Sales")

        assert identity.claims == {"sub": "s", "department": "Sales"}

    def test_claims_cannot_be_changed_afterwards(self, kind: str) -> None:
        with pytest.raises(TypeError):
            read(kind).claims["roles"] = ["admin"]  # type: ignore[index] # that is the attempt

    @pytest.mark.parametrize(
        "value", [{"x"}, b"bytes", float("nan"), float("inf"), "x" * MAX_CLAIMS, [["x" * 1024]] * 70]
    )
    def test_what_is_no_json_or_too_large_to_keep_is_refused(self, kind: str, value: object) -> None:
        with pytest.raises(CallbackRejected):
            read(kind, custom=value)

    def test_claims_nested_without_end_are_refused(self, kind: str) -> None:
        nested: list[object] = []
        nested.append(nested)

        with pytest.raises(CallbackRejected):
            read(kind, custom=nested)


class TestOidc:
    def test_roles_and_groups_stand_at_the_top(self) -> None:
        identity = read("oidc", roles=["editor"], groups=["/research/ml"], permissions=["p"])

        assert identity.affiliations == (
            Affiliation(roles=frozenset({"editor"}), groups=frozenset({"/research/ml"}), permissions=frozenset({"p"})),
        )

    def test_a_provider_without_tenants_knows_none_whatever_it_writes(self) -> None:
        """A claim of Descope's shape from another provider must not make somebody admin of a tenant."""
        identity = read("oidc", tenants={"acme": {"roles": ["Tenant Admin"]}}, dct="acme")

        assert identity.affiliations == (Affiliation(tenant=NO_TENANT),)

    @pytest.mark.parametrize("groups", [None, {}, {"admin": 1}, 7, True, [7], [["admin"]], ""])
    def test_groups_of_another_shape_are_no_groups(self, groups: object) -> None:
        assert read("oidc", groups=groups).affiliations == (Affiliation(),)

    def test_a_single_group_may_stand_without_a_list(self) -> None:
        assert read("oidc", groups="AI Analysts").affiliations[0].groups == {"AI Analysts"}


class TestDescope:
    def test_roles_belong_to_their_tenant(self) -> None:
        identity = read("descope", **DANA)

        assert identity.affiliation(ACME) == Affiliation(
            tenant=ACME,
            tenant_name="Acme",
            roles=frozenset({"Tenant Admin"}),
            permissions=frozenset({"User Admin"}),
            groups=frozenset({"AI-Analysts"}),
        )
        assert identity.affiliation(BETA) == Affiliation(tenant=BETA, roles=frozenset({"Viewer"}))

    def test_project_roles_give_nothing_in_a_tenant(self) -> None:
        """Dana's token also says "Tenant Admin" at the top; in Beta she is a viewer."""
        identity = read("descope", **DANA)

        assert a_standing(identity, tenant=ACME).roles == {"admin", "analyst"}
        assert a_standing(identity, tenant=BETA).roles == frozenset()

    def test_the_tenant_they_work_in_comes_first(self) -> None:
        assert read("descope", **DANA).tenants == (BETA, ACME)
        assert read("descope", **{**DANA, "dct": ACME}).tenants == (ACME, BETA)
        assert read("descope", **without(DANA, "dct")).tenants == (ACME, BETA)

    def test_a_current_tenant_they_do_not_belong_to_is_not_added(self) -> None:
        assert read("descope", **{**DANA, "dct": "T99foreign"}).tenants == (ACME, BETA)

    @pytest.mark.parametrize("tenants", [None, {}, [], [ACME], "", ACME, 0, 7, True])
    def test_without_tenants_the_roles_at_the_top_are_the_current_tenants(self, tenants: object) -> None:
        """The JWT template "tenantOnly": roles refer only to dct."""
        identity = read("descope", **{**DANA, "dct": ACME, "roles": ["Viewer"], "tenants": tenants})

        assert identity.affiliations == (Affiliation(tenant=ACME, roles=frozenset({"Viewer"})),)

    @pytest.mark.parametrize("dct", [None, "", " ", 7, [], {}, "a\nb"])
    def test_without_any_tenant_the_roles_are_the_projects(self, dct: object) -> None:
        identity = read("descope", dct=dct, roles=["Tenant Admin"])

        assert identity.affiliations == (Affiliation(tenant=NO_TENANT, roles=frozenset({"Tenant Admin"})),)
        assert a_standing(identity, tenant=NO_TENANT).roles == {"admin"}

    @pytest.mark.parametrize("entry", [None, [], "Tenant Admin", 7, True, ["Tenant Admin"], {"roles": {"x": 1}}, {}])
    def test_an_entry_of_another_shape_is_membership_without_roles(self, entry: object) -> None:
        identity = read("descope", roles=["Tenant Admin"], tenants={ACME: entry})

        assert identity.affiliations == (Affiliation(tenant=ACME),)

    @pytest.mark.parametrize("key", ["", " ", "a\x00", "x" * 256])
    def test_tenants_without_a_usable_id_give_nothing_not_even_project_roles(self, key: str) -> None:
        identity = read("descope", roles=["Tenant Admin"], tenants={key: {"roles": ["Tenant Admin"]}})

        assert identity.affiliations == (Affiliation(),)

    @pytest.mark.parametrize("name", [None, 7, "", "a\nb", ["Acme"]])
    def test_a_tenant_may_have_no_usable_name(self, name: object) -> None:
        assert read("descope", tenants={ACME: {"name": name}}).affiliations[0].tenant_name is None

    def test_a_flood_of_tenants_is_cut(self) -> None:
        identity = read("descope", tenants={f"T{index:05}": {} for index in range(1000)})

        assert len(identity.affiliations) == MAX_TENANTS

    def test_what_is_read_survives_json(self) -> None:
        again = json.loads(json.dumps(dict(read("descope", **DANA).claims)))

        assert read("descope", **again).affiliations == read("descope", **DANA).affiliations

    def test_rules_over_the_claims_see_one_tenant_only(self) -> None:
        assert all(rule.provider is None for rule in RULES)
        assert a_standing(read("descope", **{**DANA, "tenants": {BETA: {}}}), tenant=BETA).roles == frozenset()
