from dataclasses import replace

import pytest

from portal.errors import NotAdmitted
from portal.rules.identity import Affiliation, Identity
from portal.settings import Admission, ProviderSpec
from portal.sign_in.admission import AdmissionRefusal, Arrival, admit, apply_admission_rules
from tests.builders import a_provider, an_identity

R = AdmissionRefusal


def asking(**conditions: frozenset[str]) -> ProviderSpec:
    return a_provider(admission=Admission(**conditions))


def some(*names: str) -> frozenset[str]:
    return frozenset(names)


def arriving(identity: Identity | None = None) -> Arrival:
    return Arrival(identity=identity or an_identity(), access_token="token", id_token=None)


def refusal(spec: ProviderSpec, identity: Identity | None = None) -> str:
    with pytest.raises(NotAdmitted) as caught:
        apply_admission_rules(identity or an_identity(), spec=spec)
    return str(caught.value)


def test_who_is_asked_for_nothing_comes_in() -> None:
    assert apply_admission_rules(an_identity(), spec=a_provider()) == an_identity()


@pytest.mark.parametrize(
    "spec",
    [
        asking(domains=some("example.com")),
        asking(domains=some("other.test", "example.com")),
        asking(tenants=some("acme")),
        asking(groups=some("AI-Analysts", "Others")),
        asking(domains=some("example.com"), tenants=some("acme"), groups=some("AI-Analysts")),
    ],
    ids=["domain", "one of two", "tenant", "group", "all three"],
)
def test_who_meets_every_condition_comes_in(spec: ProviderSpec) -> None:
    assert apply_admission_rules(an_identity(), spec=spec) == an_identity()


ATTACKS: dict[str, tuple[ProviderSpec, Identity, AdmissionRefusal]] = {
    "another domain": (asking(domains=some("other.test")), an_identity(), R.DOMAIN_NOT_ALLOWED),
    "a domain below": (
        asking(domains=some("example.com")),
        an_identity(email="a@evil.example.com"),
        R.DOMAIN_NOT_ALLOWED,
    ),
    "a domain around": (
        asking(domains=some("example.com")),
        an_identity(email="a@example.com.evil.test"),
        R.DOMAIN_NOT_ALLOWED,
    ),
    "a domain that ends alike": (
        asking(domains=some("example.com")),
        an_identity(email="a@notexample.com"),
        R.DOMAIN_NOT_ALLOWED,
    ),
    "an address nobody vouches for": (
        asking(domains=some("example.com")),
        an_identity(email_verified=False),
        R.DOMAIN_NOT_ALLOWED,
    ),
    "no address": (asking(domains=some("example.com")), an_identity(email=None), R.DOMAIN_NOT_ALLOWED),
    "a provider without organisations": (
        asking(organisations=some("example-org")),
        an_identity(claims={"organisations": ["example-org"]}),
        R.ORGANISATION_NOT_ALLOWED,
    ),
    "another tenant": (asking(tenants=some("beta")), an_identity(), R.TENANT_NOT_ALLOWED),
    "a tenant in capitals": (asking(tenants=some("ACME")), an_identity(), R.TENANT_NOT_ALLOWED),
    "no tenant": (asking(tenants=some("acme")), an_identity(affiliations=(Affiliation(),)), R.TENANT_NOT_ALLOWED),
    "another group": (asking(groups=some("ai-analysts")), an_identity(), R.GROUP_NOT_ALLOWED),
    "one condition of two": (
        asking(tenants=some("acme"), groups=some("Others")),
        an_identity(),
        R.GROUP_NOT_ALLOWED,
    ),
    "groups that the provider would not tell": (
        a_provider(provider_type="azure-ad", admission=Admission(groups=some("AI-Analysts"))),
        an_identity(affiliations=(Affiliation(tenant="acme", groups_left_out=1),)),
        R.GROUPS_UNKNOWN,
    ),
    "a group beyond those that are read": (
        asking(groups=some("Others")),
        an_identity(affiliations=(Affiliation(tenant="acme", groups=some("AI-Analysts"), groups_left_out=101),)),
        R.GROUPS_UNKNOWN,
    ),
    "an organisation beyond the groups that are read": (
        a_provider(provider_type="gitlab", admission=Admission(organisations=some("research"))),
        an_identity(affiliations=(Affiliation(groups=some("platform"), groups_left_out=101),)),
        R.GROUPS_UNKNOWN,
    ),
    "an organisation that is no group": (
        a_provider(provider_type="keycloak", admission=Admission(organisations=some("research"))),
        an_identity(affiliations=(Affiliation(groups_left_out=101),)),
        R.ORGANISATION_NOT_ALLOWED,
    ),
    "groups left out in a tenant that is not allowed": (
        asking(tenants=some("acme"), groups=some("Others")),
        an_identity(affiliations=(*an_identity().affiliations, Affiliation(tenant="beta", groups_left_out=1))),
        R.GROUP_NOT_ALLOWED,
    ),
    "a group in a tenant that is not allowed": (
        asking(tenants=some("beta"), groups=some("AI-Analysts")),
        an_identity(affiliations=(*an_identity().affiliations, Affiliation(tenant="beta"))),
        R.GROUP_NOT_ALLOWED,
    ),
}


@pytest.mark.parametrize(("spec", "identity", "expected"), ATTACKS.values(), ids=ATTACKS)
def test_everyone_else_is_refused(spec: ProviderSpec, identity: Identity, expected: AdmissionRefusal) -> None:
    assert refusal(spec, identity) == expected


@pytest.mark.parametrize("asked", ["example-org", "Example-Org", "EXAMPLE-ORG"])
def test_organisations_have_no_case_where_the_provider_knows_none(asked: str) -> None:
    who = an_identity(claims={"organisations": ["Example-Org", "org:99001"]})
    spec = a_provider(provider_type="github", admission=Admission(organisations=some(asked)))

    assert apply_admission_rules(who, spec=spec) == who


@pytest.mark.parametrize(
    ("provider_type", "asked", "claims"),
    [
        ("github", "example-orK", {"organisations": ["example-or\u212a"]}),
        ("github", "example-org", {"organisations": ["example-org-2"]}),
        ("keycloak", "example-org", {"organization": ["Example-Org"]}),
        ("auth0", "org_9yb", {"org_id": "org_9YB"}),
    ],
    ids=["a letter that only looks alike", "another name", "keycloak", "auth0"],
)
def test_and_are_else_compared_to_the_letter(provider_type: str, asked: str, claims: dict[str, object]) -> None:
    spec = a_provider(provider_type=provider_type, admission=Admission(organisations=some(asked)))

    assert refusal(spec, an_identity(claims=claims)) == R.ORGANISATION_NOT_ALLOWED


def test_domains_have_no_case() -> None:
    identity = an_identity(email="Ana@EXAMPLE.com")

    assert apply_admission_rules(identity, spec=asking(domains=some("example.com"))) == identity


def test_tenants_that_are_not_allowed_are_of_no_force() -> None:
    """An admin of a tenant outside the list must not have that role in the portal."""
    beta = Affiliation(tenant="beta", roles=frozenset({"Tenant Admin"}))
    identity = an_identity(affiliations=(*an_identity().affiliations, beta))

    assert apply_admission_rules(identity, spec=asking(tenants=some("acme"))).tenants == ("acme",)


class TestTheHook:
    def test_it_may_give_roles(self) -> None:
        def hook(arrival: Arrival) -> Identity:
            assert arrival.access_token == "token"
            (affiliation,) = arrival.identity.affiliations
            return replace(arrival.identity, affiliations=(replace(affiliation, hook_roles=frozenset({"vip"})),))

        admitted = admit(arriving(), spec=a_provider(), hook=hook)

        assert admitted.affiliations[0].hook_roles == {"vip"}

    def test_it_may_refuse(self) -> None:
        with pytest.raises(NotAdmitted, match="refused-by-hook"):
            admit(arriving(), spec=a_provider(), hook=lambda _: None)

    def test_whatever_it_raises_refuses_and_is_not_lost(self) -> None:
        def hook(_: Arrival) -> Identity:
            raise KeyError("hd")

        with pytest.raises(NotAdmitted, match="hook-failed") as caught:
            admit(arriving(), spec=a_provider(), hook=hook)
        assert isinstance(caught.value.__cause__, KeyError)

    @pytest.mark.parametrize("changes", [{"subject": "ada"}, {"issuer": "https://evil.test"}, {"provider": "other"}])
    def test_it_cannot_change_who_a_person_is(self, changes: dict[str, str]) -> None:
        with pytest.raises(NotAdmitted, match="hook-failed"):
            admit(arriving(), spec=a_provider(), hook=lambda arrival: replace(arrival.identity, **changes))  # type: ignore[arg-type] # texts all three

    def test_a_hook_that_returns_no_identity_refuses(self) -> None:
        with pytest.raises(NotAdmitted, match="hook-failed"):
            admit(arriving(), spec=a_provider(), hook=lambda _: True)  # type: ignore[arg-type,return-value] # that is the mistake

    def test_it_is_not_called_for_people_whom_the_rules_refuse(self) -> None:
        def hook(_: Arrival) -> Identity:
            raise AssertionError("asked")

        with pytest.raises(NotAdmitted, match="tenant-not-allowed"):
            admit(arriving(), spec=asking(tenants=some("beta")), hook=hook)


@pytest.mark.parametrize("sent", [("groups", "sub"), ()], ids=["named in the identity", "only in the claims"])
def test_a_refusal_has_the_names_of_the_claims_that_came(sent: tuple[str, ...]) -> None:
    came = Arrival(
        identity=an_identity(sent=sent), claims={"sub": "ana", "groups": ["x"]}, access_token="", id_token=None
    )
    with pytest.raises(NotAdmitted) as refused:
        admit(came, spec=a_provider(), hook=lambda _: None)

    assert refused.value.claims == ("groups", "sub")
