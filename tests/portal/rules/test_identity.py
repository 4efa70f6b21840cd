import re

import pytest

from portal.rules.identity import Affiliation
from tests.builders import an_identity
from tests.portal.sign_in.provider_types.reading import read_person


class TestId:
    def test_it_is_opaque_and_fits_in_addresses_and_tickets(self) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_-]{32}", an_identity().id)

    def test_it_is_the_same_whatever_else_changes(self) -> None:
        """Addresses are reassigned and names change; the account stays the person's."""
        other = an_identity(
            name="Ana Married", email="ana.new@example.com", email_verified=False, claims={}, provider="x"
        )

        assert other.id == an_identity().id

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (("https://a.test", "1"), ("https://a.test", "2")),
            (("https://a.test", "1"), ("https://b.test", "1")),
            (("https://a.test", "x1"), ("https://a.testx", "1")),
            (("https://a.test", "A"), ("https://a.test", "a")),
            (("https://a.test", "1"), ("https://a.test/", "1")),
            (("a", "1:b"), ("a1:", "b")),
        ],
    )
    def test_no_two_people_share_one(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        assert an_identity(issuer=one[0], subject=one[1]).id != an_identity(issuer=other[0], subject=other[1]).id


class TestUsername:
    def test_it_is_the_verified_address(self) -> None:
        assert an_identity().username == an_identity().verified_email == "ana@example.com"

    @pytest.mark.parametrize("changes", [{"email_verified": False}, {"email": None}])
    def test_an_unverified_address_is_not_a_username(self, changes: dict[str, object]) -> None:
        """Otherwise a person could appear with a colleague's address in an app."""
        identity = an_identity(**changes)

        assert identity.verified_email is None
        assert identity.username == identity.id


class TestAffiliations:
    def test_they_are_found_by_tenant(self) -> None:
        acme, beta = Affiliation(tenant="acme"), Affiliation(tenant="beta")
        identity = an_identity(affiliations=(acme, beta))

        assert identity.tenants == ("acme", "beta")
        assert identity.affiliation("beta") is beta
        assert identity.affiliation("Beta") is None
        assert identity.affiliation("") is None


ANAS = an_identity()
"""Whose address is verified; others must not pass for her."""


class TestNamesForApps:
    @pytest.mark.parametrize(
        ("provider_type", "claims", "expected"),
        [
            ("oidc", {"preferred_username": "ben"}, "ben"),
            ("oidc", {"preferred_username": "ben", "email": "ben@example.com"}, "ben"),
            ("oidc", {"preferred_username": "ben", "email": "b@example.com", "email_verified": True}, "b@example.com"),
            ("oidc", {"preferred_username": "Ben B. ☕"}, "Ben B. ☕"),
            ("oidc", {"preferred_username": 7, "login": "ben"}, "ben"),
            ("huggingface", {"preferred_username": "ben", "email": "b@example.com", "email_verified": True}, "ben"),
            ("gitlab", {"preferred_username": "ben", "email": "b@example.com", "email_verified": True}, "ben"),
            ("github", {"user": {"id": 7, "login": "octo-dev", "email": "b@example.com"}}, "octo-dev"),
            ("generic", {"user": {"id": 7, "login": "ben"}}, "ben"),
        ],
    )
    def test_it_is_what_the_provider_says_where_that_is_safe(
        self, provider_type: str, claims: dict[str, object], expected: str
    ) -> None:
        assert read_person(provider_type, **claims).preferred_username == expected

    @pytest.mark.parametrize(
        "handle",
        [
            "ana@example.com",
            "ana\uff20example.com",
            "ana\ufe6bexample.com",
            ANAS.id,
            f" {ANAS.id}",
            "\u202e",
            "",
            " ",
            None,
            ["ana@example.com"],
        ],
    )
    @pytest.mark.parametrize("provider_type", ["oidc", "huggingface"])
    def test_a_chosen_name_cannot_pass_for_another_person(self, provider_type: str, handle: object) -> None:
        mallory = read_person(provider_type, sub="mallory", preferred_username=handle, email=ANAS.email)

        assert mallory.preferred_username == mallory.username == mallory.id
        assert mallory.username not in {ANAS.username, ANAS.id}

    @pytest.mark.parametrize("handle", ["ben", "ana@example.com", ANAS.id])
    def test_what_apps_may_key_on_hangs_on_no_chosen_name(self, handle: str) -> None:
        somebody = read_person("oidc", sub="mallory", preferred_username=handle)

        assert somebody.username == somebody.id
