"""Claims that the requested scopes do not bring, and the line that requests one more."""

from typing import Any

import pytest

from portal.settings import ProviderSpec
from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.sign_in.provider_types.scopes import is_settled, missing_scopes, unavailable_groups
from tests.builders import a_provider


def of_make(make: str, scopes: tuple[str, ...] = ()) -> ProviderSpec:
    return a_provider(provider_type=make, scopes=scopes or PROVIDER_TYPES[make].scopes)


READ_BY = ("roles.analyst",)
USUAL = frozenset({"openid", "profile", "email", "offline_access"})


def missing(spec: ProviderSpec, claim: str, offered: frozenset[str] | None) -> tuple[str, bool] | None:
    found = list(missing_scopes(spec, {claim: READ_BY}, offered=offered))
    return (found[0].scope, found[0].certain) if found else None


TABLE: dict[str, tuple[dict[str, Any], str, frozenset[str] | None, tuple[str, bool] | None]] = {
    "it lists a scope of that name": ({}, "groups", USUAL | {"groups"}, ("groups", True)),
    "it lists one that ends so": ({}, "roles", USUAL | {"urn:zitadel:roles"}, ("urn:zitadel:roles", True)),
    "a claim of the company's own": ({}, "department", USUAL | {"department"}, ("department", True)),
    "it is asked for": ({"scopes": ("openid", "groups")}, "groups", USUAL | {"groups"}, None),
    "it lists no such scope": ({}, "groups", USUAL, None),
    "nothing is known": ({}, "groups", None, ("groups", False)),
    "nothing is known of a rare claim": ({}, "department", None, None),
    "the standard's": ({"scopes": ("openid", "profile")}, "email", None, ("email", True)),
    "the standard's profile": ({"scopes": ("openid",)}, "family_name", USUAL, ("profile", True)),
    "without any scope": ({}, "sub", USUAL, None),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_missing(name: str) -> None:
    changes, claim, offered, expected = TABLE[name]

    assert missing(a_provider(**changes), claim, offered) == expected


@pytest.mark.parametrize(
    ("make", "scopes", "claim", "scope"),
    [
        ("github", ("user:email",), "groups", "read:org"),
        ("github", ("read:org",), "email", "user:email"),
        ("descope", ("openid",), "roles", "descope.claims"),
        ("keycloak", ("openid", "email"), "organisations", "organization"),
    ],
)
def test_what_a_make_is_known_for(make: str, scopes: tuple[str, ...], claim: str, scope: str) -> None:
    assert missing(of_make(make, scopes), claim, None) == (scope, True)
    assert missing(of_make(make, (*scopes, scope)), claim, None) is None


@pytest.mark.parametrize("make", PROVIDER_TYPES)
def test_no_type_lacks_scopes_by_default(make: str) -> None:
    read = ("email", "groups", "name", "roles")
    message = [claim for claim in read if make not in {"oidc", "generic"} and missing(of_make(make), claim, USUAL)]

    assert message == []
    assert is_settled(of_make(make), "email") or make == "generic"


def test_the_line_is_to_be_written_where_the_provider_was_turned_on() -> None:
    offered = USUAL | {"groups"}

    def line(**changes: Any) -> str:
        [one] = missing_scopes(a_provider(**changes), {"groups": READ_BY}, offered=offered)
        return one.fix

    asked = '"openid", "profile", "email", "groups"'
    assert line() == f'Write scopes = [{asked}] in the [[providers]] with id = "company".'
    by_variables = ("OPENID_PROVIDER_URL", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")
    assert line(variables=by_variables) == 'Set OAUTH_SCOPES="openid profile email groups".'
    assert line(provider_type="okta", variables=("OAUTH_OKTA_CLIENT_ID",)).endswith(
        f'scopes = [{asked}] in a [[providers]] with type = "okta", in place of OAUTH_OKTA_CLIENT_ID and the others.'
    )


def test_what_is_missing_together_is_written_together() -> None:
    wanted = {"groups": READ_BY, "roles": ("roles.admin",)}
    found = list(missing_scopes(a_provider(), wanted, offered=USUAL | {"groups", "roles"}))

    assert [one.scope for one in found] == ["groups", "roles"]
    assert all('"email", "groups", "roles"]' in one.fix for one in found)


def test_rules_about_groups_of_a_type_without_groups_are_named() -> None:
    assert list(unavailable_groups(of_make("google"), {"groups": READ_BY})) == [
        "roles.analyst reads groups, and Google sends none."
    ]
    assert list(unavailable_groups(of_make("google"), {"hd": READ_BY})) == []
    assert list(unavailable_groups(a_provider(), {"groups": READ_BY})) == []
