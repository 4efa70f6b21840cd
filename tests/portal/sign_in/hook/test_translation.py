"""The hook's arguments, and what its answer can do."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from portal.access.stored_identity import read_identity, write_identity
from portal.errors import NotAdmitted
from portal.rules.identity import Affiliation, Identity
from portal.rules.policy import Grant, standing_in
from portal.settings import ProviderSpec
from portal.sign_in.admission import AdmissionRefusal, Arrival, admit
from portal.sign_in.hook.chainlit import User
from portal.sign_in.hook.translation import default_user, raw_user_data, read_answer
from portal.sign_in.provider_types.base import TRUNCATED
from tests.builders import RULES, a_provider, an_identity

ROLES = frozenset({"admin", "analyst"})
TWO = an_identity(affiliations=(Affiliation(tenant="acme"), Affiliation(tenant="beta")))
GOOGLE = a_provider(id="google", provider_type="google", issuer="https://accounts.google.com")
GITHUB = a_provider(id="github", provider_type="github")


def arriving(identity: Identity | None = None, **claims: object) -> Arrival:
    return Arrival(identity=identity or an_identity(), claims=claims, access_token="access", id_token=None)


def identifier(identity: Identity, spec: ProviderSpec | None = None) -> str:
    return default_user(arriving(identity), spec=spec or a_provider(), make=User).identifier


class TestRawUserData:
    def test_claims_are_as_the_provider_wrote_them(self) -> None:
        claims: dict[str, Any] = {
            "sub": "ana",
            "groups": ["a"],
            "address": {"country": "PT"},
            "email": "ana@example.com",
        }

        assert raw_user_data(arriving(**claims), spec=a_provider()) == claims

    def test_the_portals_own_claim_is_removed(self) -> None:
        assert TRUNCATED not in raw_user_data(
            replace(arriving(), claims={TRUNCATED: ["teams"], "sub": "ana"}), spec=a_provider()
        )

    def test_it_is_a_copy(self) -> None:
        claims: dict[str, Any] = {"groups": ["a"]}
        raw_user_data(arriving(**claims), spec=a_provider())["groups"].append("admins")

        assert claims == {"groups": ["a"]}

    def test_google_is_called_as_its_older_api_calls_it(self) -> None:
        data = raw_user_data(arriving(sub="7", hd="example.org", email_verified=True), spec=GOOGLE)

        assert (data["id"], data["verified_email"], data["hd"]) == ("7", True, "example.org")

    def test_entra_is_called_as_graph_calls_it(self) -> None:
        entra = a_provider(provider_type="azure-ad")
        data = raw_user_data(arriving(oid="7", name="Ana", email="spoof@example.com"), spec=entra)

        assert (data["id"], data["displayName"], data["mail"]) == ("7", "Ana", "ana@example.com")
        assert "userPrincipalName" not in data

    def test_github_is_the_user_with_the_other_answers_beside(self) -> None:
        claims: dict[str, Any] = {"user": {"id": 1, "login": "ana"}, "emails": [{"email": "a@b.test"}], "teams": []}

        assert raw_user_data(arriving(**claims), spec=GITHUB) == {
            "id": 1,
            "login": "ana",
            "emails": [{"email": "a@b.test"}],
            "teams": [],
            "email": "ana@example.com",
        }

    @pytest.mark.parametrize(
        "spec", [a_provider(), GOOGLE, a_provider(provider_type="azure-ad")], ids=lambda one: one.provider_type
    )
    def test_an_unverified_address_is_not_passed_on(self, spec: ProviderSpec) -> None:
        identity = an_identity(email="ceo@example.com", email_verified=False)
        data = raw_user_data(arriving(identity, sub="x", email="ceo@example.com"), spec=spec)

        assert "ceo@example.com" not in data.values()


class TestDefaultUser:
    def test_it_is_who_chainlit_would_admit(self) -> None:
        picture = an_identity(picture="https://example.com/ana.png")
        user = default_user(arriving(picture), spec=a_provider(), make=User)

        assert user.identifier == "ana@example.com"
        assert user.display_name == "Ana Analyst"
        assert user.metadata == {"provider": "company", "image": "https://example.com/ana.png", "tenants": ["acme"]}

    def test_at_github_they_are_called_by_their_login(self) -> None:
        assert identifier(an_identity(claims={"preferred_username": "ana-gh"}), GITHUB) == "ana-gh"

    def test_a_generic_provider_says_what_they_are_called_by(self) -> None:
        generic = a_provider(provider_type="generic", options={"user_identifier": "username"})

        assert identifier(an_identity(claims={"username": "ana7"}), generic) == "ana7"

    @pytest.mark.parametrize(
        "identity",
        [
            an_identity(email="ceo@example.com", email_verified=False),
            an_identity(email=None, claims={"username": "ceo@example.com"}),
            an_identity(email=None, subject="ceo@example.com"),
            an_identity(email=None, claims={"username": ["ceo@example.com"]}),
            an_identity(email=None, claims={"username": ""}, subject="ceo@example.com"),
        ],
        ids=["unverified", "chosen as a name", "chosen as a subject", "in a list", "empty"],
    )
    def test_an_unverified_address_is_not_an_identifier(self, identity: Identity) -> None:
        for spec in (
            a_provider(),
            a_provider(provider_type="generic", options={"user_identifier": "username"}),
            GITHUB,
        ):
            assert "@" not in identifier(identity, spec)


@dataclass
class Theirs:
    """The result of a hook may be of any class."""

    identifier: Any = "ana@example.com"
    metadata: Any = field(default_factory=dict)


ATTEMPTS: dict[str, tuple[Any, dict[str, frozenset[str]]]] = {
    "nothing": ({}, {}),
    "a role": ({"role": "admin"}, {"acme": frozenset({"admin"}), "beta": frozenset({"admin"})}),
    "roles": ({"roles": ["admin", "analyst"]}, {"acme": ROLES, "beta": ROLES}),
    "a role as a text": ({"roles": "analyst"}, {"acme": frozenset({"analyst"}), "beta": frozenset({"analyst"})}),
    "roles of a tenant": ({"roles": {"beta": ["admin"]}}, {"beta": frozenset({"admin"})}),
    "roles of a tenant that is not theirs": ({"roles": {"evil": ["admin"]}}, {}),
    "roles of no tenant": ({"roles": {"": ["admin"], "*": ["admin"]}}, {}),
    "roles that do not exist": ({"roles": ["root", "ADMIN", "", "everyone", "a" * 100_000]}, {}),
    "another tenant": ({"tenant": "evil", "tenants": ["evil"]}, {}),
    "another person": ({"sub": "ada", "subject": "ada", "issuer": "https://evil.test", "provider": "other"}, {}),
    "an address": ({"email": "ceo@example.com", "email_verified": True}, {}),
    "groups": ({"groups": ["AI-Admins"], "permissions": ["all"]}, {}),
}


@pytest.mark.parametrize(("metadata", "expected"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_an_answer_gives_roles_and_nothing_else(metadata: Any, expected: dict[str, frozenset[str]]) -> None:
    user = Theirs(identifier="somebody-else@example.com", metadata=metadata)
    answered = read_answer(user, identity=TWO, roles=ROLES).identity
    given = {one.tenant: one.hook_roles for one in answered.affiliations if one.hook_roles}

    assert given == expected
    assert replace(answered, affiliations=TWO.affiliations) == TWO
    assert [replace(one, hook_roles=frozenset()) for one in answered.affiliations] == list(TWO.affiliations)


def test_what_is_of_no_force_is_named() -> None:
    answer = read_answer(Theirs(metadata={"roles": {"evil": ["root"]}}), identity=TWO, roles=ROLES)

    assert (sorted(answer.unknown), sorted(answer.foreign)) == (["root"], ["evil"])


@pytest.mark.parametrize(
    "returned",
    [
        True,
        "ana@example.com",
        {"identifier": "ana"},
        object(),
        an_identity(),
        Theirs(identifier=None),
        Theirs(identifier=7),
        Theirs(metadata=None),
        Theirs(metadata=["admin"]),
        Theirs(metadata={"roles": 7}),
        Theirs(metadata={"roles": [7]}),
        Theirs(metadata={"role": {"name": "admin"}}),
        Theirs(metadata={"roles": {"acme": {"admin": True}}}),
    ],
    ids=lambda one: repr(one)[:40] if not isinstance(one, Identity) and type(one) is not object else type(one).__name__,
)
def test_what_is_no_user_is_refused(returned: object) -> None:
    with pytest.raises(TypeError):
        read_answer(returned, identity=TWO, roles=ROLES)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "ada"},
        {"issuer": "https://evil.test"},
        {"provider": "other"},
        {"name": "Ada"},
        {"email": "ceo@example.com"},
        {"email_verified": False},
        {"claims": {"roles": ["Tenant Admin"]}},
        {"affiliations": ()},
        {"affiliations": (Affiliation(tenant="beta"),)},
        {"affiliations": (*an_identity().affiliations, Affiliation(tenant="beta"))},
        {"affiliations": (Affiliation(tenant="acme", roles=frozenset({"Tenant Admin"})),)},
        {"affiliations": (Affiliation(tenant="acme", groups=frozenset({"AI-Admins"})),)},
    ],
    ids=lambda changes: f"{next(iter(changes))}-{len(str(changes))}",
)
def test_admission_itself_takes_nothing_but_given_roles(changes: dict[str, Any]) -> None:
    """Also from a hook that this package does not read."""
    with pytest.raises(NotAdmitted, match=AdmissionRefusal.HOOK_FAILED):
        admit(arriving(), spec=a_provider(), hook=lambda arrival: replace(arrival.identity, **changes))


class TestGivenRoles:
    GIVEN = replace(
        TWO, affiliations=(Affiliation(tenant="acme", hook_roles=frozenset({"admin"})), Affiliation(tenant="beta"))
    )

    def test_they_are_roles_with_a_reason_in_their_tenant_alone(self) -> None:
        in_acme, in_beta = (standing_in(self.GIVEN, tenant=one, rules=RULES) for one in ("acme", "beta"))

        assert in_acme is not None
        assert in_acme.grants == (Grant(role="admin", reason="sign-in hook"),)
        assert in_beta is not None
        assert in_beta.grants == ()

    def test_a_rule_that_gives_the_role_too_is_the_reason(self) -> None:
        ana = replace(an_identity().affiliations[0], hook_roles=frozenset({"analyst"}))
        standing = standing_in(an_identity(affiliations=(ana,)), tenant="acme", rules=RULES)

        assert standing is not None
        assert standing.grants == (Grant(role="analyst", reason="group 'AI-Analysts'"),)

    def test_a_role_that_was_taken_out_of_the_file_is_gone(self) -> None:
        standing = standing_in(self.GIVEN, tenant="acme", rules=RULES[1:])

        assert standing is not None
        assert standing.grants == ()

    def test_they_are_stored_with_the_sign_in(self) -> None:
        assert read_identity(write_identity(self.GIVEN)) == self.GIVEN

    def test_a_sign_in_from_before_there_were_hooks_has_none(self) -> None:
        before = write_identity(TWO).replace('"given":[],', "")

        assert "given" not in before
        assert read_identity(before) == TWO
