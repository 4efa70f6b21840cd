from dataclasses import FrozenInstanceError
from typing import Any, ClassVar

import pytest

from portal.rules.catalogue import EVERYONE, Catalogue
from portal.rules.identity import NO_TENANT, Affiliation
from portal.rules.policy import (
    API_RIGHTS,
    Allowed,
    Denial,
    Denied,
    RoleRule,
    Standing,
    api_rights,
    claims_of_tenant,
    first_tenant,
    landing_app,
    may_open,
    roles_in_ticket,
    standing_in,
    visible_apps,
)
from tests.builders import RULES, a_standing, an_app, an_identity

ADMIN_IN_ACME = Affiliation(tenant="acme", tenant_name="Acme", roles=frozenset({"Tenant Admin"}))
MEMBER_IN_BETA = Affiliation(tenant="beta", tenant_name="Beta", roles=frozenset({"Member"}))
TESS = an_identity(
    affiliations=(MEMBER_IN_BETA, ADMIN_IN_ACME),
    claims={
        "sub": "tess",
        "roles": ["Tenant Admin"],
        "tenants": {"acme": {"roles": ["Tenant Admin"]}, "beta": {"roles": ["Member"]}},
    },
)


def roles_by(when: str | None, *, groups: frozenset[str] = frozenset(), **claims: object) -> frozenset[str]:
    identity = an_identity(
        affiliations=(Affiliation(tenant="acme", roles=frozenset({"Member"}), groups=frozenset({"AI-Analysts"})),),
        claims=claims,
    )
    standing = standing_in(identity, tenant="acme", rules=[RoleRule(role="r", when=when, groups=groups)])
    assert standing is not None
    return standing.roles


class TestDecisions:
    def test_a_careless_if_admits_only_the_allowed(self) -> None:
        allowed = may_open(an_app(), standing=a_standing())

        assert isinstance(allowed, Allowed)
        assert bool(allowed) is True
        assert all(bool(Denied(denial)) is False for denial in Denial)

    def test_a_decision_cannot_be_changed_afterwards(self) -> None:
        decision = may_open(None, standing=a_standing())

        with pytest.raises(FrozenInstanceError):
            decision.denial = Denial.MISSING_ROLE  # type: ignore[union-attr,misc] # that is the attempt

    def test_the_codes_are_stable_and_alphabetized(self) -> None:
        assert [denial.value for denial in Denial] == sorted(denial.value for denial in Denial)
        assert {denial.value for denial in Denial} == {
            "groups-unknown",
            "missing-role",
            "not-in-tenant",
            "not-signed-in",
            "open-to-nobody",
            "other-provider",
            "unknown-app",
        }


class TestMayOpen:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"open_to": frozenset({"analyst"})}, "role 'analyst'"),
            ({"open_to": frozenset({"admin", "analyst"})}, "role 'analyst'"),
            ({"open_to": frozenset({EVERYONE})}, "open to everyone signed in"),
            ({"open_to": frozenset({"analyst"}), "tenants": frozenset({"acme"})}, "role 'analyst'"),
            ({"open_to": frozenset(), "people": frozenset({"ana@example.com"})}, "listed by address"),
            ({"open_to": frozenset({"admin"}), "people": frozenset({"ana@example.com"})}, "listed by address"),
        ],
    )
    def test_what_opens(self, changes: dict[str, object], expected: str) -> None:
        decision = may_open(an_app(**changes), standing=a_standing())

        assert isinstance(decision, Allowed)
        assert decision.reason == expected

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"open_to": frozenset({"admin"})}, Denied(Denial.MISSING_ROLE, frozenset({"admin"}))),
            ({"open_to": frozenset({"Analyst"})}, Denied(Denial.MISSING_ROLE, frozenset({"Analyst"}))),
            ({"open_to": frozenset()}, Denied(Denial.OPEN_TO_NOBODY)),
            ({"open_to": frozenset(), "people": frozenset({"bob@example.com"})}, Denied(Denial.MISSING_ROLE)),
            ({"tenants": frozenset({"beta"})}, Denied(Denial.NOT_IN_TENANT)),
            ({"tenants": frozenset()}, Denied(Denial.NOT_IN_TENANT)),
            ({"open_to": frozenset({EVERYONE}), "tenants": frozenset({"beta"})}, Denied(Denial.NOT_IN_TENANT)),
            (
                {"people": frozenset({"ana@example.com"}), "tenants": frozenset({"beta"})},
                Denied(Denial.NOT_IN_TENANT),
            ),
        ],
    )
    def test_what_stays_closed(self, changes: dict[str, object], expected: Denied) -> None:
        assert may_open(an_app(**changes), standing=a_standing()) == expected

    @pytest.mark.parametrize(("provider", "opens"), [(None, True), ("*", True), ("company", True), ("partner", False)])
    def test_an_app_of_one_providers_people_is_closed_to_anothers(self, provider: str | None, *, opens: bool) -> None:
        app = an_app(provider=provider, tenants=frozenset({"acme"}), people=frozenset({"ana@example.com"}))
        decision = may_open(app, standing=a_standing())

        assert bool(decision) is opens
        assert opens or decision == Denied(Denial.OTHER_PROVIDER)

    def test_a_stranger_does_not_learn_which_apps_exist(self) -> None:
        assert may_open(None, standing=None) == may_open(an_app(), standing=None) == Denied(Denial.NOT_SIGNED_IN)

    def test_an_unknown_app_opens_for_no_one(self) -> None:
        assert may_open(None, standing=a_standing()) == Denied(Denial.UNKNOWN_APP)

    @pytest.mark.parametrize("email", ["ana@example.com", "ANA@Example.COM"])
    def test_an_address_opens_only_if_the_provider_vouches_for_it(self, email: str) -> None:
        app = an_app(open_to=frozenset(), people=frozenset({"ana@example.com"}))
        vouched = a_standing(an_identity(email=email, email_verified=True))
        claimed = a_standing(an_identity(email=email, email_verified=False))

        assert may_open(app, standing=vouched)
        assert not may_open(app, standing=claimed)

    def test_a_person_without_address_matches_no_listed_one(self) -> None:
        app = an_app(open_to=frozenset(), people=frozenset({"", "none"}))

        assert not may_open(app, standing=a_standing(an_identity(email=None, email_verified=True)))

    def test_no_role_of_the_name_everyone_is_needed(self) -> None:
        """Everyone means signed in; it is not a role."""
        app = an_app(open_to=frozenset({EVERYONE}))

        assert may_open(app, standing=a_standing(an_identity(affiliations=(Affiliation(tenant="acme"),))))


class TestTenants:
    def test_an_admin_of_one_tenant_has_no_role_in_another(self) -> None:
        """The tutorial united the roles of all tenants, which made an admin of one an admin everywhere."""
        assert a_standing(TESS, tenant="acme").roles == {"admin"}
        assert a_standing(TESS, tenant="beta").roles == frozenset()

    @pytest.mark.parametrize("tenant", ["", "gamma", "ACME", "acme "])
    def test_a_person_has_no_roles_in_a_tenant_of_others(self, tenant: str) -> None:
        assert standing_in(TESS, tenant=tenant, rules=RULES) is None

    @pytest.mark.parametrize(
        "when",
        [
            "contains(tenants.acme.roles || `[]`, 'Tenant Admin')",
            "contains(tenants.*.roles[], 'Tenant Admin')",
            "contains(values(tenants)[].roles[], 'Tenant Admin')",
            "contains(keys(tenants), 'acme')",
            "contains(roles, 'Tenant Admin')",
            "tenant == 'acme'",
        ],
    )
    def test_no_rule_reads_another_tenant(self, when: str) -> None:
        rules = [RoleRule(role="admin", when=when)]
        in_acme = standing_in(TESS, tenant="acme", rules=rules)
        in_beta = standing_in(TESS, tenant="beta", rules=rules)

        assert in_acme is not None
        assert in_beta is not None
        assert in_acme.roles == {"admin"}
        assert in_beta.roles == frozenset()

    def test_without_tenants_a_rule_sees_none(self) -> None:
        identity = an_identity(affiliations=(Affiliation(),), claims={"tenant": "acme"})

        assert claims_of_tenant(identity, identity.affiliations[0])["tenant"] is None

    def test_groups_of_one_tenant_give_nothing_in_another(self) -> None:
        identity = an_identity(
            affiliations=(
                Affiliation(tenant="acme", groups=frozenset({"AI-Analysts"})),
                Affiliation(tenant="beta"),
            ),
            claims={"groups": ["AI-Analysts"]},
        )

        assert a_standing(identity, tenant="acme").roles == {"analyst"}
        assert a_standing(identity, tenant="beta").roles == frozenset()


class TestRoleRules:
    @pytest.mark.parametrize(
        "when",
        [
            "contains(roles, 'Member')",
            "contains(groups, 'AI-Analysts')",
            "tenant == 'acme'",
            "department == 'Sales'",
            "level >= `3`",
            "email == 'ana@example.com'",
            "`true`",
            "not_null(department) && contains(roles, 'Member')",
        ],
    )
    def test_what_gives_a_role(self, when: str) -> None:
        assert roles_by(when, department="Sales", level=3) == {"r"}

    @pytest.mark.parametrize(
        "when",
        [
            "`false`",
            "`1`",
            '`"true"`',
            "'true'",
            "roles",
            "@",
            "[]",
            "roles[?@ == 'Member']",
            "department",
            "missing",
            "missing.deeper.still",
            "contains(missing, 'Member')",
            "contains(level, 'Member')",
            "starts_with(level, 'x')",
            "length(level) > `0`",
            "department > `3`",
            "floor(endless) == `1`",
            "contains(roles, 'Mem')",
            "contains(roles, 'member')",
            "flag",
            "contains(roles",
            "nonsense(roles)",
            "",
        ],
    )
    def test_only_exactly_true_gives_a_role(self, when: str) -> None:
        """A rule that yields "true", 1 or a full list, or that fails, gives no access."""
        assert roles_by(when, department="Sales", level=3, flag="true", endless=float("inf")) == frozenset()

    def test_a_text_is_not_a_list_of_roles(self) -> None:
        """``contains`` finds "Member" in the text "No Member here": the list of roles is not the claim's text."""
        assert roles_by("contains(roles, 'Admin')", roles="not an Admin at all") == frozenset()

    @pytest.mark.parametrize("name", ["roles", "groups", "permissions", "tenant", "email"])
    def test_what_rules_read_is_never_the_raw_claim(self, name: str) -> None:
        identity = an_identity(email_verified=False, claims={name: "planted"})

        assert claims_of_tenant(identity, identity.affiliations[0])[name] != "planted"

    def test_an_unverified_address_gives_no_role(self) -> None:
        rule = RoleRule(role="boss", when="email == 'ana@example.com'")
        claimed = standing_in(an_identity(email_verified=False), tenant="acme", rules=[rule])

        assert claimed is not None
        assert claimed.roles == frozenset()

    @pytest.mark.parametrize("group", ["ai-analysts", "AI-Analysts ", "AI", "", "AI-Analysts,admin"])
    def test_groups_match_exactly(self, group: str) -> None:
        assert roles_by(None, groups=frozenset({group})) == frozenset()

    def test_one_of_the_groups_is_enough(self) -> None:
        assert roles_by(None, groups=frozenset({"AI-Analysts", "Others"})) == {"r"}

    def test_a_group_is_enough_where_the_expression_says_no(self) -> None:
        assert roles_by("`false`", groups=frozenset({"AI-Analysts"})) == {"r"}

    def test_a_rule_about_one_provider_gives_nothing_at_another(self) -> None:
        """The operator of a second provider must not be able to give the first one's roles."""
        rules = [RoleRule(role="r", groups=frozenset({"AI-Analysts"}), provider="company")]
        of_company = standing_in(an_identity(), tenant="acme", rules=rules)
        of_partner = standing_in(an_identity(provider="partner"), tenant="acme", rules=rules)

        assert of_company is not None
        assert of_partner is not None
        assert of_company.roles == {"r"}
        assert of_partner.roles == frozenset()

    def test_each_role_carries_the_first_rule_that_gave_it(self) -> None:
        rules = [
            RoleRule(role="r", when="`false`"),
            RoleRule(role="r", groups=frozenset({"AI-Analysts"})),
            RoleRule(role="r", when="`true`"),
            RoleRule(role="s", when="`true`"),
        ]
        standing = standing_in(an_identity(), tenant="acme", rules=rules)

        assert standing is not None
        assert [(grant.role, grant.reason) for grant in standing.grants] == [
            ("r", "group 'AI-Analysts'"),
            ("s", "when `true`"),
        ]


class TestLists:
    CATALOGUE = Catalogue(
        (
            an_app(slug="admins", open_to=frozenset({"admin"})),
            an_app(slug="forecast"),
            an_app(slug="closed", open_to=frozenset()),
            an_app(slug="news", open_to=frozenset({EVERYONE})),
        )
    )

    def test_people_see_what_they_may_open_in_catalogue_order(self) -> None:
        assert [app.slug for app in visible_apps(self.CATALOGUE, standing=a_standing())] == ["forecast", "news"]

    def test_strangers_see_nothing(self) -> None:
        assert visible_apps(self.CATALOGUE, standing=None) == ()

    @pytest.mark.parametrize(
        ("landing", "expected"),
        [
            (["admins", "news", "forecast"], "news"),
            (["forecast", "news"], "forecast"),
            (["admins", "closed", "gone"], None),
            ([], None),
        ],
    )
    def test_people_land_on_the_first_app_they_may_open(self, landing: list[str], expected: str | None) -> None:
        app = landing_app(self.CATALOGUE, landing=landing, standing=a_standing())

        assert (app.slug if app else None) == expected

    def test_an_app_learns_only_the_roles_its_rule_names(self) -> None:
        identity = an_identity(
            affiliations=(
                Affiliation(tenant="acme", roles=frozenset({"Tenant Admin"}), groups=frozenset({"AI-Analysts"})),
            )
        )
        standing = a_standing(identity)

        assert standing.roles == {"admin", "analyst"}
        assert roles_in_ticket(an_app(), standing=standing) == {"analyst"}
        assert roles_in_ticket(an_app(open_to=frozenset({EVERYONE})), standing=standing) == frozenset()


class TestGroupsThatAreNotKnown:
    """They give no access, and a refusal says so if one of them might have."""

    RULES = (
        RoleRule(role="analyst", groups=frozenset({"AI-Analysts"})),
        RoleRule(role="auditor", when="contains(groups, 'Auditors')"),
        RoleRule(role="admin", when="contains(roles, 'Tenant Admin')"),
        RoleRule(role="other", groups=frozenset({"x"}), provider="another"),
    )

    def standing(self, *groups: str, left_out: int = 101, **changes: Any) -> Standing:
        affiliation = Affiliation(tenant="acme", groups=frozenset(groups), groups_left_out=left_out, **changes)
        standing = standing_in(an_identity(affiliations=(affiliation,)), tenant="acme", rules=self.RULES)
        assert standing is not None
        return standing

    def test_roles_that_one_of_them_might_give_are_uncertain(self) -> None:
        assert self.standing().uncertain == {"analyst", "auditor"}
        assert self.standing("AI-Analysts").uncertain == {"auditor"}
        assert self.standing(left_out=0).uncertain == frozenset()

    @pytest.mark.parametrize(
        ("open_to", "left_out", "expected"),
        [
            ({"analyst"}, 101, Denial.GROUPS_UNKNOWN),
            ({"admin", "auditor"}, 1, Denial.GROUPS_UNKNOWN),
            ({"analyst"}, 0, Denial.MISSING_ROLE),
            ({"admin"}, 101, Denial.MISSING_ROLE),
            ({"other"}, 101, Denial.MISSING_ROLE),
            (set(), 101, Denial.OPEN_TO_NOBODY),
        ],
    )
    def test_the_refusal_says_so(self, open_to: set[str], left_out: int, expected: Denial) -> None:
        decision = may_open(an_app(open_to=frozenset(open_to)), standing=self.standing(left_out=left_out))

        assert decision == Denied(expected, frozenset(open_to))

    def test_an_uncertain_role_opens_nothing(self) -> None:
        standing = self.standing()

        assert standing.roles == frozenset()
        assert not may_open(an_app(open_to=frozenset({"analyst"})), standing=standing)

    def test_another_way_in_goes_on(self) -> None:
        standing = self.standing(roles=frozenset({"Tenant Admin"}))

        assert may_open(an_app(open_to=frozenset({"analyst", "admin"})), standing=standing)


class TestApiRights:
    ADMINS = frozenset({"audit:read", "sign-ins:end"})

    @pytest.mark.parametrize(
        ("of_app", "tenant", "expected"),
        [
            ({"audit:read"}, "acme", {"audit:read"}),
            ({"audit:read", "sign-ins:end"}, "acme", {"audit:read", "sign-ins:end"}),
            ({"sign-ins:read"}, "acme", set()),
            ({"audit:read"}, "beta", set()),
            (set(), "acme", set()),
            ({"made:up"}, "acme", set()),
        ],
    )
    def test_rights_are_the_apps_as_far_as_the_roles_give_them(
        self, of_app: set[str], tenant: str, expected: set[str]
    ) -> None:
        app = an_app(portal_api=frozenset(of_app))
        rights = api_rights(
            app,
            standing=a_standing(TESS, tenant=tenant),
            rights_of_roles={"admin": self.ADMINS | {"made:up"}, "other": frozenset(API_RIGHTS)},
        )

        assert rights == expected

    def test_a_role_without_rights_gives_none(self) -> None:
        app = an_app(portal_api=frozenset(API_RIGHTS))

        assert api_rights(app, standing=a_standing(), rights_of_roles={}) == frozenset()


class TestFirstTenant:
    @pytest.mark.parametrize(
        ("wanted", "expected"), [("beta", "beta"), ("acme", "acme"), ("gamma", "acme"), ("", "acme"), (None, "acme")]
    )
    def test_it_is_the_wanted_one_else_that_with_most_roles(self, wanted: str | None, expected: str) -> None:
        assert first_tenant(TESS, wanted=wanted, rules=RULES) == expected

    def test_it_is_the_first_where_all_give_the_same(self) -> None:
        assert first_tenant(TESS, wanted=None, rules=()) == "beta"

    def test_people_without_tenants_begin_in_none(self) -> None:
        assert first_tenant(an_identity(affiliations=(Affiliation(),)), wanted="acme", rules=RULES) == NO_TENANT
        assert first_tenant(an_identity(affiliations=()), wanted=None, rules=RULES) == NO_TENANT


class TestClaimsAsTheyWereWritten:
    OBJECTS: ClassVar[dict[str, object]] = {
        "groups": [{"groupId": "ADMINS", "roles": ["ADMIN"]}],
        "roles": [{"owner": "org", "name": "editor"}],
    }

    @pytest.mark.parametrize(
        "when",
        [
            "contains(claims.groups[].groupId, 'ADMINS')",
            "contains(claims.roles[].name, 'editor')",
            "length(claims.groups[?groupId == 'ADMINS' && contains(roles, 'ADMIN')]) > `0`",
            "claims.sub == sub",
        ],
    )
    def test_a_rule_finds_them_under_claims(self, when: str) -> None:
        identity = an_identity(affiliations=(Affiliation(),), claims={"sub": "u1", **self.OBJECTS})
        standing = standing_in(identity, tenant="", rules=[RoleRule(role="r", when=when)])

        assert standing is not None
        assert standing.roles == {"r"}

    def test_lists_of_names_are_there_too(self) -> None:
        affiliation = Affiliation(groups=frozenset({"b", "a"}))
        document = claims_of_tenant(an_identity(affiliations=(affiliation,), claims={"sub": "u1"}), affiliation)

        assert document["claims"] == {
            "sub": "u1",
            "email": "ana@example.com",
            "groups": ["a", "b"],
            "roles": [],
            "permissions": [],
        }

    def test_they_are_no_way_around_a_tenant(self) -> None:
        document = claims_of_tenant(TESS, MEMBER_IN_BETA)

        assert document["claims"] == {
            "sub": "tess",
            "email": "ana@example.com",
            "tenants": {"beta": {"roles": ["Member"]}},
        }

    def test_an_unverified_address_adds_nothing(self) -> None:
        identity = an_identity(email_verified=False, claims={"email": "ceo@example.com"})
        document = claims_of_tenant(identity, identity.affiliations[0])

        assert document["claims"]["email"] is None  # type: ignore[index] # a mapping
