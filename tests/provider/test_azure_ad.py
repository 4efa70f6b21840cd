"""The whole sign-in at Entra ID: from Chainlit's variables to a sign-in, at an emulation with Entra's quirks."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.rules.identity import Affiliation, Identity
from portal.settings import Admission, ProviderSpec, Secret
from tests.provider.browser import Browser
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.azure_ad import (
    CAROL,
    CONSUMERS,
    CONTOSO,
    FABRIKAM,
    GRAPH,
    STRANGERS,
    Entra,
    group,
)
from tests.provider.emulations.serving import Answer, as_json, serving

MANY = [group(number) for number in range(1, 251)]


@pytest.fixture
def theirs() -> Iterator[Entra]:
    with serving(Entra) as emulation:
        yield emulation


def spec_of(theirs: Entra, folder: Path, *tenants: str, provider_type: str = "azure-ad") -> ProviderSpec:
    """Return the provider that Chainlit's variables and the address of another cloud configure."""
    lines = (
        "[[providers]]",
        f'id = "{provider_type}"',
        f'type = "{provider_type}"',
        'client_id_env = "OAUTH_AZURE_AD_CLIENT_ID"',
        'client_secret_env = "OAUTH_AZURE_AD_CLIENT_SECRET"',
        f'tenant_id = "{",".join(tenants or (CONTOSO,))}"',
        f'authority = "{theirs.url}"',
        f'graph = "{theirs.url}"',
    )
    environ = {
        "OAUTH_AZURE_AD_CLIENT_ID": theirs.CLIENT_ID,
        "OAUTH_AZURE_AD_CLIENT_SECRET": theirs.CLIENT_SECRET,
    }
    return configured(folder, environ, "\n".join(lines) + "\n")


@pytest.fixture
def spec(theirs: Entra, tmp_path: Path) -> ProviderSpec:
    return spec_of(theirs, tmp_path)


@pytest.fixture
def deployment(spec: ProviderSpec, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, spec)


@pytest.fixture
def several(theirs: Entra, tmp_path: Path) -> Deployment:
    """A portal for the people of two tenants."""
    theirs.way = "organizations"
    return Deployment(tmp_path, spec_of(theirs, tmp_path, CONTOSO, FABRIKAM))


def signed_in(deployment: Deployment, theirs: Entra) -> Identity:
    response = deployment.browser.get(theirs.consent(deployment.begin()))
    assert response.status_code == 303, response.text
    issuer = f"{theirs.url}/{theirs.home}/v2.0"
    (sign_in,) = deployment.portal.services.sign_ins.of_tenant(theirs.home, issuer=issuer, now=deployment.portal.now)
    return sign_in.identity


def test_a_person_signs_in_in_their_tenant(deployment: Deployment, theirs: Entra) -> None:
    url = deployment.begin()
    asked = parse_qs(urlsplit(url).query)
    identity = signed_in(deployment, theirs)

    assert asked["scope"] == ["openid profile email User.Read offline_access"]
    assert asked["redirect_uri"] == [f"{URL}/auth/oauth/azure-ad/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert (identity.issuer, identity.subject) == (f"{theirs.url}/{CONTOSO}/v2.0", CAROL)
    (affiliation,) = identity.affiliations
    assert affiliation == Affiliation(tenant=CONTOSO, roles=frozenset({"Portal.Admin"}), groups=frozenset({group(1)}))
    assert identity.verified_email is None
    assert GRAPH not in theirs.paths()
    assert "/oidc/userinfo" not in theirs.paths()


def test_the_hybrid_variables_lead_to_the_same_people(theirs: Entra, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, spec_of(theirs, tmp_path, provider_type="azure-ad-hybrid"))
    url = deployment.begin()

    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{URL}/auth/oauth/azure-ad-hybrid/callback"]
    assert parse_qs(urlsplit(url).query)["response_type"] == ["code"]
    assert signed_in(deployment, theirs).subject == CAROL


def test_chainlits_scopes_do_not_leave_out_who_it_is(spec: ProviderSpec, theirs: Entra, tmp_path: Path) -> None:
    scopes = ("https://graph.microsoft.com/User.Read", "offline_access")
    deployment = Deployment(tmp_path, replace(spec, scopes=scopes))

    assert signed_in(deployment, theirs).subject == CAROL


class TestTenants:
    @pytest.mark.parametrize("home", [CONTOSO, FABRIKAM])
    def test_people_of_each_that_is_listed_come_in(self, several: Deployment, theirs: Entra, home: str) -> None:
        theirs.home = home
        identity = signed_in(several, theirs)

        assert identity.tenants == (home,)
        assert identity.issuer == f"{theirs.url}/{home}/v2.0"

    @pytest.mark.parametrize("home", [STRANGERS])
    def test_others_prove_who_they_are_and_stay_out(self, several: Deployment, theirs: Entra, home: str) -> None:
        theirs.home = home
        page = several.browser.get(theirs.consent(several.begin()))

        assert page.status_code == 403
        assert "does not allow this account" in page.text
        assert not several.browser.is_signed_in

    def test_private_accounts_do_not_get_through_unless_they_are_listed(
        self, several: Deployment, theirs: Entra, tmp_path: Path
    ) -> None:
        theirs.home = CONSUMERS
        assert several.browser.get(theirs.consent(several.begin())).status_code == 403

        (tmp_path / "other").mkdir()
        deployment = Deployment(tmp_path / "other", spec_of(theirs, tmp_path, CONTOSO, CONSUMERS))
        theirs.way = "common"
        assert signed_in(deployment, theirs).tenants == (CONSUMERS,)

    def test_one_tenants_endpoints_turn_strangers_away_themselves(self, deployment: Deployment, theirs: Entra) -> None:
        theirs.home = STRANGERS
        page = deployment.browser.get(theirs.consent(deployment.begin()))

        assert page.status_code == 403
        assert not deployment.browser.is_signed_in

    def test_a_token_of_another_tenant_is_none_of_this_one(self, deployment: Deployment, theirs: Entra) -> None:
        """The keys are the same for all tenants: what tells them apart is the issuer."""
        theirs.person |= {"iss": f"{theirs.url}/{STRANGERS}/v2.0", "tid": STRANGERS}
        page = deployment.browser.get(theirs.consent(deployment.begin()))

        assert page.status_code == 400
        assert not deployment.browser.is_signed_in

    @pytest.mark.parametrize(
        "claims",
        [
            # One tenant's issuer with another one's id.
            {"tid": FABRIKAM},
            {"tid": None},
            {"tid": "{tenantid}", "iss": "the template"},
            {"tid": "common", "iss": "common"},
            {"tid": [CONTOSO]},
            {"ver": "1.0"},
            {"ver": None},
            {"oid": None},
            {"oid": "carol"},
            {"oid": [CAROL]},
        ],
        ids=json.dumps,
    )
    def test_tokens_that_do_not_say_whose_they_are(
        self, several: Deployment, theirs: Entra, claims: dict[str, object]
    ) -> None:
        named = {"the template": f"{theirs.url}/{{tenantid}}/v2.0", "common": f"{theirs.url}/common/v2.0"}
        said = {**claims, **({"iss": named[str(claims["iss"])]} if "iss" in claims else {})}
        theirs.person |= said
        page = several.browser.get(theirs.consent(several.begin()))

        assert page.status_code == 400
        assert not several.browser.is_signed_in

    def test_the_key_of_private_accounts_signs_for_no_company(self, several: Deployment, theirs: Entra) -> None:
        theirs.key_issuer = f"{theirs.url}/{CONSUMERS}/v2.0"
        page = several.browser.get(theirs.consent(several.begin()))

        assert page.status_code == 400

    def test_a_callback_of_another_issuer_is_rejected(self, several: Deployment, theirs: Entra) -> None:
        callback = theirs.consent(several.begin())

        assert several.browser.get(f"{callback}&iss=https://evil.test/{CONTOSO}/v2.0").status_code == 400
        assert not any(path.endswith("/token") for path in theirs.paths())


class TestVeryManyGroups:
    def test_they_are_asked_for_at_graph_and_nowhere_else(self, deployment: Deployment, theirs: Entra) -> None:
        theirs.groups = MANY
        identity = signed_in(deployment, theirs)

        assert identity.affiliations[0].groups == set(MANY)
        assert theirs.paths().count(GRAPH) == 3
        assert not any(path.startswith("/retired/") for path in theirs.paths())
        assert not {"_claim_names", "_claim_sources", "memberships"} & identity.claims.keys()

    def test_where_graph_will_not_say_nothing_follows(
        self, deployment: Deployment, theirs: Entra, caplog: pytest.LogCaptureFixture
    ) -> None:
        theirs.groups, theirs.grants_graph = MANY, False
        identity = signed_in(deployment, theirs)

        assert identity.affiliations[0].groups == frozenset()
        assert identity.affiliations[0].roles == {"Portal.Admin"}
        assert "azure-ad refuses to answer memberships" in caplog.text

    def test_with_a_token_for_another_api_nothing_follows(self, deployment: Deployment, theirs: Entra) -> None:
        """Scopes of the company's own API, and Graph's word for the token they bring: it will never be another."""
        theirs.groups = MANY
        theirs.instead[GRAPH] = as_json({"error": {"code": "InvalidAuthenticationToken"}}, status=401)
        (affiliation,) = signed_in(deployment, theirs).affiliations

        assert (affiliation.groups, affiliation.groups_left_out) == (frozenset(), 1)
        assert affiliation.roles == {"Portal.Admin"}

    def test_whoever_must_be_in_a_group_learns_that_it_could_not_be_seen(
        self, spec: ProviderSpec, theirs: Entra, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        wanted = Admission(tenants=spec.admission.tenants, groups=frozenset({group(7)}))
        deployment = Deployment(tmp_path, replace(spec, admission=wanted))
        theirs.groups, theirs.grants_graph = MANY, False
        page = deployment.browser.get(theirs.consent(deployment.begin()))

        assert page.status_code == 403
        assert "groups-unknown" in caplog.text

    @pytest.mark.parametrize(
        "answer",
        [
            as_json({"error": {"code": "InternalServerError"}}, status=500),
            as_json({"error": {"code": "TooManyRequests"}}, status=429, Retry_After="10"),
            as_json({"error": {"code": "Authorization_RequestDenied"}}, status=403, Retry_After="10"),
            as_json({"error": {"code": "InvalidAuthenticationToken"}}, status=401, Retry_After="10"),
            as_json({"value": {"id": group(7)}}),
            as_json({"value": [], "@odata.nextLink": 7}),
            as_json([{"id": group(7)}]),
            as_json({"value": [], "@odata.nextLink": "https://evil.test/v1.0/me/transitiveMemberOf"}),
            as_json({"value": [], "@odata.nextLink": "//evil.test/v1.0"}),
            Answer(b'{"value": ['),
            Answer(b"x" * 2_000_000),
            Answer(b"", 302, {"Location": "https://evil.test/"}),
        ],
        ids=lambda one: f"{one.status}-{one.body[:60]!r}-{sorted(one.headers)}",
    )
    def test_an_error_of_graph_signs_no_one_in(self, deployment: Deployment, theirs: Entra, answer: Answer) -> None:
        theirs.groups = MANY
        theirs.instead[GRAPH] = answer
        page = deployment.browser.get(theirs.consent(deployment.begin()))

        assert page.status_code == 502
        assert not deployment.browser.is_signed_in

    def test_a_list_without_end_is_cut(self, deployment: Deployment, theirs: Entra) -> None:
        theirs.groups = MANY
        entry = {"@odata.type": "#microsoft.graph.group", "id": group(7)}
        theirs.instead[GRAPH] = as_json({"value": [entry], "@odata.nextLink": f"{theirs.url}{GRAPH}"})

        (affiliation,) = signed_in(deployment, theirs).affiliations

        assert (affiliation.groups, affiliation.groups_left_out) == (frozenset({group(7)}), 1)
        assert theirs.paths().count(GRAPH) == 3


def test_an_address_counts_only_where_its_domains_owner_vouches(deployment: Deployment, theirs: Entra) -> None:
    theirs.person |= {"email": "boss@victim.example", "email_verified": True}
    assert signed_in(deployment, theirs).verified_email is None

    theirs.person |= {"email": "carol@contoso.com", "xms_edov": True}
    deployment.browser = Browser(deployment.portal)
    deployment.browser.get(theirs.consent(deployment.begin()))
    emails = {
        one.identity.verified_email
        for one in deployment.portal.services.sign_ins.of_tenant(
            CONTOSO, issuer=f"{theirs.url}/{CONTOSO}/v2.0", now=deployment.portal.now
        )
    }
    assert emails == {None, "carol@contoso.com"}


def test_signing_out_names_the_account(deployment: Deployment, theirs: Entra) -> None:
    signed_in(deployment, theirs)
    url = deployment.leave()

    assert url is not None
    assert parse_qs(urlsplit(url).query)["logout_hint"] == ["O.CiQ2OTAyMjJiZQ"]
    assert "id_token_hint" not in url
    back = theirs.sign_out(url)
    assert back is not None
    assert "still be signed in to Microsoft" in deployment.browser.get(back).text


def test_a_wrong_secret_is_the_portals_trouble(spec: ProviderSpec, theirs: Entra, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, replace(spec, client_secret=Secret("wrong")))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 500


def test_an_unknown_tenant_is_reported(theirs: Entra, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, spec_of(theirs, tmp_path, STRANGERS))

    assert deployment.browser.get("/auth/oauth/azure-ad").status_code == 502
