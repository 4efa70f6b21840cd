"""Entra's ID tokens as its reference shows them, and what must not follow from them."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from portal.errors import CallbackRejected
from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.rules.policy import RoleRule
from portal.settings import Admission, Settings
from portal.sign_in.explanation import explain
from portal.sign_in.provider_types import PROVIDER_TYPES, read_identity
from portal.sign_in.provider_types.azure_ad import (
    CONSUMERS,
    GRAPHS,
    entra_sign_out,
    exceeds_token,
    is_entra,
    is_key_of,
)
from portal.sign_in.provider_types.base import TRUNCATED, UnusableOption
from portal.sign_in.provider_types.sign_out import SignOutRequest
from tests.portal.sign_in.provider_types.reading import located, spec_at, without

CONTOSO = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
FABRIKAM = "2a1b7d6e-0c52-4f43-8f0e-6a2f6f9b1c11"
CAROL_ID = "690222be-ff1a-4d56-abd1-7e4f7d38e474"
GROUP = "3ed33c2a-6b1c-4a8e-9d07-3b1f0a0c1111"
HOST = "https://login.microsoftonline.com"

SPEC = spec_at("azure-ad", tenant_id=CONTOSO)
SEVERAL = spec_at("azure-ad", tenant_id=f"{CONTOSO}, {FABRIKAM}")

CAROL: dict[str, Any] = {
    "aud": "6731de76-14a6-49ae-97bc-6eba6914391e",
    "iss": f"{HOST}/{CONTOSO}/v2.0",
    "iat": 1795249580,
    "nbf": 1795249580,
    "exp": 1795253480,
    "aio": "AXQAi/8",
    "name": "Carol Contoso",
    "nonce": "N",
    "oid": CAROL_ID,
    "preferred_username": "carol@contoso.com",
    "email": "carol@contoso.com",
    "xms_edov": True,
    "rh": "0.AAA",
    "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
    "tid": CONTOSO,
    "uti": "fqiBqXLPj0eQa82S-IYFAA",
    "ver": "2.0",
    "roles": ["Portal.Admin"],
    "groups": [GROUP],
    "wids": ["b79fbf4d-3ef9-4689-8143-76b194e85509"],
}
OVERAGE: dict[str, Any] = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": f"https://graph.windows.net/{CONTOSO}/users/{CAROL_ID}/getMemberObjects"}},
}


def read(**claims: object) -> Identity:
    return read_identity(VerifiedClaims({**CAROL, **claims}), spec=SPEC)


def a_group(number: int) -> dict[str, object]:
    return {"@odata.type": "#microsoft.graph.group", "id": f"3ed33c2a-6b1c-4a8e-9d07-{number:012x}"}


def test_tenant_and_object_id_are_the_account() -> None:
    identity = read()

    assert (identity.issuer, identity.subject) == (f"{HOST}/{CONTOSO}/v2.0", CAROL_ID)
    assert identity.name == "Carol Contoso"
    assert read(sub="of-another-app", preferred_username="married@contoso.com", email=None).id == identity.id


def test_one_object_id_in_two_tenants_is_two_people() -> None:
    """A guest has another object id there; a chosen object id must not identify a person of this tenant."""
    other = {**CAROL, "tid": FABRIKAM, "iss": f"{HOST}/{FABRIKAM}/v2.0"}

    assert read_identity(VerifiedClaims(other), spec=SEVERAL).id != read().id


def test_an_account_stays_when_more_tenants_are_let_in() -> None:
    assert read_identity(VerifiedClaims(CAROL), spec=SEVERAL).id == read().id


@pytest.mark.parametrize("name", ["tid", "oid"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "common",
        "contoso.com",
        7,
        True,
        [CONTOSO],
        {"id": CONTOSO},
        CONTOSO.upper(),
        f"{CONTOSO}\n",
        f"{CONTOSO}/x",
    ],
)
def test_without_tenant_or_object_id_there_is_nobody(name: str, value: object) -> None:
    with pytest.raises(CallbackRejected):
        read(**{name: value})


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        (CAROL, True),
        # nOAuth: an administrator of any tenant writes any address into it.
        (without(CAROL, "xms_edov"), False),
        ({**CAROL, "xms_edov": False}, False),
        ({**CAROL, "xms_edov": "false"}, False),
        ({**CAROL, "xms_edov": "0"}, False),
        ({**CAROL, "xms_edov": 0}, False),
        ({**CAROL, "xms_edov": None}, False),
        ({**CAROL, "xms_edov": [True]}, False),
        ({**CAROL, "xms_edov": "TRUE"}, False),
        ({**CAROL, "xms_edov": "true"}, True),
        ({**CAROL, "xms_edov": "1"}, True),
        ({**CAROL, "xms_edov": 1}, True),
        ({**without(CAROL, "xms_edov"), "email_verified": True}, False),
        ({**CAROL, "xms_edov": False, "email_verified": True}, False),
        ({**CAROL, "email": "carol@contoso.com\n"}, False),
        ({**CAROL, "email": "carol@\u212aontoso.com"}, False),
        ({**CAROL, "email": ["carol@contoso.com"]}, False),
    ],
)
def test_an_address_counts_where_its_domains_owner_vouches(claims: dict[str, Any], verified: bool) -> None:  # noqa: FBT001 - a column
    identity = read_identity(VerifiedClaims(claims), spec=SPEC)

    assert identity.email_verified is verified
    assert identity.claims["email_verified"] is any(claims.get("xms_edov") == one for one in (True, "1", "true"))


def test_a_user_name_is_not_an_address() -> None:
    identity = read_identity(VerifiedClaims(without(CAROL, "email", "name")), spec=SPEC)

    assert (identity.email, identity.username, identity.name) == (None, identity.id, "carol@contoso.com")


def test_roles_and_groups_belong_to_the_tenant() -> None:
    assert read().affiliations == (
        Affiliation(tenant=CONTOSO, roles=frozenset({"Portal.Admin"}), groups=frozenset({GROUP})),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, set()),
        ([], set()),
        ({"admin": True}, set()),
        (7, set()),
        ([7, None, ["x"], "Portal.Admin"], {"Portal.Admin"}),
        ("Portal.Admin", {"Portal.Admin"}),
        (["a\nb", "x" * 1025, " "], set()),
    ],
)
@pytest.mark.parametrize("name", ["roles", "groups"])
def test_lists_of_other_shapes_give_what_is_sound_in_them(name: str, value: object, expected: set[str]) -> None:
    assert getattr(read(**{name: value}).affiliations[0], name) == expected


def test_tenants_of_another_types_shape_give_nothing() -> None:
    assert read(tenants={FABRIKAM: {"roles": ["admin"]}}, dct=FABRIKAM).tenants == (CONTOSO,)


class TestVeryManyGroups:
    """More than 200 do not fit into a token: "groups overage"."""

    @pytest.mark.parametrize(
        ("claims", "expected"),
        [
            ({}, False),
            (OVERAGE, True),
            ({"_claim_names": {"groups": "src1"}}, True),
            ({"_claim_names": {"other": "src1"}}, False),
            ({"_claim_names": ["groups"]}, False),
            ({"_claim_names": "groups"}, False),
            ({"hasgroups": True}, True),
            ({"hasgroups": "true"}, True),
            ({"hasgroups": False}, False),
            ({"hasgroups": "false"}, False),
        ],
    )
    def test_the_token_says_so(self, claims: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a column
        assert exceeds_token(claims) is expected
        assert PROVIDER_TYPES["azure-ad"].calls[0].needed(claims) is expected

    @pytest.mark.parametrize("claims", [OVERAGE, {"hasgroups": True}, {"hasgroups": "true"}])
    def test_groups_that_graph_does_not_tell_are_unknown_and_give_nothing(self, claims: dict[str, Any]) -> None:
        identity = read(**claims)

        assert identity.affiliations[0].groups == frozenset()
        assert identity.affiliations[0].groups_left_out == 1

    def test_graphs_answer_stands_in_its_place(self) -> None:
        identity = read(**OVERAGE, memberships=[a_group(number) for number in range(2500)])

        assert len(identity.affiliations[0].groups) == 2500
        assert GROUP not in identity.affiliations[0].groups
        assert not identity.affiliations[0].groups_left_out

    @pytest.mark.parametrize(
        "entry",
        [
            {"@odata.type": "#microsoft.graph.directoryRole", "id": GROUP},
            {"@odata.type": "#microsoft.graph.administrativeUnit", "id": GROUP},
            {"id": GROUP},
            {"@odata.type": "#microsoft.graph.group", "id": None},
            {"@odata.type": "#microsoft.graph.group", "id": [GROUP]},
            {"@odata.type": "#microsoft.graph.group", "id": "Admins"},
            {"@odata.type": ["#microsoft.graph.group"], "id": GROUP},
            GROUP,
            None,
            [],
        ],
    )
    def test_what_is_not_a_group_gives_nothing(self, entry: object) -> None:
        identity = read(**OVERAGE, memberships=[entry])

        assert identity.affiliations[0].groups == frozenset()
        assert not identity.affiliations[0].groups_left_out

    @pytest.mark.parametrize("answer", [None, {}, "x", 7, {"value": [a_group(1)]}])
    def test_an_answer_of_another_shape_is_ignored(self, answer: object) -> None:
        assert read(**OVERAGE, memberships=answer).affiliations[0].groups_left_out == 1

    def test_an_answer_that_goes_on_leaves_some_out(self) -> None:
        identity = read(**OVERAGE, memberships=[a_group(1)], **{TRUNCATED: ["memberships"]})

        assert identity.affiliations[0].groups_left_out == 1
        assert TRUNCATED not in identity.claims
        assert not read(memberships=[a_group(1)], **{TRUNCATED: ["memberships"]}).affiliations[0].groups_left_out

    def test_without_overage_graph_does_not_count(self) -> None:
        assert read(memberships=[a_group(1)]).affiliations[0].groups == {GROUP}

    def test_neither_the_answer_nor_the_address_in_the_token_is_stored(self) -> None:
        kept = read(**OVERAGE, memberships=[a_group(1)]).claims

        assert not {"_claim_names", "_claim_sources", "memberships", "aio", "rh", "uti", "nonce"} & kept.keys()
        assert kept["wids"] == CAROL["wids"]

    @pytest.mark.parametrize(
        ("options", "graph"),
        [
            ({}, "https://graph.microsoft.com"),
            ({"authority": "https://login.microsoftonline.us"}, "https://graph.microsoft.us"),
            (
                {"authority": "https://login.microsoftonline.us", "graph": "https://dod-graph.microsoft.us"},
                "https://dod-graph.microsoft.us",
            ),
            ({"authority": "https://login.partner.microsoftonline.cn"}, "https://microsoftgraph.chinacloudapi.cn"),
        ],
    )
    def test_they_are_asked_for_where_the_configuration_says(self, options: dict[str, str], graph: str) -> None:
        spec = spec_at("azure-ad", tenant_id=CONTOSO, **options)

        assert [call.url(spec) for call in PROVIDER_TYPES["azure-ad"].calls] == [
            f"{graph}/v1.0/me/transitiveMemberOf?$select=id&$top=999"
        ]


class TestIssuer:
    @pytest.mark.parametrize(
        ("spec", "named", "claims", "expected"),
        [
            (SPEC, CAROL["iss"], CAROL, True),
            (SEVERAL, CAROL["iss"], CAROL, True),
            # Not on the list, but who they say: portal.sign_in.admission says why they stay out.
            (SEVERAL, f"{HOST}/{CONSUMERS}/v2.0", {**CAROL, "tid": CONSUMERS}, True),
            (replace(SEVERAL, admission=Admission()), CAROL["iss"], CAROL, False),
            (SPEC, f"{HOST}/{FABRIKAM}/v2.0", {**CAROL, "tid": FABRIKAM}, False),
            (SPEC, CAROL["iss"], {**CAROL, "tid": FABRIKAM}, False),
            (SEVERAL, CAROL["iss"], {**CAROL, "tid": FABRIKAM}, False),
            (SEVERAL, f"{HOST}/{FABRIKAM}/v2.0", CAROL, False),
            (SEVERAL, SEVERAL.issuer, CAROL, False),
            (SEVERAL, SEVERAL.issuer, {**CAROL, "tid": "{tenantid}"}, False),
            (SEVERAL, f"{HOST}/common/v2.0", {**CAROL, "tid": "common"}, False),
            (SEVERAL, f"https://sts.windows.net/{CONTOSO}/", {**CAROL, "ver": "1.0"}, False),
            (SPEC, CAROL["iss"], {**CAROL, "ver": "1.0"}, False),
            (SPEC, CAROL["iss"], without(CAROL, "ver"), False),
            (SPEC, CAROL["iss"], {**CAROL, "ver": 2.0}, False),
            (SPEC, CAROL["iss"], without(CAROL, "tid"), False),
            (SPEC, f"https://login.microsoftonline.us/{CONTOSO}/v2.0", CAROL, False),
            (SPEC, f"{CAROL['iss']}/", CAROL, False),
            (SPEC, [CAROL["iss"]], CAROL, False),
            (SPEC, None, CAROL, False),
        ],
    )
    def test_of_a_token(self, spec: Any, named: object, claims: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a column
        assert is_entra(named, claims, spec) is expected

    @pytest.mark.parametrize(
        ("spec", "named", "expected"),
        [
            (SPEC, CAROL["iss"], True),
            (SPEC, f"{HOST}/{FABRIKAM}/v2.0", False),
            (SEVERAL, f"{HOST}/{FABRIKAM}/v2.0", True),
            (SEVERAL, SEVERAL.issuer, True),
            (SEVERAL, f"{HOST}/common/v2.0", False),
            (SEVERAL, CONTOSO, False),
            (SEVERAL, f"https://evil.test/{CONTOSO}/v2.0", False),
            (SEVERAL, f"{HOST}/{CONTOSO}/v2.0/v2.0", False),
            (SEVERAL, "", False),
        ],
    )
    def test_of_a_callback(self, spec: Any, named: str, expected: bool) -> None:  # noqa: FBT001 - a column
        assert is_entra(named, {}, spec) is expected

    @pytest.mark.parametrize(
        ("named", "expected"),
        [
            (f"{HOST}/{{tenantid}}/v2.0", True),
            (f"{HOST}/{CONTOSO}/v2.0", True),
            (f"{HOST}/{CONSUMERS}/v2.0", False),
            ("https://login.microsoftonline.us/{tenantid}/v2.0", False),
            ("", False),
            ([CAROL["iss"]], False),
            (7, False),
        ],
    )
    def test_of_a_key(self, named: object, expected: bool) -> None:  # noqa: FBT001 - a column
        assert is_key_of(named, CAROL) is expected


class TestWhereItIs:
    def test_one_tenant(self) -> None:
        place = located("azure-ad", tenant_id=CONTOSO.upper())

        assert (place.issuer, place.discovery) == (f"{HOST}/{CONTOSO}/v2.0", None)
        assert place.tenants == {CONTOSO}

    @pytest.mark.parametrize("switch", ["true", "false", "0", "1"])
    def test_chainlits_switch_is_on_with_any_text(self, switch: str) -> None:
        assert located("azure-ad", tenant_id=CONTOSO, single_tenant=switch) == located("azure-ad", tenant_id=CONTOSO)
        with pytest.raises(UnusableOption):
            located("azure-ad", tenant_id=f"{CONTOSO},{FABRIKAM}", single_tenant=switch)

    @pytest.mark.parametrize(("further", "way"), [(FABRIKAM, "organizations"), (CONSUMERS, "common")])
    def test_several_tenants(self, further: str, way: str) -> None:
        place = located("azure-ad", tenant_id=f"{CONTOSO},{further}")

        assert place.issuer == f"{HOST}/{{tenantid}}/v2.0"
        assert place.discovery == f"{HOST}/{way}/v2.0/.well-known/openid-configuration"
        assert place.tenants == {CONTOSO, further}

    @pytest.mark.parametrize("authority", GRAPHS)
    def test_national_clouds(self, authority: str) -> None:
        assert located("azure-ad", tenant_id=CONTOSO, authority=authority).issuer == f"{authority}/{CONTOSO}/v2.0"

    @pytest.mark.parametrize(
        ("options", "key"),
        [
            ({"tenant_id": "common"}, "tenant_id"),
            ({"tenant_id": "organizations"}, "tenant_id"),
            ({"tenant_id": f"{CONTOSO},*"}, "tenant_id"),
            # Its issuer has the id, and so have its tokens.
            ({"tenant_id": "contoso.onmicrosoft.com"}, "tenant_id"),
            ({"tenant_id": ","}, "tenant_id"),
            ({"tenant_id": CONTOSO, "authority": "https://login.cloud.example"}, "graph"),
            ({"tenant_id": CONTOSO, "graph": "http://127.0.0.1:1"}, "graph"),
        ],
    )
    def test_an_unusable_option_is_reported_at_its_key(self, options: dict[str, str], key: str) -> None:
        with pytest.raises(UnusableOption) as caught:
            located("azure-ad", **options)

        assert caught.value.key == key


def token_with(payload: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"e30.{body}.sig"


@pytest.mark.parametrize(
    ("id_token", "hint"),
    [
        (token_with({"login_hint": "O.CiQ"}), "&logout_hint=O.CiQ"),
        (token_with({"login_hint": "a&b=c"}), "&logout_hint=a%26b%3Dc"),
        (token_with({}), ""),
        (token_with({"login_hint": ["O.CiQ"]}), ""),
        (token_with({"login_hint": "x" * 600}), ""),
        (token_with([]), ""),
        ("e30.!!!.sig", ""),
        ("e30.e.sig", ""),
        ("no token", ""),
        (None, ""),
    ],
)
def test_signing_out_names_the_account_where_the_token_does(id_token: str | None, hint: str) -> None:
    url = entra_sign_out(
        SPEC,
        SignOutRequest(
            end_session=f"{HOST}/{CONTOSO}/oauth2/v2.0/logout",
            id_token_hint=id_token,
            post_logout_redirect_uri="https://portal.example.com/signed-out",
            state="S",
        ),
    )

    assert url is not None
    start, _, query = url.partition("?")
    assert start == f"{HOST}/{CONTOSO}/oauth2/v2.0/logout"
    rest = "post_logout_redirect_uri=https%3A%2F%2Fportal.example.com%2Fsigned-out&state=S"
    assert query == f"{hint[1:]}&{rest}".lstrip("&")


def test_without_an_end_session_endpoint_there_is_nowhere_to_go() -> None:
    nowhere = SignOutRequest(end_session=None, id_token_hint=None, post_logout_redirect_uri="x", state="S")

    assert entra_sign_out(SPEC, nowhere) is None


@pytest.mark.parametrize("tenant", [CONTOSO, FABRIKAM])
def test_the_command_finds_the_provider_of_any_listed_tenant(tenant: str) -> None:
    settings = Settings(
        url="https://portal.example.com",
        providers=(SEVERAL, spec_at("google")),
        roles=(RoleRule(role="admin", when="contains(roles, 'Portal.Admin')"),),
    )
    claims = {**CAROL, "tid": tenant, "iss": f"{HOST}/{tenant}/v2.0"}
    found = explain(settings, claims)

    assert [view.tenant for view in found.tenants] == [tenant]
    assert [grant.role for grant in found.tenants[0].grants] == ["admin"]
    assert found.notes == ()
    assert "tenant-not-allowed" in str(
        explain(settings, {**CAROL, "tid": CONSUMERS, "iss": f"{HOST}/{CONSUMERS}/v2.0"}).refused
    )
