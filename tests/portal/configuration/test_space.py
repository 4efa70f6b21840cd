"""The portal in a Hugging Face Space, by the variables a Space sets; and GitLab's and Keycloak's, from Chainlit."""

from pathlib import Path

import pytest

from portal.settings import ProviderSpec, Secret
from tests.portal.configuration.reading import KEY, PORTAL, TUTORIAL, keys, loaded, problems

SECRET = "not-to-be-shown"
SPACE = {
    "PORTAL_SECRET_KEY": KEY,
    "SPACE_ID": "acme-ml/portal",
    "SPACE_HOST": "acme-ml-portal.hf.space",
    "OPENID_PROVIDER_URL": "https://huggingface.co",
    "OAUTH_CLIENT_ID": "4d3c2b1a",
    "OAUTH_CLIENT_SECRET": SECRET,
    "OAUTH_SCOPES": "openid profile",
}
GITLAB = {
    "PORTAL_SECRET_KEY": KEY,
    "OAUTH_GITLAB_CLIENT_ID": "5f0c",
    "OAUTH_GITLAB_CLIENT_SECRET": SECRET,
    "OAUTH_GITLAB_DOMAIN": "gitlab.example.com",
}
KEYCLOAK = {
    "PORTAL_SECRET_KEY": KEY,
    "OAUTH_KEYCLOAK_CLIENT_ID": "portal",
    "OAUTH_KEYCLOAK_CLIENT_SECRET": SECRET,
    "OAUTH_KEYCLOAK_REALM": "acme",
    "OAUTH_KEYCLOAK_BASE_URL": "https://sso.example.com/",
}
BY_FILE = """
[[providers]]
id = "hub"
type = "huggingface"
client_id_env = "OAUTH_CLIENT_ID"
client_secret_env = "OAUTH_CLIENT_SECRET"
allowed_organisations = ["acme-ml"]
"""


_FOUR = ("openid", "profile", "email", "read-memberships")


def without(environ: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in environ.items() if key != name}


def only(folder: Path, text: str | None, environ: dict[str, str]) -> ProviderSpec:
    (spec,) = loaded(folder, text, environ).providers
    return spec


class TestInASpace:
    def test_what_it_sets_is_enough(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, None, SPACE)

        assert settings.url == "https://acme-ml-portal.hf.space"
        assert settings.providers == (
            ProviderSpec(
                id="huggingface",
                label="Hugging Face",
                provider_type="huggingface",
                issuer="https://huggingface.co",
                client_id="4d3c2b1a",
                client_secret=Secret(SECRET),
                scopes=("openid", "profile"),
            ),
        )

    @pytest.mark.parametrize(
        "written",
        ["https://huggingface.co/", "https://huggingface.co/.well-known/openid-configuration"],
    )
    def test_however_the_hub_is_written(self, tmp_path: Path, written: str) -> None:
        spec = only(tmp_path, None, SPACE | {"OPENID_PROVIDER_URL": written})

        assert (spec.provider_type, spec.issuer) == ("huggingface", "https://huggingface.co")

    @pytest.mark.parametrize(
        "written", ["https://huggingface.co.evil.test", "https://hub.example.com", "https://huggingface.co/acme"]
    )
    def test_any_other_is_any_provider(self, tmp_path: Path, written: str) -> None:
        assert only(tmp_path, None, SPACE | {"OPENID_PROVIDER_URL": written}).provider_type == "oidc"

    def test_with_a_domain_of_its_own_the_first_host_counts(self, tmp_path: Path) -> None:
        environ = SPACE | {"SPACE_HOST": "acme-ml-portal.hf.space, ai.example.com"}

        assert loaded(tmp_path, None, environ).url == "https://acme-ml-portal.hf.space"

    @pytest.mark.parametrize(
        ("text", "more", "url"),
        [
            (PORTAL, {}, "https://portal.example.com"),
            (None, {"PORTAL_URL": "https://ai.example.com"}, "https://ai.example.com"),
            (None, {"CHAINLIT_URL": "https://chat.example.com"}, "https://chat.example.com"),
            (None, {"OAUTH_REDIRECT_URI": "https://b.example.com/login/callback"}, "https://b.example.com"),
        ],
        ids=["file", "portal", "chainlit", "callback"],
    )
    def test_whoever_says_the_address_has_the_last_word(
        self, tmp_path: Path, text: str | None, more: dict[str, str], url: str
    ) -> None:
        assert loaded(tmp_path, text, SPACE | more).url == url

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"SPACE_HOST": ",ai.example.com"}, ["SPACE_HOST"]),
            ({"SPACE_HOST": "ai.example.com/"}, ["SPACE_HOST"]),
            ({"SPACE_HOST": "https://ai.example.com"}, ["SPACE_HOST"]),
            ({"SPACE_HOST": "a b"}, ["SPACE_HOST"]),
            ({"SPACE_HOST": "user@ai.example.com"}, ["SPACE_HOST"]),
            ({"SPACE_HOST": ""}, ["portal.url"]),
            ({"OAUTH_REDIRECT_URI": "nowhere"}, ["OAUTH_REDIRECT_URI"]),
            ({"OAUTH_CLIENT_SECRET": ""}, ["OAUTH_CLIENT_SECRET"]),
            ({"OAUTH_SCOPES": "profile"}, ["OAUTH_SCOPES"]),
            (without(TUTORIAL, "OAUTH_REDIRECT_URI"), ["OPENID_PROVIDER_URL"]),
        ],
    )
    def test_what_cannot_be_used_is_a_problem(self, tmp_path: Path, more: dict[str, str], expected: list[str]) -> None:
        found = problems(tmp_path, None, SPACE | more)

        assert [problem.key for problem in found] == expected
        assert SECRET not in "".join(map(str, found))

    def test_a_provider_on_loopback_is_refused_there(self, tmp_path: Path) -> None:
        assert keys(tmp_path, None, SPACE | {"OPENID_PROVIDER_URL": "http://127.0.0.1:1"}) == ["SPACE_HOST"]

    def test_the_file_may_take_its_client_and_say_more(self, tmp_path: Path) -> None:
        spec = only(tmp_path, BY_FILE, SPACE)

        assert (spec.id, spec.client_id, spec.issuer) == ("hub", "4d3c2b1a", "https://huggingface.co")
        assert spec.admission.organisations == {"acme-ml"}

    @pytest.mark.parametrize(
        ("more", "scopes"),
        [
            ({}, ("openid", "profile")),
            ({"OAUTH_SCOPES": "openid, profile email,read-memberships"}, _FOUR),
            ({"OAUTH_SCOPES": ""}, ("openid", "profile", "email")),
        ],
        ids=["a space", "of its readme", "none"],
    )
    def test_its_scopes_go_with_its_client(self, tmp_path: Path, more: dict[str, str], scopes: tuple[str, ...]) -> None:
        one = BY_FILE.replace('client_id_env = "OAUTH_CLIENT_ID"', 'client_id = "4d3c"')
        other = BY_FILE.replace('client_secret_env = "OAUTH_CLIENT_SECRET"', 'token_endpoint_auth_method = "none"')

        assert only(tmp_path, BY_FILE, SPACE | more).scopes == scopes
        assert only(tmp_path, one, SPACE | more).scopes == scopes
        assert scopes in [spec.scopes for spec in loaded(tmp_path, other, SPACE | more).providers if spec.id == "hub"]

    def test_scopes_of_the_file_win(self, tmp_path: Path) -> None:
        text = f'{BY_FILE}scopes = ["openid", "email"]\n'

        assert only(tmp_path, text, SPACE).scopes == ("openid", "email")

    def test_unusable_scopes_beside_it_are_a_problem(self, tmp_path: Path) -> None:
        assert keys(tmp_path, BY_FILE, SPACE | {"OAUTH_SCOPES": "profile"}) == ["OAUTH_SCOPES"]

    def test_another_section_has_nothing_of_it(self, tmp_path: Path) -> None:
        text = f'{PORTAL}[[providers]]\nid = "g"\ntype = "github"\nclient_id = "a"\nclient_secret_env = "OTHER"\n'
        specs = {spec.id: spec for spec in loaded(tmp_path, text, SPACE | {"OTHER": SECRET}).providers}

        assert specs["g"].scopes == ("user:email", "read:org")
        assert specs["huggingface"].scopes == ("openid", "profile")

    @pytest.mark.parametrize("name", ["OAUTH_CLIENT_NAME", "OAUTH_REDIRECT_URI"])
    def test_what_the_section_must_have_is_a_problem(self, tmp_path: Path, name: str) -> None:
        (problem,) = problems(tmp_path, PORTAL + BY_FILE, SPACE | {name: "https://portal.example.com/login/callback"})

        assert problem.key == name
        assert ("label" if name == "OAUTH_CLIENT_NAME" else "redirect_uri") in problem.fix

    def test_prompt_goes_to_whoever_honours_it(self, tmp_path: Path) -> None:
        assert only(tmp_path, None, SPACE | {"OAUTH_PROMPT": "consent"}).authorize_params == ()


class TestGitLab:
    @pytest.mark.parametrize(
        ("written", "issuer"),
        [
            ("gitlab.example.com", "https://gitlab.example.com"),
            ("https://GitLab.example.com/", "https://gitlab.example.com"),
            ("gitlab.example.com:8443", "https://gitlab.example.com:8443"),
            ("code.example.com/gitlab/", "https://code.example.com/gitlab"),
        ],
    )
    def test_a_domain_with_scheme_port_and_path_or_without(self, tmp_path: Path, written: str, issuer: str) -> None:
        spec = only(tmp_path, PORTAL, GITLAB | {"OAUTH_GITLAB_DOMAIN": written})

        assert (spec.id, spec.issuer) == ("gitlab", issuer)

    @pytest.mark.parametrize("name", [name for name in GITLAB if name.startswith("OAUTH_")])
    def test_half_of_them_is_a_problem(self, tmp_path: Path, name: str) -> None:
        assert keys(tmp_path, PORTAL, without(GITLAB, name)) == [name]

    def test_a_domain_that_is_none(self, tmp_path: Path) -> None:
        environ = GITLAB | {"OAUTH_GITLAB_DOMAIN": "http://gitlab.example.com"}

        assert keys(tmp_path, PORTAL, environ) == ["OAUTH_GITLAB_DOMAIN"]


class TestKeycloak:
    def test_chainlits_variables(self, tmp_path: Path) -> None:
        spec = only(tmp_path, PORTAL, KEYCLOAK)

        assert (spec.id, spec.label, spec.issuer) == ("keycloak", "Keycloak", "https://sso.example.com/realms/acme")

    @pytest.mark.parametrize("name", ["OAUTH_SCOPES", "OAUTH_CLIENT_NAME", "OAUTH_REDIRECT_URI"])
    def test_a_variable_of_another_client_is_a_problem(self, tmp_path: Path, name: str) -> None:
        assert keys(tmp_path, PORTAL, KEYCLOAK | {name: "openid"}) == [name]

    @pytest.mark.parametrize(
        ("name", "provider_id", "chainlit_id", "callback"),
        [
            ("acme", "acme", None, "acme"),
            ("MyCompany", "mycompany", "MyCompany", "MyCompany"),
            ("acme_sso", "acme-sso", "acme_sso", "acme_sso"),
            ("Acme SSO", "acme-sso", "Acme SSO", "Acme%20SSO"),
            ("Öl & Gas?", "l-gas", "Öl & Gas?", "%C3%96l%20%26%20Gas%3F"),
            # Chainlit has no callback for these: a name there ends at a slash.
            ("Acme/SSO", "acme-sso", "Acme/SSO", "acme-sso"),
            ("../acme", "acme", "../acme", "acme"),
            ("\u4f1a\u793e", "keycloak", "\u4f1a\u793e", "%E4%BC%9A%E7%A4%BE"),
        ],
        ids=["a slug", "capitals", "an underscore", "a space", "any sign", "a slash", "a step up", "another script"],
    )
    def test_the_callback_is_the_one_that_chainlit_registered(
        self, tmp_path: Path, name: str, provider_id: str, chainlit_id: str | None, callback: str
    ) -> None:
        settings = loaded(tmp_path, PORTAL, KEYCLOAK | {"OAUTH_KEYCLOAK_NAME": name})
        (spec,) = settings.providers

        assert (spec.id, spec.chainlit_id) == (provider_id, chainlit_id)
        assert settings.callback_of(spec) == f"https://portal.example.com/auth/oauth/{callback}/callback"

    def test_two_names_of_one_id_are_a_problem(self, tmp_path: Path) -> None:
        section = '[[providers]]\nid = "mycompany"\ntype = "github"\nclient_id = "a"\nclient_secret_env = "OTHER"\n'
        text = PORTAL + section

        assert keys(tmp_path, text, KEYCLOAK | {"OTHER": "x", "OAUTH_KEYCLOAK_NAME": "MyCompany"}) == [
            "OAUTH_KEYCLOAK_CLIENT_ID"
        ]

    def test_a_name_becomes_the_callbacks(self, tmp_path: Path) -> None:
        spec = only(tmp_path, PORTAL, KEYCLOAK | {"OAUTH_KEYCLOAK_NAME": "Acme SSO", "OAUTH_ACME_SSO_PROMPT": "login"})

        assert (spec.id, spec.label, spec.chainlit_id) == ("acme-sso", "Acme SSO", "Acme SSO")
        assert spec.authorize_params == (("prompt", "login"),)

    @pytest.mark.parametrize("name", [name for name in KEYCLOAK if name.startswith("OAUTH_")])
    def test_half_of_them_is_a_problem(self, tmp_path: Path, name: str) -> None:
        assert keys(tmp_path, PORTAL, without(KEYCLOAK, name)) == [name]

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"OAUTH_KEYCLOAK_BASE_URL": "https://sso.example.com/realms/acme"}, ["OAUTH_KEYCLOAK_BASE_URL"]),
            ({"OAUTH_KEYCLOAK_BASE_URL": "http://sso.example.com"}, ["OAUTH_KEYCLOAK_BASE_URL"]),
            ({"OAUTH_KEYCLOAK_REALM": "realms/acme"}, ["OAUTH_KEYCLOAK_REALM"]),
            ({"OAUTH_KEYCLOAK_NAME": "x" * 70}, ["OAUTH_KEYCLOAK_NAME"]),
            # A renamed provider has the prompt of its name.
            ({"OAUTH_KEYCLOAK_NAME": "acme", "OAUTH_KYCLOAK_PROMPT": "login"}, ["OAUTH_KYCLOAK_PROMPT"]),
        ],
    )
    def test_what_has_no_effect_is_a_problem(self, tmp_path: Path, more: dict[str, str], expected: list[str]) -> None:
        assert keys(tmp_path, PORTAL, KEYCLOAK | more) == expected

    def test_two_realms_side_by_side(self, tmp_path: Path) -> None:
        text = PORTAL + "".join(
            f'[[providers]]\nid = "{realm}"\ntype = "keycloak"\nclient_id = "portal"\n'
            f'client_secret_env = "OAUTH_KEYCLOAK_CLIENT_SECRET"\nbase_url = "sso.example.com"\nrealm = "{realm}"\n'
            for realm in ("acme", "beta")
        )
        environ = {"PORTAL_SECRET_KEY": KEY, "OAUTH_KEYCLOAK_CLIENT_SECRET": SECRET}

        assert [spec.issuer for spec in loaded(tmp_path, text, environ).providers] == [
            "https://sso.example.com/realms/acme",
            "https://sso.example.com/realms/beta",
        ]
