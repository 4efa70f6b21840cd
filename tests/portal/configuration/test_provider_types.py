"""Providers turned on by variables of their own, and by ``type`` in the file."""

import re
from pathlib import Path
from typing import Any

import pytest

from portal.cli.check import summary
from portal.configuration.prompts import PROMPT
from portal.settings import Admission, ProviderSpec, Secret
from portal.sign_in.provider_types import PROVIDER_TYPES
from tests.portal.configuration.reading import ENVIRON, KEY, PORTAL, TUTORIAL, keys, loaded, problems
from tests.portal.configuration.reading import PROVIDER as COMPANY
from tests.portal.sign_in.provider_types.reading import without

SECRET = "not-to-be-shown"
BASE = {"PORTAL_SECRET_KEY": KEY}
GITHUB = BASE | {"OAUTH_GITHUB_CLIENT_ID": "Iv1.1", "OAUTH_GITHUB_CLIENT_SECRET": SECRET}
GOOGLE = {"OAUTH_GOOGLE_CLIENT_ID": "1-a.apps.googleusercontent.com", "OAUTH_GOOGLE_CLIENT_SECRET": SECRET}
SERVER = {
    "OAUTH_GITHUB_AUTH_URL": "https://github.example.com/login/oauth/authorize",
    "OAUTH_GITHUB_TOKEN_URL": "https://github.example.com/login/oauth/access_token",
    "OAUTH_GITHUB_USER_INFO_URL": "https://github.example.com/api/v3/user",
}
OKTA = {
    "OAUTH_OKTA_CLIENT_ID": "0oa1",
    "OAUTH_OKTA_CLIENT_SECRET": SECRET,
    "OAUTH_OKTA_DOMAIN": "https://company.okta.com/",
}
AUTH0 = {
    "OAUTH_AUTH0_CLIENT_ID": "a1",
    "OAUTH_AUTH0_CLIENT_SECRET": SECRET,
    "OAUTH_AUTH0_DOMAIN": "login.example.com",
}
COGNITO = {
    "OAUTH_COGNITO_CLIENT_ID": "7abc",
    "OAUTH_COGNITO_CLIENT_SECRET": SECRET,
    "OAUTH_COGNITO_DOMAIN": "company.auth.eu-west-2.amazoncognito.com",
}
POOL = {"OAUTH_COGNITO_USER_POOL_ID": "eu-west-2_Ab12Cd34E"}
GENERIC = BASE | {
    "OAUTH_GENERIC_CLIENT_ID": "portal",
    "OAUTH_GENERIC_CLIENT_SECRET": SECRET,
    "OAUTH_GENERIC_AUTH_URL": "https://id.example.com/o/authorize",
    "OAUTH_GENERIC_TOKEN_URL": "https://id.example.com/o/token/",
    "OAUTH_GENERIC_USER_INFO_URL": "https://id.example.com/api/me",
    "OAUTH_GENERIC_SCOPES": "profile, email",
}


NEEDS = {
    "oidc": ('issuer = "https://id.example.com"',),
    "gitlab": ('domain = "gitlab.example.com"',),
    "keycloak": ('base_url = "sso.example.com"', 'realm = "acme"'),
    "okta": ('domain = "company.okta.com"',),
    "aws-cognito": ('domain = "login.example.com"', 'user_pool_id = "eu-west-2_Ab12Cd34E"'),
    "azure-ad": ('tenant_id = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"',),
    "generic": tuple(f'{key} = "https://id.example.com/{key}"' for key in ("auth_url", "token_url", "user_info_url")),
}
"""Per make: what its section must say."""
_PLAIN = "Write allowed_domains or allowed_groups."
_ORGANISED = "Write allowed_domains, allowed_organisations or allowed_groups."
UNHELD = [
    *((provider_type, "allowed_tenants", _PLAIN) for provider_type in ("oidc", "okta", "aws-cognito", "generic")),
    *((provider_type, "allowed_organisations", _PLAIN) for provider_type in ("oidc", "okta", "aws-cognito", "generic")),
    *((provider_type, "allowed_tenants", _ORGANISED) for provider_type in ("github", "gitlab", "keycloak")),
    (
        "huggingface",
        "allowed_tenants",
        'Write allowed_domains, allowed_organisations, allowed_groups or beside it organisations_as = "tenants".',
    ),
    ("google", "allowed_groups", "Write allowed_domains or allowed_tenants."),
    ("google", "allowed_organisations", "Write allowed_domains or allowed_tenants."),
    ("azure-ad", "allowed_organisations", "Write allowed_domains, allowed_tenants or allowed_groups."),
    ("descope", "allowed_organisations", "Write allowed_domains, allowed_tenants or allowed_groups."),
]
"""Conditions that nobody could meet, and what to write instead."""


def in_file(*lines: str) -> str:
    return PORTAL + "\n".join(("[[providers]]", 'id = "one"', 'client_secret_env = "COMPANY_SECRET"', *lines)) + "\n"


def only(folder: Path, text: str | None = PORTAL, environ: dict[str, str] | None = None) -> ProviderSpec:
    (spec,) = loaded(folder, text, environ).providers
    return spec


class TestOnByVariables:
    def test_two_are_enough(self, tmp_path: Path) -> None:
        spec = only(tmp_path, environ=GITHUB)

        assert (spec.id, spec.label, spec.provider_type) == ("github", "GitHub", "github")
        assert (spec.client_id, spec.client_secret) == ("Iv1.1", Secret(SECRET))
        assert spec.scopes == ("user:email", "read:org")
        assert spec.variables == ("OAUTH_GITHUB_CLIENT_ID", "OAUTH_GITHUB_CLIENT_SECRET")

    def test_several_stand_side_by_side(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, PORTAL, GITHUB | GOOGLE)

        assert {spec.id for spec in settings.providers} == {"github", "google"}

    def test_the_secret_may_stand_in_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
        environ = BASE | {
            "OAUTH_GITHUB_CLIENT_ID": "Iv1.1",
            "OAUTH_GITHUB_CLIENT_SECRET_FILE": str(tmp_path / "secret"),
        }

        assert only(tmp_path, environ=environ).client_secret == Secret(SECRET)

    def test_an_enterprise_server(self, tmp_path: Path) -> None:
        spec = only(tmp_path, environ=GITHUB | SERVER)

        assert spec.issuer == "https://github.example.com/login/oauth"
        assert spec.endpoints is not None
        assert spec.endpoints.userinfo == "https://github.example.com/api/v3/user"

    def test_chainlits_generic_provider(self, tmp_path: Path) -> None:
        environ = GENERIC | {"OAUTH_GENERIC_NAME": "Example Company", "OAUTH_GENERIC_USER_IDENTIFIER": "uid"}
        spec = only(tmp_path, environ=environ)

        assert (spec.id, spec.label, spec.provider_type) == ("example-company", "Example Company", "generic")
        assert spec.chainlit_id == "Example Company"
        assert spec.scopes == ("profile", "email")
        assert spec.options["user_identifier"] == "uid"
        assert spec.endpoints is not None
        assert spec.endpoints.token == "https://id.example.com/o/token/"

    def test_chainlits_three_variables_turn_cognito_on_and_the_check_says_what_they_leave_open(
        self, tmp_path: Path
    ) -> None:
        settings = loaded(tmp_path, PORTAL, BASE | OKTA | COGNITO)
        spec = settings.providers[-1]

        assert [one.id for one in settings.providers] == ["okta", "aws-cognito"]
        assert (spec.issuer_of_token, spec.issuer) == (True, "https://company.auth.eu-west-2.amazoncognito.com")
        said = "\n".join(summary(settings))
        assert "note: its user pool is not written" in said
        assert "Write OAUTH_COGNITO_USER_POOL_ID, like eu-west-2_Ab12Cd34E" in said
        pinned = loaded(tmp_path, PORTAL, BASE | OKTA | COGNITO | POOL)
        assert "user pool is not written" not in "\n".join(summary(pinned))

    def test_okta_auth0_and_cognito_stand_side_by_side(self, tmp_path: Path) -> None:
        environ = BASE | OKTA | AUTH0 | COGNITO | POOL | {"OAUTH_AWS_COGNITO_PROMPT": "login"}
        specs = {spec.id: spec for spec in loaded(tmp_path, PORTAL, environ).providers}

        assert {name: spec.issuer for name, spec in specs.items()} == {
            "okta": "https://company.okta.com/oauth2/default",
            "auth0": "https://login.example.com/",
            "aws-cognito": "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_Ab12Cd34E",
        }
        assert dict(specs["aws-cognito"].authorize_params) == {"prompt": "login"}

    @pytest.mark.parametrize(
        ("others", "scopes"),
        [
            ({}, ("openid", "profile", "email")),
            ({"OAUTH_OKTA_AUTHORIZATION_SERVER_ID": ""}, ("openid", "profile", "email")),
            ({"OAUTH_OKTA_AUTHORIZATION_SERVER_ID": "false"}, ("openid", "profile", "email", "groups")),
        ],
    )
    def test_okta_is_asked_for_groups_where_that_scope_is_known(
        self, tmp_path: Path, others: dict[str, str], scopes: tuple[str, ...]
    ) -> None:
        assert only(tmp_path, environ=BASE | OKTA | others).scopes == scopes

    @pytest.mark.parametrize(
        "provider_type", [one for one in PROVIDER_TYPES.values() if one.variables], ids=lambda one: one.id
    )
    def test_half_of_them_names_what_is_missing(self, tmp_path: Path, provider_type: Any) -> None:
        """Every make, from one variable alone: each missing one is reported, with the one that needs it."""
        found = problems(tmp_path, PORTAL, BASE | {provider_type.client_secret_variable: SECRET})

        assert provider_type.client_id_variable in [problem.key for problem in found]
        assert all(f"Add the line {problem.key}=" in problem.fix for problem in found)
        assert all(provider_type.client_secret_variable in problem.fix for problem in found)
        assert SECRET not in "".join(map(str, found))

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({"OAUTH_GITHUB_CLIENT_ID": "x"}, ["OAUTH_GITHUB_CLIENT_SECRET"]),
            ({"OAUTH_GITHUB_CLIENT_SECRET": SECRET}, ["OAUTH_GITHUB_CLIENT_ID"]),
            (
                {"OAUTH_GITHUB_CLIENT_ID": "x", "OAUTH_GITHUB_PROMPT": "consent"},
                ["OAUTH_GITHUB_CLIENT_SECRET"],
            ),
            (SERVER, ["OAUTH_GITHUB_CLIENT_ID", "OAUTH_GITHUB_CLIENT_SECRET"]),
            (GITHUB | {"OAUTH_GITHUB_AUTH_URL": SERVER["OAUTH_GITHUB_AUTH_URL"]}, ["OAUTH_GITHUB_TOKEN_URL"]),
            (
                GITHUB | SERVER | {"OAUTH_GITHUB_TOKEN_URL": "http://github.example.com/token"},
                ["OAUTH_GITHUB_TOKEN_URL"],
            ),
            (GITHUB | SERVER | {"OAUTH_GITHUB_USER_INFO_URL": "github.example.com"}, ["OAUTH_GITHUB_USER_INFO_URL"]),
            ({k: v for k, v in GENERIC.items() if k != "OAUTH_GENERIC_SCOPES"}, ["OAUTH_GENERIC_SCOPES"]),
            ({k: v for k, v in GENERIC.items() if k != "OAUTH_GENERIC_AUTH_URL"}, ["OAUTH_GENERIC_AUTH_URL"]),
            (OKTA | {"OAUTH_OKTA_DOMAIN": "company-admin.okta.com"}, ["OAUTH_OKTA_DOMAIN"]),
            (OKTA | {"OAUTH_OKTA_DOMAIN": "https://https://company.okta.com"}, ["OAUTH_OKTA_DOMAIN"]),
            (OKTA | {"OAUTH_OKTA_AUTHORIZATION_SERVER_ID": "oauth2/x"}, ["OAUTH_OKTA_AUTHORIZATION_SERVER_ID"]),
            (
                {"OAUTH_OKTA_AUTHORIZATION_SERVER_ID": "false"} | without(OKTA, "OAUTH_OKTA_DOMAIN"),
                ["OAUTH_OKTA_DOMAIN"],
            ),
            (AUTH0 | {"OAUTH_AUTH0_ORIGINAL_DOMAIN": "x.auth0.com/userinfo"}, ["OAUTH_AUTH0_ORIGINAL_DOMAIN"]),
            (
                {"OAUTH_AUTH0_ORIGINAL_DOMAIN": "x.auth0.com"} | without(AUTH0, "OAUTH_AUTH0_DOMAIN"),
                ["OAUTH_AUTH0_DOMAIN"],
            ),
            (COGNITO | {"OAUTH_COGNITO_USER_POOL_ID": "us-east-1_Ab12Cd34E"}, ["OAUTH_COGNITO_USER_POOL_ID"]),
            (COGNITO | POOL | {"OAUTH_COGNITO_SCOPE": "email"}, ["OAUTH_COGNITO_SCOPE"]),
            # Chainlit builds the name from the provider's id.
            (COGNITO | POOL | {"OAUTH_COGNITO_PROMPT": "login"}, ["OAUTH_COGNITO_PROMPT"]),
            (GENERIC | {"OAUTH_GENERIC_NAME": "x" * 70}, ["OAUTH_GENERIC_NAME"]),
            (GENERIC | {"OAUTH_GENERIC_SCOPES": 'a"b'}, ["OAUTH_GENERIC_SCOPES"]),
            (GITHUB | GENERIC | {"OAUTH_GENERIC_NAME": "github"}, ["OAUTH_GENERIC_CLIENT_ID"]),
            (
                TUTORIAL | {"OAUTH_DESCOPE_CLIENT_ID": "P2x", "OAUTH_DESCOPE_CLIENT_SECRET": SECRET},
                ["OAUTH_AUTHORIZE_URL"],
            ),
        ],
    )
    def test_a_problem_is_reported_once(self, tmp_path: Path, environ: dict[str, str], expected: list[str]) -> None:
        text = None if "OAUTH_AUTHORIZE_URL" in environ else PORTAL
        found = problems(tmp_path, text, BASE | environ)

        assert [problem.key for problem in found] == expected
        assert SECRET not in "".join(map(str, found))

    def test_variables_that_the_file_names_turn_nothing_on(self, tmp_path: Path) -> None:
        text = in_file('type = "github"', 'client_id_env = "OAUTH_GITHUB_CLIENT_ID"').replace(
            "COMPANY_SECRET", "OAUTH_GITHUB_CLIENT_SECRET"
        )

        assert only(tmp_path, text, GITHUB).id == "one"


class TestOnByTheFile:
    def test_several_of_one_make(self, tmp_path: Path) -> None:
        text = in_file('type = "github"', 'client_id = "a"') + (
            '[[providers]]\nid = "two"\ntype = "github"\nclient_id = "b"\ndomain = "github.example.com"\n'
            'client_secret_env = "COMPANY_SECRET"\n'
        )
        one, two = loaded(tmp_path, text).providers

        assert (one.issuer, two.issuer) == (
            "https://github.com/login/oauth",
            "https://github.example.com/login/oauth",
        )
        assert (one.label, two.label) == ("One", "Two")

    @pytest.mark.parametrize(
        "written", ["github.example.com", "https://github.example.com", "https://GitHub.example.com/"]
    )
    def test_a_domain_is_one_with_scheme_and_without(self, tmp_path: Path, written: str) -> None:
        spec = only(tmp_path, in_file('type = "github"', 'client_id = "a"', f'domain = "{written}"'))

        assert spec.issuer == "https://github.example.com/login/oauth"

    def test_what_it_was_called_before_goes_on(self, tmp_path: Path) -> None:
        assert only(tmp_path, in_file('kind = "descope"', 'client_id = "P2x"')).provider_type == "descope"

    def test_who_may_come_in(self, tmp_path: Path) -> None:
        spec = only(
            tmp_path,
            in_file(
                'type = "github"',
                'client_id = "a"',
                'allowed_domains = ["Example.com"]',
                'allowed_organisations = ["example-org"]',
                'allowed_groups = ["example-org/ml"]',
                'domains = ["example.com"]',
            ),
        )

        assert spec.admission == Admission(
            domains=frozenset({"example.com"}),
            organisations=frozenset({"example-org"}),
            groups=frozenset({"example-org/ml"}),
        )
        assert spec.domains == {"example.com"}

    @pytest.mark.parametrize(
        ("lines", "key"),
        [
            (('type = "githup"',), "type"),
            (('type = "oidc"', 'kind = "oidc"', 'issuer = "https://x.test"'), "kind"),
            (('type = "github"', 'issuer = "https://x.test"'), "issuer"),
            (('type = "github"', "endpoints = {}"), "endpoints"),
            (('type = "google"', 'domain = "example.com"'), "domain"),
            (('type = "github"', 'domain = "http://github.example.com"'), "domain"),
            (('type = "github"', 'domain = "github.example.com?x"'), "domain"),
            (('type = "github"', "domain = 7"), "domain"),
            (('type = "generic"', 'token_url = "https://x.test"', 'user_info_url = "https://x.test"'), "auth_url"),
            (('type = "google"', 'allowed_organisations = ["x"]'), "allowed_organisations"),
            (('type = "google"', "allowed_groups = []"), "allowed_groups"),
            (('type = "google"', 'allowed_groups = "x"'), "allowed_groups"),
            (('type = "google"', 'allowed_domains = ["@example.com"]'), "allowed_domains"),
            (('type = "google"', 'domains = ["example"]'), "domains"),
            (('type = "google"', 'algorithms = ["none"]'), "algorithms"),
            (('type = "google"', "algorithms = []"), "algorithms"),
            (('type = "google"', 'algorithms = ["RS256", "HS256"]'), "algorithms"),
            (('type = "google"', 'algorithms = ["HS512"]'), "algorithms"),
        ],
    )
    def test_a_problem_is_reported_once_at_its_key(self, tmp_path: Path, lines: tuple[str, ...], key: str) -> None:
        assert keys(tmp_path, in_file('client_id = "a"', *lines)) == [f"providers.one.{key}"]

    @pytest.mark.parametrize(("provider_type", "key", "fix"), UNHELD, ids=[f"{one} {key}" for one, key, _ in UNHELD])
    def test_a_condition_that_nobody_there_could_meet_names_those_that_are(
        self, tmp_path: Path, provider_type: str, key: str, fix: str
    ) -> None:
        lines = (f'type = "{provider_type}"', 'client_id = "a"', *NEEDS.get(provider_type, ()))
        (problem,) = problems(tmp_path, in_file(*lines, f'{key} = ["a"]'))

        assert problem.key == f"providers.one.{key}"
        assert problem.what.startswith("keeps everybody out: ")
        assert problem.fix == fix

    @pytest.mark.parametrize(
        "lines",
        [
            ('type = "google"', 'allowed_tenants = ["example.org"]'),
            ('type = "auth0"', 'domain = "x.auth0.com"', 'allowed_tenants = ["org_1"]', 'allowed_groups = ["a"]'),
            ('type = "descope"', 'allowed_tenants = ["T32"]', 'allowed_groups = ["a"]'),
            ('type = "huggingface"', 'organisations_as = "tenants"', 'allowed_tenants = ["5e67"]'),
        ],
    )
    def test_one_that_can_be_met_is_none(self, tmp_path: Path, lines: tuple[str, ...]) -> None:
        assert keys(tmp_path, in_file('client_id = "a"', *lines)) == []

    def test_the_suggested_fixes_work(self, tmp_path: Path) -> None:
        """Following one must not lead to the next problem, or to a door that is closed to all."""
        for provider_type, _, fix in UNHELD:
            for key in re.findall(r"allowed_\w+", fix):
                # Of Entra's tenants, only those that tenant_id names.
                known = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490" if key == "allowed_tenants" else "example.com"
                written = f'{key} = ["{known}"]'
                lines = (f'type = "{provider_type}"', 'client_id = "a"', *NEEDS.get(provider_type, ()))
                besides = re.findall(r"beside it (.+)\.$", fix) if key == "allowed_tenants" else []
                assert keys(tmp_path, in_file(*lines, *besides, written)) == [], (provider_type, key)

    @pytest.mark.parametrize(
        ("lines", "key"),
        [
            (('type = "huggingface"', 'organisations_as = "tenant"'), "organisations_as"),
            (('type = "githup"',), "type"),
        ],
    )
    def test_a_provider_with_another_problem_gets_no_second_one(
        self, tmp_path: Path, lines: tuple[str, ...], key: str
    ) -> None:
        found = keys(tmp_path, in_file('client_id = "a"', *lines, 'allowed_tenants = ["a"]'))

        assert found == [f"providers.one.{key}"]

    def test_a_client_registered_for_its_secret(self, tmp_path: Path) -> None:
        environ = ENVIRON | {"COMPANY_SECRET": "s" * 32}
        text = in_file('issuer = "https://x.test"', 'client_id = "a"', 'algorithms = ["HS256"]')

        assert only(tmp_path, text, environ).algorithms == ("HS256",)
        assert keys(tmp_path, text, ENVIRON | {"COMPANY_SECRET": "s" * 31}) == ["providers.one.algorithms"]


class TestPrompt:
    def prompt(self, folder: Path, text: str | None = PORTAL, **environ: str) -> str | None:
        spec = only(folder, text, GITHUB | {"COMPANY_SECRET": "x"} | environ)
        return dict(spec.authorize_params).get("prompt")

    def test_without_a_setting_there_is_no_prompt(self, tmp_path: Path) -> None:
        assert self.prompt(tmp_path) is None

    def test_one_alone_has_the_last_word(self, tmp_path: Path) -> None:
        assert self.prompt(tmp_path, OAUTH_PROMPT="consent") == "consent"
        assert self.prompt(tmp_path, OAUTH_PROMPT="consent", OAUTH_GITHUB_PROMPT="select_account") == "select_account"

    def test_the_prompt_for_all_is_sent_to_those_that_honour_it(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, PORTAL, GITHUB | GOOGLE | {"OAUTH_PROMPT": "none"})

        assert {spec.id: dict(spec.authorize_params).get("prompt") for spec in settings.providers} == {
            "github": None,
            "google": "none",
        }

    def test_the_environment_wins_over_the_file(self, tmp_path: Path) -> None:
        text = in_file('issuer = "https://x.test"', 'client_id = "a"', 'prompt = "login"')
        environ = ENVIRON | {"OAUTH_PROMPT": "consent"}

        assert only(tmp_path, text, environ).authorize_params == (("prompt", "login"),)
        assert only(tmp_path, text, environ | {"OAUTH_ONE_PROMPT": "select_account"}).authorize_params == (
            ("prompt", "select_account"),
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            (PROMPT.name, "maybe"),
            (PROMPT.name, "none login"),
            ("OAUTH_GITHUB_PROMPT", "selectaccount"),
            # Chainlit builds the name from the provider's id: OAUTH_COGNITO_PROMPT is nobody's.
            ("OAUTH_GITHUP_PROMPT", "login"),
        ],
    )
    def test_what_has_no_effect_is_a_problem(self, tmp_path: Path, name: str, value: str) -> None:
        assert keys(tmp_path, PORTAL, GITHUB | {name: value}) == [name]


class TestChainlitsAddress:
    def test_it_is_the_portals_where_nothing_else_says_it(self, tmp_path: Path) -> None:
        environ = GITHUB | {"CHAINLIT_URL": "https://ai.example.com/"}

        assert loaded(tmp_path, None, environ).url == "https://ai.example.com"
        assert loaded(tmp_path, PORTAL, environ).url == "https://portal.example.com"
        assert loaded(tmp_path, None, environ | {"PORTAL_URL": "https://b.example.com"}).url == "https://b.example.com"

    def test_it_wins_over_a_callback(self, tmp_path: Path) -> None:
        environ = TUTORIAL | {"CHAINLIT_URL": "http://localhost:7860"}

        assert loaded(tmp_path, None, environ).url == "http://localhost:7860"

    @pytest.mark.parametrize("url", ["https://example.com/chat", "ai.example.com", "http://ai.example.com"])
    def test_one_that_cannot_be_the_portals_is_a_problem(self, tmp_path: Path, url: str) -> None:
        assert keys(tmp_path, None, GITHUB | {"CHAINLIT_URL": url}) == ["CHAINLIT_URL"]

    def test_a_provider_on_loopback_is_refused_there(self, tmp_path: Path) -> None:
        environ = GITHUB | {
            name: url.replace("https://github.example.com", "http://127.0.0.1:1") for name, url in SERVER.items()
        }

        assert keys(tmp_path, None, environ | {"CHAINLIT_URL": "https://ai.example.com"}) == ["CHAINLIT_URL"]


class TestNamesThatAreNearlyAProviderTypes:
    @pytest.mark.parametrize(
        ("name", "fix"),
        [
            ("OAUTH_GITHUB_CLIENTID", "OAUTH_GITHUB_CLIENT_ID?"),
            ("OAUTH_GITHUB_TOKEN_URL_FILE", "set OAUTH_GITHUB_TOKEN_URL."),
            ("OAUTH_GITHUB_CLIENTSECRET_FILE", "OAUTH_GITHUB_CLIENT_SECRET?"),
            ("OAUTH_COGNITO_SCOPES", "OAUTH_COGNITO_SCOPE?"),
            ("OAUTH_AZURE_AD_TENNANT_ID", "OAUTH_AZURE_AD_TENANT_ID?"),
            ("OAUTH_AZURE_AD_HYBRID_TENNANT_ID", "OAUTH_AZURE_AD_HYBRID_TENANT_ID?"),
            ("OAUTH_GENERIC_USERINFO_URL", "OAUTH_GENERIC_USER_INFO_URL?"),
        ],
    )
    def test_what_would_be_without_effect_is_a_problem(self, tmp_path: Path, name: str, fix: str) -> None:
        [problem] = [one for one in problems(tmp_path, PORTAL + COMPANY, ENVIRON | {name: "x"}) if one.key == name]

        assert fix in problem.fix

    @pytest.mark.parametrize(
        ("name", "fix"),
        [
            # The make itself is misspelt.
            ("OAUTH_GITUB_TOKEN_URL", "OAUTH_GITHUB_TOKEN_URL?"),
            ("OAUTH_AZUREAD_ENABLE_SINGLE_TENANT", "OAUTH_AZURE_AD_ENABLE_SINGLE_TENANT?"),
            ("OAUTH_KEYCLOK_NAME", "OAUTH_KEYCLOAK_NAME?"),
            # No make is named.
            ("OAUTH_SCOPE", "OAUTH_SCOPES?"),
            ("OAUTH_PROMT", "OAUTH_PROMPT?"),
            ("OAUTH_REDIRECT_URL", "OAUTH_REDIRECT_URI?"),
            ("OAUTH_CLIENT_NAMES", "OAUTH_CLIENT_NAME?"),
            ("OPENID_PROVIDER_URI", "OPENID_PROVIDER_URL?"),
            ("OAUTH_SCOPES_FILE", "set OAUTH_SCOPES."),
        ],
    )
    def test_also_where_the_make_is_misspelt_or_none_is_named(self, tmp_path: Path, name: str, fix: str) -> None:
        for text, environ in ((PORTAL + COMPANY, ENVIRON), (PORTAL, GITHUB)):
            [problem] = problems(tmp_path, text, environ | {name: "x"})

            assert (problem.key, fix in problem.fix) == (name, True)

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("OAUTH_USERINFO_URL", "OAUTH_USERINFO_ENDPOINT"),
            ("OAUTH_JWKS", "OAUTH_JWKS_URI"),
            ("OAUTH_SCOPE", "OAUTH_SCOPES"),
        ],
    )
    def test_beside_the_provider_that_names_no_make_a_word_is_enough(
        self, tmp_path: Path, name: str, near: str
    ) -> None:
        [problem] = problems(tmp_path, None, TUTORIAL | {name: "x"})

        assert (problem.key, f"{near}?" in problem.fix) == (name, True)

    @pytest.mark.parametrize("name", ["OAUTH_COGNITO_SCOPES", "OAUTH_GITHUB_CLIENTID", "OAUTH_GITHUB_SCOPES"])
    def test_beside_a_provider_that_works_too(self, tmp_path: Path, name: str) -> None:
        assert keys(tmp_path, PORTAL, GITHUB | COGNITO | POOL | {name: "x"}) == [name]

    @pytest.mark.parametrize(
        "environ",
        [
            GITHUB,
            COGNITO | POOL | {"OAUTH_COGNITO_SCOPE": "openid"},
            {"OAUTH_GITHUB_TOKEN": ""},
            {"OAUTH_GITHUBISH_CLIENTID": "x"},
            {"OAUTH_GITHUB_TOKEN": "x", "OAUTH_GOOGLE_REDIRECT_URI": "x"},
            {"OAUTH_GITHUB": "x"},
            {"MY_OAUTH_GITHUB_CLIENTID": "x"},
        ],
        ids=["github", "cognito", "empty", "a longer prefix", "of other programs", "the prefix alone", "within"],
    )
    def test_what_is_a_provider_types_or_nobodys_is_none(self, tmp_path: Path, environ: dict[str, str]) -> None:
        assert keys(tmp_path, PORTAL + COMPANY, ENVIRON | environ) == []

    def test_secrets_may_stand_in_files(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("from-a-file", encoding="utf-8")
        environ = {name: value for name, value in GITHUB.items() if name != "OAUTH_GITHUB_CLIENT_SECRET"}

        assert keys(tmp_path, PORTAL, environ | {"OAUTH_GITHUB_CLIENT_SECRET_FILE": str(tmp_path / "secret")}) == []

    @pytest.mark.parametrize("end", ["", "_FILE"])
    def test_what_the_file_names_is_the_files(self, tmp_path: Path, end: str) -> None:
        (tmp_path / "secret").write_text("from-a-file", encoding="utf-8")
        text = COMPANY.replace("COMPANY_SECRET", "OAUTH_GITHUB_SECOND_SECRET").replace(
            'client_id = "portal"', 'client_id_env = "OAUTH_GITHUB_SECOND_ID"'
        )
        environ = {"OAUTH_GITHUB_SECOND_ID": "x", f"OAUTH_GITHUB_SECOND_SECRET{end}": str(tmp_path / "secret")}

        assert keys(tmp_path, PORTAL + text, BASE | environ) == []

    def test_what_an_app_is_handed_is_the_apps(self, tmp_path: Path) -> None:
        app = '[apps.b]\nsource = "app.py"\nurl = "https://b.example.com"\n'
        (tmp_path / "app.py").touch()
        environ = ENVIRON | GITHUB | {"OAUTH_GITHUB_APP_TOKEN": "x"}
        handed = f'{app}secrets = ["OAUTH_GITHUB_APP_TOKEN"]\n'

        assert "OAUTH_GITHUB_APP_TOKEN" in keys(tmp_path, PORTAL + COMPANY + app, environ)
        assert "OAUTH_GITHUB_APP_TOKEN" not in keys(tmp_path, PORTAL + COMPANY + handed, environ)
