"""GitLab's claims, ID token and userinfo merged, as its documentation shows them, and their limits."""

import json
from typing import Any

import pytest

from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from tests.builders import a_standing
from tests.portal.sign_in.provider_types.reading import located, spec_at, without

SPEC = spec_at("gitlab", domain="https://gitlab.example.com")
OWNER, MAINTAINER, DEVELOPER = (
    f"https://gitlab.org/claims/groups/{role}" for role in ("owner", "maintainer", "developer")
)

GINA: dict[str, Any] = {
    "iss": "https://gitlab.example.com",
    "sub": "4217",
    "sub_legacy": "a1b2",
    "aud": "5f0c",
    "auth_time": 1795240000,
    "name": "Gina Lab",
    "nickname": "gina",
    "preferred_username": "gina",
    "email": "gina@example.com",
    "email_verified": True,
    "profile": "https://gitlab.example.com/gina",
    "picture": "https://gitlab.example.com/uploads/-/system/user/avatar/4217/avatar.png",
    "groups_direct": ["research/ml"],
    "groups": ["research", "research/ml", "platform"],
    OWNER: ["research/ml"],
    MAINTAINER: ["platform"],
}


def read(**claims: object) -> Identity:
    return read_identity(VerifiedClaims(claims), spec=SPEC)


def groups(**claims: object) -> frozenset[str]:
    return read(sub="1", **claims).affiliations[0].groups


def organisations(identity: Identity) -> frozenset[str]:
    of = PROVIDER_TYPES["gitlab"].organisations
    assert of is not None
    return of(identity)


def test_who_it_is_and_where_they_belong() -> None:
    identity = read(**GINA)

    assert (identity.issuer, identity.subject, identity.name) == ("https://gitlab.example.com", "4217", "Gina Lab")
    assert identity.verified_email == "gina@example.com"
    assert identity.affiliations == (
        Affiliation(
            groups=frozenset({"research", "research/ml", "platform"}),
            roles=frozenset({"research/ml:owner", "platform:maintainer"}),
        ),
    )


def test_a_number_belongs_to_one_instance() -> None:
    """``sub`` counts users: every instance has a user 1."""
    other = spec_at("gitlab", domain="https://gitlab.example.org")
    one = {name: value for name, value in GINA.items() if name != "iss"}

    assert read(**one).id != read_identity(VerifiedClaims(one), spec=other).id


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        # The ID token alone, without userinfo; and the other way round.
        ({"groups_direct": ["a/b"]}, {"a/b"}),
        ({"groups": ["a/b", "a"]}, {"a/b", "a"}),
        # A list of one that somebody made a text of: one path, never letters, never split.
        ({"groups": "a/b c"}, {"a/b c"}),
        ({"groups": {"a": "b"}}, set()),
        ({"groups": [["a"], {"a": 1}, 7, True, None, "", " ", "a\nb", "a\u202eb", "x" * 1025]}, {"a\u202eb"}),
        ({"groups": None, "groups_direct": False}, set()),
        ({"roles": ["admin"], "permissions": ["all"]}, set()),
        ({OWNER: ["a"]}, set()),
    ],
    ids=["direct", "all", "text", "object", "hostile", "nothing", "of others", "role alone"],
)
def test_groups_are_paths_to_the_letter(claims: dict[str, Any], expected: set[str]) -> None:
    assert groups(**claims) == expected


def test_what_only_looks_like_a_role_is_none() -> None:
    identity = read(sub="1", roles=["admin"], **{OWNER: "research", MAINTAINER: {"a": 1}, DEVELOPER: [7, "b"]})

    assert identity.affiliations[0].roles == {"research:owner", "b:developer"}
    assert a_standing(identity, tenant="").roles == frozenset()


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"email_verified": True}, "g@example.com"),
        ({"email_verified": "true"}, None),
        ({"email_verified": "false"}, None),
        ({"email_verified": 1}, None),
        ({"email_verified": False}, None),
        # The public address without the scope, and nobody says anything of it.
        ({}, None),
    ],
    ids=["true", "text true", "text false", "number", "false", "unsaid"],
)
def test_an_address_is_vouched_for_by_true_alone(claims: dict[str, Any], verified: str | None) -> None:
    assert read(sub="1", email="g@example.com", **claims).verified_email == verified


def test_organisations_are_top_level_groups_with_a_membership_of_their_own() -> None:
    assert organisations(read(**GINA)) == {"research", "platform"}
    assert organisations(read(sub="1", groups=["research/ml"])) == frozenset()
    assert organisations(read(**without(GINA, "groups", "groups_direct"))) == frozenset()


def test_thousands_of_groups_are_no_reason_to_refuse() -> None:
    paths = [f"research/{'long-name-' * 12}{number}" for number in range(3000)]
    identity = read(sub="1", groups=paths, groups_direct=["team/direct"], **{DEVELOPER: paths})

    assert len(identity.affiliations[0].groups) == 3001
    assert "team/direct" in identity.affiliations[0].groups
    assert len(json.dumps(dict(identity.claims))) < 1000


@pytest.mark.parametrize(
    "domain", ["https://gitlab.com", "https://code.example.com/gitlab", "https://gitlab.example.com:8443"]
)
def test_the_issuer_is_the_address_of_the_instance(domain: str) -> None:
    assert located("gitlab", domain=domain).issuer == domain
