import pytest

from portal.identity import NO_TENANT, Affiliation
from tests.portal.presets.reading import read_somebody as read


def test_roles_and_groups_stand_at_the_top() -> None:
    identity = read("oidc", roles=["editor"], groups=["/research/ml"], permissions=["p"])

    assert identity.affiliations == (
        Affiliation(roles=frozenset({"editor"}), groups=frozenset({"/research/ml"}), permissions=frozenset({"p"})),
    )


def test_a_provider_without_tenants_knows_none_whatever_it_writes() -> None:
    """A claim of Descope's shape from another provider must not make somebody admin of a tenant."""
    identity = read("oidc", tenants={"acme": {"roles": ["Tenant Admin"]}}, dct="acme")

    assert identity.affiliations == (Affiliation(tenant=NO_TENANT),)


@pytest.mark.parametrize("groups", [None, {}, {"admin": 1}, 7, True, [7], [["admin"]], ""])
def test_groups_of_another_shape_are_no_groups(groups: object) -> None:
    assert read("oidc", groups=groups).affiliations == (Affiliation(),)


def test_a_single_group_may_stand_without_a_list() -> None:
    assert read("oidc", groups="AI Analysts").affiliations[0].groups == {"AI Analysts"}
