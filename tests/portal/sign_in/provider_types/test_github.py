"""GitHub's answers, as its REST reference shows them, and what must not follow from them."""

from typing import Any

import pytest

from portal.errors import CallbackRejected
from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.base import UnusableOption
from tests.portal.sign_in.provider_types.reading import located, spec_at

SPEC = spec_at("github")
ACME: dict[str, Any] = {"login": "example-org", "id": 99001}
OTHER: dict[str, Any] = {"login": "other-org", "id": 99002}

USER: dict[str, Any] = {
    "login": "octo-dev",
    "id": 1234567,
    "node_id": "MDQ6VXNlcjEyMzQ1Njc=",
    "avatar_url": "https://avatars.githubusercontent.com/u/1234567?v=4",
    "type": "User",
    "site_admin": False,
    "name": "Octo Dev",
    "email": None,
}
EMAILS: list[Any] = [
    {"email": "octo@example.com", "primary": True, "verified": True, "visibility": "private"},
    {"email": "1234567+octo-dev@users.noreply.github.com", "primary": False, "verified": True, "visibility": None},
]
MEMBERSHIPS: list[Any] = [
    {"state": "active", "role": "admin", "organization": ACME},
    {"state": "pending", "role": "member", "organization": OTHER},
]
TEAMS: list[Any] = [
    {"id": 555, "name": "ML Admins", "slug": "ml-admins", "organization": ACME, "parent": None},
]
OCTO: dict[str, Any] = {"user": USER, "emails": EMAILS, "memberships": MEMBERSHIPS, "teams": TEAMS}


def read(**answers: object) -> Identity:
    return read_identity(VerifiedClaims({**OCTO, **answers}), spec=SPEC)


def test_the_number_is_the_account_and_the_login_a_name() -> None:
    identity = read()

    assert (identity.issuer, identity.subject) == ("https://github.com/login/oauth", "1234567")
    assert identity.name == "Octo Dev"
    assert identity.picture == "https://avatars.githubusercontent.com/u/1234567?v=4"
    assert read(user={**USER, "login": "renamed"}).id == identity.id


def test_another_person_who_takes_over_the_login_is_another_account() -> None:
    assert read(user={**USER, "id": 7654321}).id != read().id


@pytest.mark.parametrize("number", [None, "1234567", 0, -1, True, 1.0, [1], {}])
def test_without_a_number_there_is_nobody(number: object) -> None:
    with pytest.raises(CallbackRejected):
        read(user={**USER, "id": number})


@pytest.mark.parametrize("user", [None, [], "octo-dev", 7])
def test_without_a_user_there_is_nobody(user: object) -> None:
    with pytest.raises(CallbackRejected):
        read(user=user)


@pytest.mark.parametrize(
    ("emails", "verified"),
    [
        (EMAILS, "octo@example.com"),
        (EMAILS[::-1], "octo@example.com"),
        # loginpass, @auth/core and Grafana take the primary one without looking whether it is verified.
        ([{**EMAILS[0], "verified": False}, EMAILS[1]], None),
        ([{**EMAILS[0], "verified": "true"}], None),
        ([{**EMAILS[0], "verified": 1}], None),
        ([{**EMAILS[0], "primary": "yes"}], None),
        ([EMAILS[1]], None),
        ([{"email": "a@b@c", "primary": True, "verified": True}], None),
        ([{"email": ["octo@example.com"], "primary": True, "verified": True}], None),
        ([None, "octo@example.com", 7], None),
        ([], None),
        (None, None),
        ({"email": "octo@example.com", "primary": True, "verified": True}, None),
    ],
)
def test_the_address_is_the_primary_one_if_it_is_verified(emails: object, verified: str | None) -> None:
    assert read(emails=emails).verified_email == verified


def test_the_public_address_is_shown_and_opens_nothing() -> None:
    identity = read(user={**USER, "email": "boss@example.com"}, emails=None)

    assert (identity.email, identity.verified_email) == ("boss@example.com", None)


def test_organisations_and_teams_are_groups_by_name_and_number() -> None:
    assert read().affiliations == (
        Affiliation(
            groups=frozenset({"example-org", "org:99001", "example-org/ml-admins", "team:555"}),
            roles=frozenset({"example-org:admin"}),
        ),
    )


@pytest.mark.parametrize(
    "memberships",
    [
        [{"state": "pending", "role": "admin", "organization": ACME}],
        [{"role": "admin", "organization": ACME}],
        [{"state": ["active"], "role": "admin", "organization": ACME}],
        [{"state": "active", "role": "admin", "organization": None}],
        [{"state": "active", "role": "admin"}],
        [{"state": "active", "role": "admin", "organization": {"login": ["example-org"], "id": "99001"}}],
        ["example-org"],
        [None],
        {},
        None,
    ],
)
def test_what_is_no_active_membership_gives_nothing(memberships: object) -> None:
    """
    Not even its teams: an invitation to a team is one to its organisation first.
    """
    assert read(memberships=memberships).affiliations == (Affiliation(),)


@pytest.mark.parametrize(
    "team",
    [
        {"id": 556, "slug": "admins", "organization": OTHER},
        {"id": 556, "slug": "admins", "organization": {"login": "example-org", "id": 5}},
        {"id": 556, "slug": "admins", "organization": {"login": "example-org"}},
        {"id": 556, "slug": "admins"},
        {"id": "556", "slug": ["admins"], "organization": ACME},
        "admins",
        None,
    ],
)
def test_teams_elsewhere_and_of_other_shapes_give_nothing(team: object) -> None:
    assert read(teams=[team]).affiliations[0].groups == {"example-org", "org:99001"}


def test_names_that_pretend_are_names_of_their_own() -> None:
    """No login holds a slash or colon; a server that sends one must not create a member of another organisation."""
    evil = {"login": "evil", "id": 1}
    identity = read(
        memberships=[{"state": "active", "role": "member", "organization": evil}],
        teams=[{"id": 2, "slug": "x\nexample-org/ml-admins", "organization": evil}],
    )

    assert identity.affiliations[0].groups == {"evil", "org:1", "team:2"}


def test_five_hundred_teams_are_read() -> None:
    teams = [{"id": number, "slug": f"team-{number}", "organization": ACME} for number in range(1000, 1500)]

    assert len(read(teams=teams).affiliations[0].groups) == 2 + 2 * 500


def test_answers_are_not_stored_whole() -> None:
    """A team's description is of no use to a rule, and five hundred of them would fill the database."""
    assert read().claims == {
        "sub": "1234567",
        "name": "Octo Dev",
        "preferred_username": "octo-dev",
        "picture": "https://avatars.githubusercontent.com/u/1234567?v=4",
        "email": "octo@example.com",
        "email_verified": True,
        "organisations": ["example-org", "org:99001"],
    }


def test_organisations_admit_by_name_and_number() -> None:
    organisations_of = PROVIDER_TYPES["github"].organisations

    assert organisations_of is not None
    assert organisations_of(read()) == {"example-org", "org:99001"}
    assert organisations_of(read(memberships=None)) == frozenset()


class TestWhereItIs:
    def test_github_com(self) -> None:
        place = located("github")

        assert place.issuer == "https://github.com/login/oauth"
        assert place.endpoints is not None
        assert place.endpoints.token == "https://github.com/login/oauth/access_token"
        assert [call.url(SPEC) for call in PROVIDER_TYPES["github"].calls] == [
            "https://api.github.com/user",
            "https://api.github.com/user/emails?per_page=100",
            "https://api.github.com/user/memberships/orgs?state=active&per_page=100",
            "https://api.github.com/user/teams?per_page=100",
        ]

    def test_an_enterprise_server_by_name_and_by_addresses(self) -> None:
        base = "https://github.example.com"
        addresses = {
            "auth_url": f"{base}/login/oauth/authorize",
            "token_url": f"{base}/login/oauth/access_token",
            "user_info_url": f"{base}/api/v3/user",
        }

        assert located("github", domain=base) == located("github", **addresses)
        assert located("github", domain=base).issuer == f"{base}/login/oauth"

    @pytest.mark.parametrize(
        ("options", "key"),
        [
            ({"auth_url": "https://github.example.com/login/oauth/authorize"}, "token_url"),
            ({"token_url": "https://github.example.com/login/oauth/access_token"}, "auth_url"),
            (
                {
                    "domain": "https://github.example.com",
                    "auth_url": "https://github.example.com/login/oauth/authorize",
                },
                "domain",
            ),
            (
                {
                    "auth_url": "https://github.example.com/authorize",
                    "token_url": "https://github.example.com/token",
                    "user_info_url": "https://github.example.com/api/v3/user",
                },
                "auth_url",
            ),
            (
                {
                    "auth_url": "https://github.example.com/login/oauth/authorize",
                    "token_url": "https://github.example.com/token",
                    "user_info_url": "https://github.example.com/api/v3/user/",
                },
                "user_info_url",
            ),
        ],
    )
    def test_half_of_a_server_is_none(self, options: dict[str, str], key: str) -> None:
        with pytest.raises(UnusableOption) as caught:
            located("github", **options)

        assert caught.value.key == key

    def test_people_of_one_server_are_not_those_of_another(self) -> None:
        servers = (spec_at("github"), spec_at("github", domain="https://github.example.com"))
        one, other = (read_identity(VerifiedClaims(OCTO), spec=spec) for spec in servers)

        assert one.id != other.id
