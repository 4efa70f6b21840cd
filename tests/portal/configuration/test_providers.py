from pathlib import Path
from textwrap import dedent

import pytest

from portal.cli.check import summary
from portal.rules.policy import API_RIGHTS, RoleRule, standing_in
from portal.settings import Endpoints, ProviderSpec, Secret
from tests.builders import an_identity
from tests.portal.configuration.reading import (
    APP,
    ENVIRON,
    GOOD,
    KEY,
    PORTAL,
    PROVIDER,
    ROLES,
    TUTORIAL,
    keys,
    loaded,
    problems,
)

LOCAL = '[portal]\nurl = "http://localhost:7860"\n'
GENERIC = {
    "PORTAL_SECRET_KEY": KEY,
    "OPENID_PROVIDER_URL": "https://id.example.com",
    "OAUTH_CLIENT_ID": "portal",
    "OAUTH_CLIENT_SECRET": "generic-secret",
}


def without(environ: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in names}


def with_provider(text: str) -> str:
    return PORTAL + f"[[providers]]\n{text}\n"


class TestInTheFile:
    def test_all_of_it_is_read(self, tmp_path: Path) -> None:
        text = with_provider("""
            id = "company-two"
            label = "Example & Sons"
            kind = "oidc"
            issuer = "https://id.example.com/realms/acme/"
            client_id_env = "COMPANY_ID"
            client_secret_env = "COMPANY_SECRET"
            scopes = ["openid", "groups"]
            redirect_uri = "https://portal.example.com/auth/callback"
            token_endpoint_auth_method = "client_secret_post"
            prompt = "login consent"
            [providers.endpoints]
            authorize = "https://id.example.com/authorize?p=policy"
            token = "https://id.example.com/token"
            jwks = "https://id.example.com/jwks"
            userinfo = "https://id.example.com/userinfo"
            end_session = "https://id.example.com/logout"
        """)

        assert loaded(tmp_path, text, ENVIRON | {"COMPANY_ID": "from-env"}).providers == (
            ProviderSpec(
                id="company-two",
                label="Example & Sons",
                provider_type="oidc",
                issuer="https://id.example.com/realms/acme/",
                client_id="from-env",
                client_secret=Secret("from-the-environment"),
                scopes=("openid", "groups"),
                endpoints=Endpoints(
                    authorize="https://id.example.com/authorize?p=policy",
                    token="https://id.example.com/token",
                    jwks="https://id.example.com/jwks",
                    userinfo="https://id.example.com/userinfo",
                    end_session="https://id.example.com/logout",
                ),
                redirect_uri="https://portal.example.com/auth/callback",
                token_endpoint_auth_method="client_secret_post",
                authorize_params=(("prompt", "login consent"),),
            ),
        )

    def test_descope_needs_little(self, tmp_path: Path) -> None:
        text = with_provider(
            'id = "descope"\nkind = "descope"\nclient_id = "P2x"\nclient_secret_env = "COMPANY_SECRET"'
        )
        spec = loaded(tmp_path, text).providers[0]

        assert spec.issuer == "https://api.descope.com/P2x"
        assert "descope.claims" in spec.scopes
        assert spec.endpoints is None

    def test_a_public_client_says_so(self, tmp_path: Path) -> None:
        text = with_provider(
            'id = "x"\nissuer = "https://x.test"\nclient_id = "c"\ntoken_endpoint_auth_method = "none"'
        )

        assert loaded(tmp_path, text).providers[0].client_secret is None

    @pytest.mark.parametrize(
        ("change", "by", "key"),
        [
            ('id = "company"', "", "providers[0].id"),
            ('id = "company"', 'id = "Company"', "providers[0].id"),
            ('id = "company"', 'id = "../x"', "providers[0].id"),
            ('id = "company"', 'id = "-x"', "providers[0].id"),
            ('id = "company"', f'id = "{"x" * 64}"', "providers[0].id"),
            ('id = "company"', "id = 7", "providers[0].id"),
            ("issuer =", "label =", "providers.company.issuer"),
            ("https://id.example.com", "http://id.example.com", "providers.company.issuer"),
            ("https://id.example.com", "https://id.example.com?x=1", "providers.company.issuer"),
            ("https://id.example.com", "id.example.com", "providers.company.issuer"),
            ('client_id = "portal"', "", "providers.company.client_id"),
            ('client_id = "portal"', 'client_id_env = "UNSET"', "providers.company.client_id_env"),
            ('client_id = "portal"', 'client_id = "a"\nclient_id_env = "UNSET"', "providers.company.client_id"),
            ('client_secret_env = "COMPANY_SECRET"', "", "providers.company.client_secret_env"),
            ("COMPANY_SECRET", "UNSET", "providers.company.client_secret_env"),
            ("COMPANY_SECRET", "s3cr3t value!", "providers.company.client_secret_env"),
            ("COMPANY_SECRET", "s3cr3tvalue", "providers.company.client_secret_env"),
            (
                "client_id =",
                'token_endpoint_auth_method = "none"\nclient_id =',
                "providers.company.client_secret_env",
            ),
            (
                "client_id =",
                'token_endpoint_auth_method = "private_key_jwt"\nclient_id =',
                "providers.company.token_endpoint_auth_method",
            ),
            ("client_id =", 'kind = "saml"\nclient_id =', "providers.company.kind"),
            ("client_id =", 'scopes = ["profile"]\nclient_id =', "providers.company.scopes"),
            ("client_id =", 'scopes = ["openid profile"]\nclient_id =', "providers.company.scopes"),
            ("client_id =", "scopes = ['open\"id', 'openid']\nclient_id =", "providers.company.scopes"),
            ("client_id =", 'prompt = "none"\nclient_id =', "providers.company.prompt"),
            (
                "client_id =",
                'redirect_uri = "https://evil.test/auth/callback"\nclient_id =',
                "providers.company.redirect_uri",
            ),
            (
                "client_id =",
                'redirect_uri = "https://portal.example.com/elsewhere"\nclient_id =',
                "providers.company.redirect_uri",
            ),
            (
                "client_id =",
                'endpoints = { token = "https://x.test/t", jwks = "https://x.test/j" }\nclient_id =',
                "providers.company.endpoints.authorize",
            ),
            (
                "client_id =",
                'endpoints = { authorize = "https://x.te", token = "http://x.te", jwks = "https://x.te" }\nclient_id =',
                "providers.company.endpoints.token",
            ),
        ],
    )
    def test_a_problem_is_reported_once_at_its_key(self, tmp_path: Path, change: str, by: str, key: str) -> None:
        assert change in PROVIDER
        found = problems(tmp_path, PORTAL + PROVIDER.replace(change, by))

        assert [problem.key for problem in found] == [key]
        assert "s3cr3t" not in str(found[0])

    @pytest.mark.parametrize("written", ['["EdDSA"]', '["Ed25519"]', '["EdDSA", "Ed25519"]'])
    def test_ed25519_goes_by_both_its_names(self, tmp_path: Path, written: str) -> None:
        text = PORTAL + PROVIDER + f"algorithms = {written}"

        assert loaded(tmp_path, text).providers[0].algorithms == ("Ed25519",)

    def test_ed448_is_not_meant(self, tmp_path: Path) -> None:
        assert keys(tmp_path, PORTAL + PROVIDER + 'algorithms = ["Ed448"]') == ["providers.company.algorithms"]

    @pytest.mark.parametrize("kind", ["", 'type = "oidc"', 'kind = "oidc"', 'type = "huggingface"'])
    @pytest.mark.parametrize("end", ["", "/"])
    def test_googles_issuer_is_for_googles_provider_type(self, tmp_path: Path, kind: str, end: str) -> None:
        text = PROVIDER.replace("https://id.example.com", f"https://accounts.google.com{end}") + kind
        [problem] = problems(tmp_path, PORTAL + text)

        assert problem.key == "providers.company.issuer"
        assert 'type = "google"' in problem.fix

    def test_hugging_faces_issuer_is_for_its_own(self, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, PORTAL + PROVIDER.replace("https://id.example.com", "https://huggingface.co"))

        assert 'type = "huggingface"' in problem.fix
        own = PROVIDER.replace("https://id.example.com", "https://huggingface.co") + 'type = "huggingface"'
        assert keys(tmp_path, PORTAL + own) == []

    @pytest.mark.parametrize(
        "more",
        [
            'discovery = "https://id.example.com/x/.well-known/openid-configuration"',
            """
            [providers.endpoints]
            authorize = "https://id.example.com/a"
            token = "https://id.example.com/t"
            jwks = "https://id.example.com/j"
            """,
        ],
    )
    def test_an_address_of_metadata_stands_alone(self, tmp_path: Path, more: str) -> None:
        text = PROVIDER.replace("https://id.example.com", "https://id.example.com/.well-known/openid-configuration")

        assert keys(tmp_path, PORTAL + text + dedent(more)) == ["providers.company.issuer"]

    def test_addresses_may_be_assumed_to_be_verified_and_the_check_says_so(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, PORTAL + PROVIDER + 'email_verified = "assume"')

        assert settings.providers[0].assumes_email
        assert 'note: email_verified = "assume"' in "\n".join(summary(settings))
        assert not loaded(tmp_path).providers[0].assumes_email
        assert "email_verified" not in "\n".join(summary(loaded(tmp_path)))

    @pytest.mark.parametrize("written", ["true", '"true"', '"always"', "[]"])
    def test_in_one_word_only(self, tmp_path: Path, written: str) -> None:
        text = PORTAL + PROVIDER + f"email_verified = {written}"

        assert keys(tmp_path, text) == ["providers.company.email_verified"]

    @pytest.mark.parametrize("provider_type", ["github", "google", "azure-ad", "huggingface"])
    def test_not_for_a_type_that_reports_verified_addresses(self, tmp_path: Path, provider_type: str) -> None:
        """Of Entra's addresses none can be trusted unless it says so: a tenant may write any."""
        text = PROVIDER.replace('issuer = "https://id.example.com"', f'type = "{provider_type}"')
        tenant = 'tenant_id = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"' if provider_type == "azure-ad" else ""

        assert keys(tmp_path, f'{PORTAL}{text}{tenant}\nemail_verified = "assume"') == [
            "providers.company.email_verified"
        ]

    def test_two_of_one_id_are_refused(self, tmp_path: Path) -> None:
        assert keys(tmp_path, PORTAL + PROVIDER + PROVIDER) == ["providers.company"]

    def test_two_may_not_share_a_callback(self, tmp_path: Path) -> None:
        """
        One provider's answer could be taken to the other.
        """
        shared = PROVIDER.replace(
            "client_id =", 'redirect_uri = "https://portal.example.com/auth/callback"\nclient_id ='
        )
        other = shared.replace('"company"', '"other"')

        assert keys(tmp_path, PORTAL + shared + other) == ["providers.other.redirect_uri"]
        assert keys(tmp_path, PORTAL + shared + other.replace("/auth/callback", "/login/callback")) == []
        assert keys(tmp_path, PORTAL + PROVIDER + PROVIDER.replace('"company"', '"other"')) == []

    def test_a_secret_may_stand_in_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("from-a-file\n", encoding="utf-8")
        environ = {"PORTAL_SECRET_KEY": KEY, "COMPANY_SECRET_FILE": str(tmp_path / "secret")}

        assert loaded(tmp_path, GOOD, environ).providers[0].client_secret == Secret("from-a-file")

    def test_a_secret_in_a_file_that_is_not_there_is_one_problem(self, tmp_path: Path) -> None:
        environ = {"PORTAL_SECRET_KEY": KEY, "COMPANY_SECRET_FILE": str(tmp_path / "gone")}

        assert keys(tmp_path, GOOD, environ) == ["COMPANY_SECRET_FILE"]

    def test_rules_of_a_provider_with_a_problem_are_no_second_problem(self, tmp_path: Path) -> None:
        roles = '[roles.r]\ngroups = ["g"]\nprovider = "company"'

        assert keys(tmp_path, PORTAL + PROVIDER.replace('client_id = "portal"', "") + roles) == [
            "providers.company.client_id"
        ]


class TestOnLoopback:
    """No production configuration can reach a demo provider."""

    @pytest.mark.parametrize(
        "host", ["http://127.0.0.1:7801", "https://localhost", "http://id.demo.localhost:1", "http://[::1]:1"]
    )
    def test_a_public_portal_has_no_provider_there(self, tmp_path: Path, host: str) -> None:
        assert keys(tmp_path, PORTAL + PROVIDER.replace("https://id.example.com", host)) == ["portal.url"]
        assert keys(
            tmp_path,
            PORTAL + PROVIDER.replace("https://id.example.com", host),
            ENVIRON | {"PORTAL_URL": "https://portal.example.com"},
        ) == ["PORTAL_URL"]

    @pytest.mark.parametrize("end", ["authorize", "token", "jwks", "userinfo", "end_session"])
    def test_not_even_one_endpoint(self, tmp_path: Path, end: str) -> None:
        ends = dict.fromkeys(("authorize", "token", "jwks"), "https://x.test/x") | {end: "http://127.0.0.1:7801/x"}
        table = ", ".join(f'{name} = "{url}"' for name, url in ends.items())

        assert keys(tmp_path, PORTAL + PROVIDER + f"endpoints = {{ {table} }}") == ["portal.url"]

    def test_a_portal_on_loopback_may(self, tmp_path: Path) -> None:
        text = LOCAL + PROVIDER.replace("https://id.example.com", "http://127.0.0.1:7801")

        assert loaded(tmp_path, text).providers[0].issuer == "http://127.0.0.1:7801"


class TestAnyProviderOfTheEnvironment:
    def test_four_variables_are_enough(self, tmp_path: Path) -> None:
        environ = GENERIC | {"OAUTH_SCOPES": "openid, profile  email"}

        assert loaded(tmp_path, PORTAL, environ).providers == (
            ProviderSpec(
                id="openid",
                label="id.example.com",
                provider_type="oidc",
                issuer="https://id.example.com",
                client_id="portal",
                client_secret=Secret("generic-secret"),
                scopes=("openid", "profile", "email"),
            ),
        )

    @pytest.mark.parametrize(
        ("written", "issuer"),
        [
            ("https://huggingface.co", "https://huggingface.co"),
            ("https://id.example.com/.well-known/openid-configuration", "https://id.example.com"),
            ("https://sso.example.com/realms/a/.well-known/openid-configuration", "https://sso.example.com/realms/a"),
            ("https://id.example.com/.well-known/openid-configuration/", "https://id.example.com"),
            ("https://x.auth0.com/", "https://x.auth0.com/"),
        ],
    )
    def test_both_meanings_of_the_address_are_understood(self, tmp_path: Path, written: str, issuer: str) -> None:
        settings = loaded(tmp_path, PORTAL, GENERIC | {"OPENID_PROVIDER_URL": written})

        assert settings.providers[0].issuer == issuer

    @pytest.mark.parametrize(
        ("written", "discovery"),
        [
            ("https://id.example.com", None),
            ("https://id.example.com/", None),
            ("https://id.example.com/.well-known/openid-configuration", ""),
            (
                "https://id.example.com/.well-known/openid-configuration/",
                "https://id.example.com/.well-known/openid-configuration",
            ),
            ("https://id.example.com/o/portal/.well-known/openid-configuration", ""),
            ("https://acme.b2clogin.com/acme.onmicrosoft.com/v2.0/.well-known/openid-configuration?p=B2C_1", ""),
            ("https://id.example.com/.well-known/oauth-authorization-server/tenant", ""),
            ("https://huggingface.co/.well-known/openid-configuration", None),
        ],
    )
    def test_an_address_of_metadata_has_their_issuer_count(
        self, tmp_path: Path, written: str, discovery: str | None
    ) -> None:
        of_variable = loaded(tmp_path, PORTAL, GENERIC | {"OPENID_PROVIDER_URL": written}).providers[0]

        assert of_variable.issuer_of_document is (discovery is not None)
        assert of_variable.discovery == (discovery if discovery is None else discovery or written)
        assert of_variable.with_issuer("https://evil.test") is of_variable

    def test_the_file_takes_the_same_addresses(self, tmp_path: Path) -> None:
        document = "https://auth.example.com/application/o/portal/.well-known/openid-configuration"
        spec = loaded(tmp_path, GOOD.replace('issuer = "https://id.example.com"', f'issuer = "{document}"')).providers[
            0
        ]

        assert spec.issuer_of_document
        assert spec.discovery == document
        for issuer in (
            "https://auth.example.com/application/o/portal/",
            "https://auth.example.com/",
            "https://Auth.Example.com/",
            "https://auth.example.com:443/",
        ):
            assert spec.with_issuer(issuer).issuer == issuer
        for issuer in ("https://auth.example.com:8443/", "http://auth.example.com/", "https://auth.example.com:x/"):
            assert spec.with_issuer(issuer) is spec

    def test_metadata_may_be_elsewhere_than_the_issuer_that_is_written(self, tmp_path: Path) -> None:
        written = 'issuer = "https://identity.example.com/"\ndiscovery = "https://acme.example.com/.well-known/x"'
        spec = loaded(tmp_path, GOOD.replace('issuer = "https://id.example.com"', written)).providers[0]

        assert (spec.issuer, spec.discovery) == (
            "https://identity.example.com/",
            "https://acme.example.com/.well-known/x",
        )
        assert not spec.issuer_of_document

    @pytest.mark.parametrize(
        "written",
        [
            "https://accounts.google.com",
            "https://accounts.google.com/",
            "https://Accounts.Google.com",
            "https://accounts.google.com/.well-known/openid-configuration",
        ],
    )
    def test_googles_address_is_google(self, tmp_path: Path, written: str) -> None:
        """
        Any other reading would believe addresses that Google has only seen once.
        """
        spec = loaded(tmp_path, PORTAL, GENERIC | {"OPENID_PROVIDER_URL": written}).providers[0]

        assert (spec.provider_type, spec.issuer) == ("google", "https://accounts.google.com")

    def test_its_name_can_be_configured(self, tmp_path: Path) -> None:
        spec = loaded(tmp_path, PORTAL, GENERIC | {"OAUTH_CLIENT_NAME": "Example Company"}).providers[0]

        assert (spec.id, spec.label) == ("example-company", "Example Company")

    def test_it_stands_beside_those_of_the_file(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, PORTAL + PROVIDER, GENERIC | {"COMPANY_SECRET": "x"})

        assert [spec.id for spec in settings.providers] == ["company", "openid"]

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            (without(GENERIC, "OAUTH_CLIENT_ID"), ["OAUTH_CLIENT_ID"]),
            (without(GENERIC, "OAUTH_CLIENT_SECRET"), ["OAUTH_CLIENT_SECRET"]),
            (without(GENERIC, "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET"), ["OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET"]),
            (GENERIC | {"OAUTH_CLIENT_ID": " "}, ["OAUTH_CLIENT_ID"]),
            (without(GENERIC, "OPENID_PROVIDER_URL"), ["OAUTH_CLIENT_ID"]),
            (GENERIC | {"OPENID_PROVIDER_URL": "http://id.example.com"}, ["OPENID_PROVIDER_URL"]),
            (GENERIC | {"OAUTH_SCOPES": "profile email"}, ["OAUTH_SCOPES"]),
            (GENERIC | {"OAUTH_CLIENT_NAME": "c" * 70}, ["OAUTH_CLIENT_NAME"]),
            (GENERIC | {"OAUTH_REDIRECT_URI": "https://evil.test/auth/callback"}, ["OAUTH_REDIRECT_URI"]),
            (GENERIC | {"OPENID_PROVIDER_URL": "http://127.0.0.1:7801"}, ["portal.url"]),
        ],
    )
    def test_half_of_it_is_a_problem(self, tmp_path: Path, environ: dict[str, str], expected: list[str]) -> None:
        found = problems(tmp_path, PORTAL, environ)

        assert [problem.key for problem in found] == expected
        assert "generic-secret" not in "".join(map(str, found))

    def test_the_same_variables_may_be_named_by_the_file(self, tmp_path: Path) -> None:
        text = PORTAL + PROVIDER.replace('client_id = "portal"', 'client_id_env = "OAUTH_CLIENT_ID"').replace(
            "COMPANY_SECRET", "OAUTH_CLIENT_SECRET"
        )
        environ = {"PORTAL_SECRET_KEY": KEY, "OAUTH_CLIENT_ID": "c", "OAUTH_CLIENT_SECRET": "s"}

        assert [spec.client_id for spec in loaded(tmp_path, text, environ).providers] == ["c"]

    def test_a_name_in_another_script_is_a_label_and_gives_no_address(self, tmp_path: Path) -> None:
        spec = loaded(tmp_path, PORTAL, GENERIC | {"OAUTH_CLIENT_NAME": "会社"}).providers[0]

        assert (spec.id, spec.label) == ("openid", "会社")

    @pytest.mark.parametrize("name", ["OAUTH_CLIENT_NAME", "OAUTH_REDIRECT_URI", "OAUTH_SCOPES"])
    def test_a_variable_without_its_provider_is_a_problem(self, tmp_path: Path, name: str) -> None:
        assert keys(tmp_path, GOOD, ENVIRON | {name: "openid"}) == [name]

    def test_a_callback_can_give_the_portals_address(self, tmp_path: Path) -> None:
        environ = ENVIRON | {"OAUTH_REDIRECT_URI": "https://portal.example.com/auth/callback"}
        settings = loaded(tmp_path, GOOD.replace('url = "https://portal.example.com"\n', ""), environ)

        assert settings.url == "https://portal.example.com"


class TestTheTutorial:
    def test_its_variables_work_as_they_are(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, None, TUTORIAL)

        assert settings.url == "http://localhost:7860"
        assert settings.secret_keys == (Secret(KEY),)
        assert settings.providers == (
            ProviderSpec(
                id="descope",
                label="Descope",
                provider_type="descope",
                issuer="https://api.descope.com/P2example",
                client_id="P2example",
                client_secret=Secret("access-key"),
                scopes=("openid", "profile", "email", "descope.claims", "descope.custom_claims"),
                endpoints=Endpoints(
                    authorize="https://api.descope.com/oauth2/v1/authorize",
                    token="https://api.descope.com/oauth2/v1/token",
                    jwks="https://api.descope.com/P2example/.well-known/jwks.json",
                    userinfo="https://api.descope.com/oauth2/v1/userinfo",
                    end_session="https://api.descope.com/oauth2/v1/logout",
                ),
                redirect_uri="http://localhost:7860/auth/callback",
            ),
        )

    def test_its_admins_are_admins_with_every_right(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, None, TUTORIAL)

        assert settings.roles == (RoleRule(role="admin", when="contains(roles, 'Tenant Admin')", provider="descope"),)
        assert settings.rights_of_roles == {"admin": frozenset(API_RIGHTS)}

    @pytest.mark.parametrize(
        "name", ["Owner", "Ana's", "back\\slash", "tick`", '"quoted"', "'", "\\'", "a'||`true`||'"]
    )
    def test_any_name_of_the_admin_role_is_that_name_and_no_expression(self, tmp_path: Path, name: str) -> None:
        settings = loaded(tmp_path, None, TUTORIAL | {"ADMIN_ROLE": name})
        has_it, has_not = (
            standing_in(
                an_identity(
                    provider="descope", affiliations=(an_identity().affiliations[0].__class__(roles=frozenset({role})),)
                ),
                tenant="",
                rules=settings.roles,
            )
            for role in (name, "Member")
        )

        assert has_it is not None
        assert has_not is not None
        assert has_it.roles == {"admin"}
        assert has_not.roles == frozenset()

    def test_a_role_admin_of_the_file_wins(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, ROLES, TUTORIAL)

        assert [rule.role for rule in settings.roles] == ["admin", "analyst"]
        assert settings.roles[0].provider is None

    def test_its_admin_may_open_apps_of_the_file(self, tmp_path: Path) -> None:
        app = APP.replace('"analyst"', '"admin"')

        assert keys(tmp_path, app, TUTORIAL | {"PORTAL_URL": "http://localhost:7860"}) == []

    def test_without_a_name_it_is_descope(self, tmp_path: Path) -> None:
        spec = loaded(tmp_path, None, without(TUTORIAL, "OAUTH_CLIENT_NAME", "OAUTH_SCOPES", "OAUTH_USERINFO_ENDPOINT"))

        assert (spec.providers[0].id, spec.providers[0].label) == ("descope", "Descope")
        assert "descope.claims" in spec.providers[0].scopes
        assert spec.providers[0].endpoints is not None
        assert spec.providers[0].endpoints.userinfo is None

    def test_another_authorize_url_tells_no_sign_out(self, tmp_path: Path) -> None:
        spec = loaded(tmp_path, None, TUTORIAL | {"OAUTH_AUTHORIZE_URL": "https://auth.example.com/go"}).providers[0]

        assert spec.endpoints is not None
        assert spec.endpoints.end_session is None

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            (without(TUTORIAL, "OAUTH_AUTHORIZE_URL"), ["OAUTH_AUTHORIZE_URL"]),
            (without(TUTORIAL, "OAUTH_ACCESS_TOKEN_URL"), ["OAUTH_ACCESS_TOKEN_URL"]),
            (without(TUTORIAL, "OAUTH_JWKS_URI"), ["OAUTH_JWKS_URI"]),
            (without(TUTORIAL, "OAUTH_CLIENT_ID"), ["OAUTH_CLIENT_ID"]),
            (without(TUTORIAL, "OAUTH_CLIENT_SECRET"), ["OAUTH_CLIENT_SECRET"]),
            (
                without(TUTORIAL, "OAUTH_ACCESS_TOKEN_URL", "OAUTH_JWKS_URI", "OAUTH_CLIENT_ID"),
                ["OAUTH_ACCESS_TOKEN_URL", "OAUTH_JWKS_URI", "OAUTH_CLIENT_ID"],
            ),
            (TUTORIAL | {"OAUTH_JWKS_URI": "https://api.descope.com/P2example/keys"}, ["OAUTH_JWKS_URI"]),
            (TUTORIAL | {"OAUTH_ACCESS_TOKEN_URL": "http://api.descope.com/token"}, ["OAUTH_ACCESS_TOKEN_URL"]),
            (TUTORIAL | {"OAUTH_SCOPES": "profile"}, ["OAUTH_SCOPES"]),
            (TUTORIAL | {"OPENID_PROVIDER_URL": "https://id.example.com"}, ["OPENID_PROVIDER_URL"]),
            (TUTORIAL | {"OAUTH_REDIRECT_URI": "http://localhost:7860/elsewhere"}, ["OAUTH_REDIRECT_URI"]),
            (TUTORIAL | {"PORTAL_URL": "http://localhost:7800"}, ["OAUTH_REDIRECT_URI"]),
            (without(TUTORIAL, "OAUTH_REDIRECT_URI"), ["portal.url"]),
            (TUTORIAL | {"OAUTH_REDIRECT_URI": "not an address"}, ["OAUTH_REDIRECT_URI"]),
            (TUTORIAL | {"OAUTH_REDIRECT_URI": "http://portal.example.com/auth/callback"}, ["OAUTH_REDIRECT_URI"]),
        ],
    )
    def test_half_of_it_is_a_problem(self, tmp_path: Path, environ: dict[str, str], expected: list[str]) -> None:
        found = problems(tmp_path, None, environ)

        assert [problem.key for problem in found] == expected
        assert "access-key" not in "".join(map(str, found))

    def test_a_callback_that_gives_no_address_says_why(self, tmp_path: Path) -> None:
        [problem] = problems(
            tmp_path, None, TUTORIAL | {"OAUTH_REDIRECT_URI": "http://portal.example.com/auth/callback"}
        )

        assert "plain http" in problem.what
        assert "PORTAL_URL" in problem.fix
