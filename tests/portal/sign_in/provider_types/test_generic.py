from dataclasses import replace

import pytest

from portal.errors import CallbackRejected
from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.generic import is_generic
from tests.portal.sign_in.provider_types.reading import spec_at

ADDRESSES = {
    "auth_url": "https://id.example.com/oauth/authorize",
    "token_url": "https://id.example.com/oauth/token/",
    "user_info_url": "https://id.example.com/api/me",
}


def a_spec(**options: str) -> ProviderSpec:
    return spec_at("generic", **ADDRESSES, **options)


def read(user: object, **options: str) -> Identity:
    return read_identity(VerifiedClaims({"user": user}), spec=a_spec(**options))


def test_the_answer_says_who_it_is() -> None:
    identity = read(
        {"id": 7, "name": "Ana", "email": "ana@example.com", "email_verified": True, "groups": ["g"], "roles": "editor"}
    )

    assert (identity.issuer, identity.subject, identity.name) == ("https://id.example.com/api/me", "7", "Ana")
    assert identity.verified_email == "ana@example.com"
    assert identity.affiliations == (Affiliation(roles=frozenset({"editor"}), groups=frozenset({"g"})),)


@pytest.mark.parametrize(
    ("user", "identifier", "subject"),
    [
        ({"sub": "a", "id": "b"}, None, "a"),
        ({"id": "b"}, None, "b"),
        ({"id": 7}, None, "7"),
        ({"id": 0}, None, "0"),
        ({"sub": "a", "uid": "u"}, "uid", "u"),
        # Chainlit's default, and other addresses: reassigned, or chosen freely, and never a key.
        ({"sub": "a", "email": "ana@example.com"}, "email", "a"),
        ({"id": 7, "upn": "ana@example.com"}, "upn", "7"),
        ({"id": 7, "emailAddress": "ana@example.com"}, "emailAddress", "7"),
        ({"id": 7, "Email": "ana@example.com"}, "Email", "7"),
        ({"id": 7, "primary_mail": "ana@example.com"}, "primary_mail", "7"),
    ],
)
def test_people_are_known_by_what_stays(user: object, identifier: str | None, subject: str) -> None:
    options = {} if identifier is None else {"user_identifier": identifier}

    assert read(user, **options).subject == subject


@pytest.mark.parametrize(
    ("user", "identifier"),
    [
        ({"email": "ana@example.com"}, None),
        ({"email": "ana@example.com"}, "email"),
        ({"sub": "a"}, "uid"),
        ({"id": True}, None),
        ({"id": 7.0}, None),
        ({"id": ""}, None),
        ({"id": None, "sub": ["a"]}, None),
        ({"sub": "a\nb"}, None),
        ({"sub": "a" * 1025}, None),
        ({}, None),
        ([], None),
        (None, None),
        ("ana", None),
    ],
)
def test_without_such_a_member_there_is_nobody(user: object, identifier: str | None) -> None:
    options = {} if identifier is None else {"user_identifier": identifier}

    with pytest.raises(CallbackRejected):
        read(user, **options)


@pytest.mark.parametrize("vouched", ["true", 1, None, False, "false"])
def test_an_address_is_vouched_for_by_true_alone(vouched: object) -> None:
    assert not read({"id": 1, "email": "ana@example.com", "email_verified": vouched}).email_verified


def test_a_provider_at_another_address_has_other_people() -> None:
    """One host may serve several companies, and a name like "generic" may be pointed at another of them."""
    here = a_spec()
    assert here.endpoints is not None
    there = spec_at("generic", **{**ADDRESSES, "user_info_url": "https://id.example.com/other/api/me"})
    claims = VerifiedClaims({"user": {"id": 7}})

    assert read_identity(claims, spec=here).id != read_identity(claims, spec=there).id


def test_what_the_answer_claims_to_be_does_not_count() -> None:
    assert read({"id": 7, "iss": "https://accounts.google.com"}).issuer == "https://id.example.com/api/me"


def test_a_known_issuer_must_be_named_to_the_letter() -> None:
    spec = a_spec(issuer="https://id.example.com")

    assert spec.issuer == "https://id.example.com"
    assert is_generic("https://id.example.com", {}, spec)
    assert not is_generic("https://id.example.com/", {}, spec)
    assert not is_generic("https://evil.test", {}, spec)


def test_without_one_a_name_says_nothing() -> None:
    assert is_generic("https://whoever.example", {}, a_spec())
    assert not is_generic("https://whoever.example", {}, replace(a_spec(), issuer="https://id.example.com"))


def test_addresses_are_taken_to_the_letter() -> None:
    ends = a_spec().endpoints

    assert ends is not None
    assert (ends.authorize, ends.token, ends.userinfo) == tuple(ADDRESSES.values())
    assert [call.url(a_spec()) for call in PROVIDER_TYPES["generic"].calls] == ["https://id.example.com/api/me"]
