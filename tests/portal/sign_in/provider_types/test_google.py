from typing import Any

import pytest

from portal.rules.identity import NO_TENANT, Affiliation, Identity, VerifiedClaims
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.google import ISSUER, is_google
from tests.portal.sign_in.provider_types.reading import spec_at, without

SPEC = spec_at("google")

BOB: dict[str, Any] = {
    "iss": "https://accounts.google.com",
    "azp": "123-abc.apps.googleusercontent.com",
    "aud": "123-abc.apps.googleusercontent.com",
    "sub": "110169484474386276334",
    "hd": "example.org",
    "email": "bob@example.org",
    "email_verified": True,
    "name": "Bob Example",
    "picture": "https://lh3.googleusercontent.com/a/x",
}
"""Somebody of a Workspace, as Google's OpenID Connect reference shows an ID token."""


def read(**claims: object) -> Identity:
    return read_identity(VerifiedClaims(claims), spec=SPEC)


def test_a_workspace_is_a_tenant() -> None:
    identity = read(**BOB)

    assert (identity.issuer, identity.subject) == (ISSUER, "110169484474386276334")
    assert identity.verified_email == "bob@example.org"
    assert identity.affiliations == (Affiliation(tenant="example.org"),)


def test_a_private_account_has_none() -> None:
    """``hd`` is missing there: Chainlit's example, which takes it for granted, fails with a KeyError."""
    identity = read(**without(BOB, "hd"))

    assert identity.tenants == (NO_TENANT,)


def test_both_spellings_of_the_issuer_are_one_person() -> None:
    assert read(**{**BOB, "iss": "accounts.google.com"}).id == read(**BOB).id


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("https://accounts.google.com", True),
        ("accounts.google.com", True),
        ("https://accounts.google.com/", False),
        ("http://accounts.google.com", False),
        ("accounts.google.com.evil.test", False),
        ("", False),
        (None, False),
        (["accounts.google.com"], False),
    ],
)
def test_there_are_two_spellings_and_no_third(named: object, expected: bool) -> None:  # noqa: FBT001 - a column
    assert is_google(named, BOB, SPEC) is expected


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        (BOB, True),
        ({**BOB, "email_verified": False}, False),
        ({**BOB, "email_verified": "true"}, False),
        (without(BOB, "email_verified"), False),
        # Looked at once, when the private account was made: the company may have given the address to somebody else.
        (without(BOB, "hd"), False),
        ({**without(BOB, "hd"), "email": "bob@gmail.com"}, True),
        ({**without(BOB, "hd"), "email": "Bob@GMAIL.com"}, True),
        ({**without(BOB, "hd"), "email": "bob@gmail.com.evil.test"}, False),
        ({**without(BOB, "hd"), "email": "bob@notgmail.com"}, False),
        ({**BOB, "hd": ""}, False),
        ({**BOB, "hd": ["example.org"]}, False),
        ({**BOB, "hd": True}, False),
    ],
)
def test_google_vouches_for_its_own_addresses(claims: dict[str, Any], verified: bool) -> None:  # noqa: FBT001 - a column
    assert read(**claims).email_verified is verified


@pytest.mark.parametrize(
    ("claims", "domain"),
    [
        (BOB, "example.org"),
        ({**BOB, "hd": "Example.ORG"}, "example.org"),
        # An address in the company's domain is no account of the company's.
        (without(BOB, "hd"), None),
        ({**without(BOB, "hd"), "email": "bob@gmail.com"}, None),
        # An alias domain: the Workspace counts, not the address.
        ({**BOB, "email": "bob@alias.example"}, "example.org"),
        ({**BOB, "hd": "exam\nple.org"}, None),
    ],
)
def test_the_domain_is_the_workspaces(claims: dict[str, Any], domain: str | None) -> None:
    domain_of = PROVIDER_TYPES["google"].domain

    assert domain_of is not None
    assert domain_of(read(**claims)) == domain


def test_roles_and_groups_are_not_googles_to_give() -> None:
    identity = read(**{**BOB, "roles": ["admin"], "groups": ["admins"], "tenants": {"acme": {"roles": ["admin"]}}})

    assert identity.affiliations == (Affiliation(tenant="example.org"),)


def test_it_is_where_google_is() -> None:
    assert (SPEC.issuer, SPEC.discovery, SPEC.endpoints) == (ISSUER, None, None)
