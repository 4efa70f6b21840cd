"""Tests for every provider type with ID tokens."""

import pytest

from portal.errors import CallbackRejected
from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import TRUNCATED
from tests.builders import a_provider
from tests.portal.sign_in.provider_types.reading import beside
from tests.portal.sign_in.provider_types.reading import read_person as read

OPENID = sorted(provider_type.id for provider_type in PROVIDER_TYPES.values() if provider_type.flow == "openid")
ORG = {"sub": "5e67", "preferred_username": "acme"}
SHAPES: dict[str, object] = {
    "sub": "s",
    "tenant": "acme",
    "dct": "acme",
    "tenants": {"acme": {"groups": ["g"]}},
    "org_id": "org_1",
    "hd": "example.org",
    "groups": ["g"],
    "groups_direct": ["g"],
    "cognito:groups": ["g"],
    "organization": {"acme": {"id": "1"}},
    "orgs": [ORG],
    "memberships": [{"state": "active", "organization": {"login": "acme", "id": 9}}],
    "teams": [],
    "user": {"sub": "s", "id": 7, "groups": ["g"], "tenants": {"acme": {}}, "hd": "example.org"},
}
"""Whatever any make says of tenants and groups, all at once."""
WITH_OPTIONS: dict[str, dict[str, str]] = {
    **{kind: {} for kind in PROVIDER_TYPES},
    "huggingface, as tenants": {"organisations_as": "tenants"},
}
MANY = [f"g{number}" for number in range(20_000)]
"""More than anybody is in, and still all of them are read."""
LONG: dict[str, tuple[str, dict[str, object]]] = {
    **{
        kind: (kind, {"groups": MANY})
        for kind in ("oidc", "keycloak", "okta", "auth0", "descope", "gitlab", "aws-cognito", "azure-ad")
    },
    "gitlab, direct": ("gitlab", {"groups_direct": MANY, "groups": ["a"]}),
    "cognito's own": ("aws-cognito", {"cognito:groups": MANY}),
    "descope, within": ("descope", {"tenants": {"acme": {"groups": MANY}}}),
    "generic": ("generic", {"user": {"sub": "s", "groups": MANY}}),
    "huggingface": ("huggingface", {"orgs": [{**ORG, "sub": one} for one in MANY]}),
    "huggingface, within": ("huggingface", {"orgs": [{**ORG, "resourceGroups": [{"sub": one} for one in MANY]}]}),
}
UNREADABLE: dict[str, tuple[str, dict[str, object], int]] = {
    **{
        kind: (kind, {"groups": ["a", {"id": 1}, 7, "b" * 1025, None, ""]}, 3)
        for kind in ("oidc", "keycloak", "okta", "auth0", "descope", "gitlab", "aws-cognito", "azure-ad")
    },
    "github": ("github", {"user": {"id": 7}, "memberships": [], TRUNCATED: ["memberships"]}, 1),
    "github, teams": ("github", {"user": {"id": 7}, "teams": [], TRUNCATED: ["emails", "teams"]}, 1),
}


def read_with(kind: str, options: dict[str, str], claims: dict[str, object]) -> Identity:
    spec = a_provider(provider_type=kind, options=options)
    return read_identity(VerifiedClaims({**beside(kind, "s"), **claims}), spec=spec)


@pytest.mark.parametrize(("named", "options"), WITH_OPTIONS.items(), ids=WITH_OPTIONS)
def test_what_a_make_says_of_tenants_and_groups_is_what_it_gives(named: str, options: dict[str, str]) -> None:
    """Else a condition on them would refuse everyone, or be refused although it can be met."""
    provider_type = PROVIDER_TYPES[named.partition(",")[0]]
    affiliations = read_with(provider_type.id, options, SHAPES).affiliations

    assert provider_type.has_tenants(options) is any(one.tenant != NO_TENANT for one in affiliations)
    assert provider_type.groups is any(one.groups for one in affiliations)


@pytest.mark.parametrize("kind", [one.id for one in PROVIDER_TYPES.values() if one.organisations_are_groups])
def test_organisations_that_are_groups_are_among_them(kind: str) -> None:
    identity = read_with(kind, {}, SHAPES)
    organisations = PROVIDER_TYPES[kind].organisations

    assert organisations is not None
    assert organisations(identity)
    assert organisations(identity) <= identity.affiliations[0].groups


@pytest.mark.parametrize(("kind", "claims"), LONG.values(), ids=LONG)
def test_long_lists_are_read_to_the_end(kind: str, claims: dict[str, object]) -> None:
    affiliations = read_with(kind, {}, {"sub": "s", **claims}).affiliations

    assert sum(len(one.groups) for one in affiliations) >= len(MANY)
    assert any(group.endswith(MANY[-1]) for one in affiliations for group in one.groups)
    assert all(one.groups_left_out == 0 for one in affiliations)


@pytest.mark.parametrize(("kind", "claims", "expected"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_not_read_is_counted(kind: str, claims: dict[str, object], expected: int) -> None:
    assert sum(one.groups_left_out for one in read_with(kind, {}, {"sub": "s", **claims}).affiliations) == expected


@pytest.mark.parametrize(("named", "options"), WITH_OPTIONS.items(), ids=WITH_OPTIONS)
def test_of_what_is_read_nothing_is_left_out(named: str, options: dict[str, str]) -> None:
    affiliations = read_with(named.partition(",")[0], options, SHAPES).affiliations

    assert all(one.groups_left_out == 0 for one in affiliations)


def test_a_member_of_very_many_organisations_at_github_is_one_of_each() -> None:
    """A thousand are fetched, and none of them is dropped afterwards."""
    memberships = [{"state": "active", "organization": {"login": f"o{one}", "id": one}} for one in range(1000)]
    identity = read_with("github", {}, {"user": {"id": 7}, "memberships": memberships})
    organisations = PROVIDER_TYPES["github"].organisations

    assert organisations is not None
    assert {"o999", "org:999"} <= organisations(identity)


@pytest.mark.parametrize("value", [{"x"}, b"bytes", float("inf")])
def test_whatever_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(CallbackRejected):
        read("oidc", custom=value)


@pytest.mark.parametrize("kind", OPENID)
class TestEveryReading:
    def test_it_says_who_and_where_from(self, kind: str) -> None:
        identity = read(kind, iss="https://id.example.com", sub="ana", name="Ana", picture="https://x.test/a.png")

        assert identity.provider == "company"
        assert identity.issuer == "https://id.example.com"
        known_by = beside(kind, "ana").get("oid", "ana")
        assert (identity.subject, identity.name, identity.picture) == (known_by, "Ana", "https://x.test/a.png")

    @pytest.mark.parametrize("sub", [None, "", 7])
    def test_claims_without_a_subject_are_rejected(self, kind: str, sub: object) -> None:
        with pytest.raises(CallbackRejected):
            read(kind, sub=sub)

    def test_an_address_is_not_a_key(self, kind: str) -> None:
        one, other = (read(kind, sub=sub, email="x@example.com", email_verified=True) for sub in ("1", "2"))

        assert one.id != other.id

    def test_the_nonce_is_not_stored_but_the_rest_is(self, kind: str) -> None:
        identity = read(kind, nonce="N", at_hash="h", department="Sales")

        assert identity.claims == {"sub": "s", "department": "Sales", **beside(kind, "s")}

    def test_many_groups_with_long_names_are_no_reason_to_refuse(self, kind: str) -> None:
        long = [f"Отдел анализа данных и отчётов {number:04d}" for number in range(2000)]

        kept = read(kind, groups=long, roles=long, permissions=long).claims

        assert not {"groups", "roles", "permissions"} & kept.keys()

    def test_claims_cannot_be_changed_afterwards(self, kind: str) -> None:
        with pytest.raises(TypeError):
            read(kind).claims["roles"] = ["admin"]  # type: ignore[index] # that is the attempt

    def test_what_is_not_json_is_refused(self, kind: str) -> None:
        with pytest.raises(CallbackRejected):
            read(kind, custom=float("nan"))

    def test_claims_nested_without_end_are_refused(self, kind: str) -> None:
        nested: list[object] = []
        nested.append(nested)

        with pytest.raises(CallbackRejected):
            read(kind, custom=nested)
