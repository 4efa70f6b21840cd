import pytest

from portal.rules.identity import NO_TENANT, Affiliation, VerifiedClaims
from portal.sign_in.provider_types import read_identity
from tests.builders import a_provider
from tests.portal.sign_in.provider_types.reading import read_person as read


def test_roles_and_groups_stand_at_the_top() -> None:
    identity = read("oidc", roles=["editor"], groups=["/research/ml"], permissions=["p"])

    assert identity.affiliations == (
        Affiliation(roles=frozenset({"editor"}), groups=frozenset({"/research/ml"}), permissions=frozenset({"p"})),
    )


def test_a_provider_without_tenants_knows_none_whatever_it_writes() -> None:
    """A claim of Descope's shape from another provider must not make an admin of a tenant."""
    identity = read("oidc", tenants={"acme": {"roles": ["Tenant Admin"]}}, dct="acme")

    assert identity.affiliations == (Affiliation(tenant=NO_TENANT),)


@pytest.mark.parametrize("groups", [None, {}, {"admin": 1}, 7, True, [7], [["admin"]], ""])
def test_groups_of_another_shape_are_no_groups(groups: object) -> None:
    affiliation = read("oidc", groups=groups).affiliations[0]

    assert affiliation.groups == frozenset()
    assert affiliation.groups_left_out == (0 if groups in (None, "") else 1)


def test_a_single_group_may_stand_without_a_list() -> None:
    assert read("oidc", groups="AI Analysts").affiliations[0].groups == {"AI Analysts"}


OBJECTS: dict[str, object] = {
    "groups": [{"groupId": "ADMINS", "roles": ["ADMIN"]}, {"groupId": "E\u0301quipe"}],
    "roles": [{"owner": "org", "name": "editor"}],
}


@pytest.mark.parametrize("provider_type", ["oidc", "okta", "keycloak", "generic"])
def test_names_may_stand_deeper_than_at_the_top(provider_type: str) -> None:
    options = {"groups_claim": "groups[].groupId", "roles_claim": "claims.roles[].name"}
    claims: dict[str, object] = {"sub": "s", **OBJECTS}
    spec = a_provider(provider_type=provider_type, options=options)
    identity = read_identity(VerifiedClaims({"user": claims} if provider_type == "generic" else claims), spec=spec)

    assert identity.affiliations == (
        Affiliation(roles=frozenset({"editor"}), groups=frozenset({"ADMINS", "\u00c9quipe"})),
    )
    assert identity.claims["groups"] == OBJECTS["groups"]
    assert identity.unread == ()


def test_without_being_reported_where_they_stand_objects_are_said_to_be_no_names() -> None:
    identity = read("oidc", **OBJECTS)

    assert identity.unread == (
        "2 entries of groups are not names; rules can read what was sent under claims.groups",
        "1 entry of roles is not a name; rules can read what was sent under claims.roles",
    )
    assert identity.claims["groups"] == OBJECTS["groups"]


@pytest.mark.parametrize("expression", ["nothing.here", "length(groups)", "groups[0]", "sum(groups)"])
def test_an_expression_that_leads_to_no_names_gives_none(expression: str) -> None:
    spec = a_provider(options={"groups_claim": expression})

    assert read_identity(VerifiedClaims({"sub": "s", **OBJECTS}), spec=spec).affiliations[0].groups == frozenset()


def test_what_else_cannot_be_used_is_said() -> None:
    identity = read("oidc", email="two@signs@example.com", picture="data:image/png;base64,AAAA", tenants={"": {}})

    assert set(identity.unread) == {"email is not usable", "picture is not usable", "1 of tenants without a usable id"}


@pytest.mark.parametrize(
    ("expression", "claims", "expected"),
    [
        ("map(&to_string(@), groups)", {"groups": [7, 12]}, {"7", "12"}),
        (
            'keys("urn:zitadel:iam:org:project:roles")',
            {"urn:zitadel:iam:org:project:roles": {"a": {}, "b": {}}},
            {"a", "b"},
        ),
    ],
)
def test_the_ways_of_the_documentation(expression: str, claims: dict[str, object], expected: set[str]) -> None:
    spec = a_provider(options={"groups_claim": expression})

    assert read_identity(VerifiedClaims({"sub": "s", **claims}), spec=spec).affiliations[0].groups == expected
