"""Entra ID turned on by Chainlit's variables, or in the file: which tenants it leads to, and what is wrong."""

from pathlib import Path

import pytest

from portal.settings import Admission, ProviderSpec
from tests.portal.configuration.reading import ENVIRON, KEY, PORTAL, keys, loaded, problems

CONTOSO = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
FABRIKAM = "2a1b7d6e-0c52-4f43-8f0e-6a2f6f9b1c11"
STRANGERS = "5e1f0e6a-4dbd-4ad7-9a3f-8f4f4f0b7d77"
HOST = "https://login.microsoftonline.com"
BASE = {"PORTAL_SECRET_KEY": KEY}


def entra(prefix: str = "OAUTH_AZURE_AD", **more: str) -> dict[str, str]:
    """Return the variables of one company's Entra, and *more* of them."""
    said = {"CLIENT_ID": "6731de76", "CLIENT_SECRET": "not-to-be-shown", "TENANT_ID": CONTOSO, **more}
    return BASE | {f"{prefix}_{name}": value for name, value in said.items()}


def only(folder: Path, text: str | None, environ: dict[str, str]) -> ProviderSpec:
    (spec,) = loaded(folder, text, environ).providers
    return spec


def in_file(*lines: str) -> str:
    head = (
        "[[providers]]",
        'id = "one"',
        'type = "azure-ad"',
        'client_id = "a"',
        'client_secret_env = "COMPANY_SECRET"',
    )
    return PORTAL + "\n".join((*head, *lines)) + "\n"


@pytest.mark.parametrize("switch", [{}, {"ENABLE_SINGLE_TENANT": "true"}, {"ENABLE_SINGLE_TENANT": "false"}])
def test_three_variables_let_one_company_in(tmp_path: Path, switch: dict[str, str]) -> None:
    """Chainlit's switch is on with any text; without it Chainlit lets every tenant in, and the portal none."""
    spec = only(tmp_path, PORTAL, entra(**switch))

    assert (spec.id, spec.provider_type, spec.label) == ("azure-ad", "azure-ad", "Microsoft")
    assert (spec.issuer, spec.discovery) == (f"{HOST}/{CONTOSO}/v2.0", None)
    assert spec.admission == Admission(tenants=frozenset({CONTOSO}))
    assert spec.token_endpoint_auth_method == "client_secret_post"


def test_several_tenants_go_through_the_template_and_stay_a_list(tmp_path: Path) -> None:
    spec = only(tmp_path, PORTAL, entra(TENANT_ID=f"{CONTOSO}, {FABRIKAM}"))

    assert spec.issuer == f"{HOST}/{{tenantid}}/v2.0"
    assert spec.discovery == f"{HOST}/organizations/v2.0/.well-known/openid-configuration"
    assert spec.admission == Admission(tenants=frozenset({CONTOSO, FABRIKAM}))


def test_scopes_and_prompt_are_its_own(tmp_path: Path) -> None:
    spec = only(tmp_path, PORTAL, entra(SCOPES="https://graph.microsoft.com/User.Read offline_access", PROMPT="login"))

    assert spec.scopes == ("https://graph.microsoft.com/User.Read", "offline_access")
    assert spec.authorize_params == (("prompt", "login"),)


def test_the_hybrid_ones_stand_beside_them(tmp_path: Path) -> None:
    environ = entra() | entra("OAUTH_AZURE_AD_HYBRID", PROMPT="select_account")
    one, other = loaded(tmp_path, PORTAL, environ).providers

    assert (one.id, other.id) == ("azure-ad", "azure-ad-hybrid")
    assert (one.issuer, one.authorize_params) == (other.issuer, ())
    assert other.authorize_params == (("prompt", "select_account"),)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"TENANT_ID": "common"}, "OAUTH_AZURE_AD_TENANT_ID"),
        ({"TENANT_ID": "contoso.onmicrosoft.com"}, "OAUTH_AZURE_AD_TENANT_ID"),
        ({"TENANT_ID": ""}, "OAUTH_AZURE_AD_TENANT_ID"),
        ({"TENANT_ID": f"{CONTOSO},{FABRIKAM}", "ENABLE_SINGLE_TENANT": "true"}, "OAUTH_AZURE_AD_ENABLE_SINGLE_TENANT"),
        ({"CLIENT_ID": ""}, "OAUTH_AZURE_AD_CLIENT_ID"),
        ({"CLIENT_SECRET": ""}, "OAUTH_AZURE_AD_CLIENT_SECRET"),
        ({"SCOPES": 'a"b'}, "OAUTH_AZURE_AD_SCOPES"),
        ({"PROMPT": "maybe"}, "OAUTH_AZURE_AD_PROMPT"),
    ],
)
def test_a_problem_is_reported_at_its_variable(tmp_path: Path, changes: dict[str, str], key: str) -> None:
    found = problems(tmp_path, PORTAL, entra(**changes))

    assert [problem.key for problem in found] == [key]
    assert "not-to-be-shown" not in str(found)


class TestInTheFile:
    def test_a_national_cloud(self, tmp_path: Path) -> None:
        text = in_file(
            f'tenant_id = "{CONTOSO}"', 'authority = "login.microsoftonline.us"', 'graph = "dod-graph.microsoft.us"'
        )
        spec = only(tmp_path, text, ENVIRON)

        assert spec.issuer == f"https://login.microsoftonline.us/{CONTOSO}/v2.0"
        assert spec.options["graph"] == "https://dod-graph.microsoft.us"

    def test_tenants_can_be_fewer_and_no_more(self, tmp_path: Path) -> None:
        tenants = f'tenant_id = "{CONTOSO},{FABRIKAM}"'
        fewer = only(tmp_path, in_file(tenants, f'allowed_tenants = ["{FABRIKAM}"]'), ENVIRON)

        assert fewer.admission.tenants == {FABRIKAM}
        assert keys(tmp_path, in_file(tenants, f'allowed_tenants = ["{FABRIKAM}", "{STRANGERS}"]'), ENVIRON) == [
            "providers.one.allowed_tenants"
        ]

    @pytest.mark.parametrize(
        ("lines", "key"),
        [
            ((), "tenant_id"),
            (('tenant_id = "organizations"',), "tenant_id"),
            ((f'tenant_id = ["{CONTOSO}"]',), "tenant_id"),
            ((f'tenant_id = "{CONTOSO}"', 'authority = "login.cloud.example"'), "graph"),
            ((f'tenant_id = "{CONTOSO}"', 'graph = "http://graph.example"'), "graph"),
            ((f'tenant_id = "{CONTOSO}"', 'graph = "http://127.0.0.1:1"'), "graph"),
            ((f'tenant_id = "{CONTOSO}"', 'issuer = "https://id.example.com"'), "issuer"),
            ((f'tenant_id = "{CONTOSO}"', 'allowed_organisations = ["x"]'), "allowed_organisations"),
        ],
    )
    def test_a_problem_is_reported_at_its_key(self, tmp_path: Path, lines: tuple[str, ...], key: str) -> None:
        assert keys(tmp_path, in_file(*lines), ENVIRON) == [f"providers.one.{key}"]
