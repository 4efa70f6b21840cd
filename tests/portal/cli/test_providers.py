"""``portal providers`` as it is typed, at providers that answer, misbehave and are away."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.cli import main
from tests.provider.misbehaving import CLIENT_SECRET, Answer, MisbehavingProvider, as_json, misbehaving_provider

KEY = "zB1-kept-from-everybody-0123456789abcdefgh"
PORTAL = "http://portal.demo.localhost:7800"
GITHUBS = "secret-of-the-app-at-github"


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        yield provider


@pytest.fixture
def config(theirs: MisbehavingProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A portal with an OpenID provider of the file, and GitHub of the environment."""
    for name in ("PORTAL_CONFIG", "PORTAL_URL", "PORTAL_DATA_DIR", "PORTAL_DATABASE_URL", "OAUTH_PROMPT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        f"PORTAL_SECRET_KEY={KEY}\nCOMPANY_CLIENT_SECRET={CLIENT_SECRET}\n"
        f"OAUTH_GITHUB_CLIENT_ID=Iv1.portal\nOAUTH_GITHUB_CLIENT_SECRET={GITHUBS}\n"
    )
    file = tmp_path / "portal.toml"
    file.write_text(
        f'[portal]\nurl = "{PORTAL}"\n[[providers]]\nid = "company"\nissuer = "{theirs.issuer}"\n'
        'client_id = "portal"\nclient_secret_env = "COMPANY_CLIENT_SECRET"\nallowed_domains = ["example.com"]\n',
        encoding="utf-8",
    )
    return file


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Return what the command prints, once it has kept every secret to itself."""
    assert main(["providers", *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    for secret in (KEY, CLIENT_SECRET, GITHUBS):
        assert secret not in out
    return out


@pytest.mark.usefixtures("config")
class TestList:
    def test_every_provider_is_reported_with_what_turned_it_on(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        company, github = output_of(capsys).split("\n\n")

        for words in (
            "company: Company (oidc)",
            "[[providers]] in the file",
            f"answers        yes, {theirs.issuer}/.well-known/openid-configuration",
            f"callback       {PORTAL}/auth/oauth/company/callback",
            "only domains example.com",
            f"continues at {theirs.issuer}/end",
            f"then to      {PORTAL}/signed-out",
            "its logouts    reach the portal if one of these is registered there",
            f"back-channel {PORTAL}/auth/oauth/company/backchannel-logout",
            f"or in frames {PORTAL}/auth/oauth/company/frontchannel-logout",
            "claims         read again every 15 minutes, with a refresh token, requested by offline_access; ",
            "a sign-in without one ends after 8 hours",
        ):
            assert words in company
        for words in (
            "github: GitHub (github)",
            "OAUTH_GITHUB_CLIENT_ID, OAUTH_GITHUB_CLIENT_SECRET",
            "Iv1.portal, with a secret",
            "not tested",
            "everyone with an account there",
            "at the portal only; the provider's session goes on",
            "its logouts    do not reach the portal",
            "claims         read again every 15 minutes, from its API",
        ):
            assert words in github
        assert "/token" not in theirs.asked

    def test_where_refresh_is_off_claims_are_as_of_sign_in(
        self, config: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with config.open("a", encoding="utf-8") as file:
            file.write("refresh = false\n")

        assert "claims         as of sign-in, which ends after 8 hours" in output_of(capsys).split("\n\n")[0]
        assert json.loads(output_of(capsys, "--json"))["providers"][0]["refresh"] is None

    def test_one_that_cannot_be_used_is_reported_with_the_reason(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.respond["/.well-known/openid-configuration"] = lambda _: as_json({}, status=503)
        out = output_of(capsys, code=1)

        assert "answers        no: GET" in out
        assert "status 503" in out
        assert "Check its address and the proxy settings" in out
        assert "not known while it does not answer" in out

    def test_what_keeps_everybody_out_is_reported_and_what_does_not_is_left_to_the_test(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.metadata.update(
            id_token_signing_alg_values_supported=["HS256"], code_challenge_methods_supported=["plain"]
        )
        out = output_of(capsys, code=1)

        assert "MISSING: ID tokens cannot be verified" in out
        assert "for PKCE" not in out

    def test_the_companys_own_rule_is_reported(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (config.parent / "rules_of_the_company.py").write_text(
            "def who_comes_in(provider_id, token, raw_user_data, default_user, id_token=None):\n    return None\n"
        )
        monkeypatch.syspath_prepend(config.parent)
        with (config.parent / ".env").open("a") as file:
            file.write("PORTAL_SIGN_IN_HOOK=rules_of_the_company:who_comes_in\n")

        assert output_of(capsys).count("if the sign-in hook agrees") == 2

    def test_only_the_channel_that_the_provider_has_is_named(
        self, config: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config.write_text(config.read_text().replace('id = "company"', 'id = "company"\ntype = "descope"'))
        company = output_of(capsys).split("\n\n")[0]

        assert "its logouts    reach the portal if this is registered there" in company
        assert f"back-channel {PORTAL}/auth/oauth/company/backchannel-logout" in company
        assert "in frames" not in company

    def test_it_answers_in_json(self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]) -> None:
        company, github = json.loads(output_of(capsys, "--json"))["providers"]

        assert (company["id"], company["variables"], company["usable"]) == ("company", [], True)
        assert company["discovery"] == f"{theirs.issuer}/.well-known/openid-configuration"
        assert company["sign_out"] == f"{theirs.issuer}/end"
        assert company["admission"]["domains"] == ["example.com"]
        assert github["variables"] == ["OAUTH_GITHUB_CLIENT_ID", "OAUTH_GITHUB_CLIENT_SECRET"]
        assert (github["discovery"], github["sign_out"], github["refresh"]) == (None, None, "its API")
        assert company["logout"] == {
            "back_channel": f"{PORTAL}/auth/oauth/company/backchannel-logout",
            "front_channel": f"{PORTAL}/auth/oauth/company/frontchannel-logout",
        }
        assert github["logout"] is None


@pytest.mark.usefixtures("config")
class TestTest:
    def test_it_tells_all_there_is_and_an_address_to_open(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = output_of(capsys, "test", "company")

        for words in (
            f"authorize      {theirs.issuer}/authorize",
            f"jwks           {theirs.issuer}/jwks",
            "RS256",
            "client_secret_basic, accepted",
            "PKCE           S256",
            "by a signed ID token",
            "No problem was found: people can sign in.",
        ):
            assert words in out
        [url] = [line.strip() for line in out.splitlines() if line.startswith(f"  {theirs.issuer}/authorize?")]
        query = parse_qs(urlsplit(url).query)
        assert query["redirect_uri"] == [f"{PORTAL}/auth/oauth/company/callback"]
        assert query["code_challenge_method"] == ["S256"]
        assert "/token" in theirs.asked

    @pytest.mark.parametrize("arguments", [("--json", "test", "company"), ("test", "--json", "company")])
    def test_it_answers_in_json_wherever_that_is_said(
        self, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer: dict[str, Any] = json.loads(output_of(capsys, *arguments))

        assert "RS256" in answer["algorithms"]
        assert answer["missing"] == []
        assert answer["authorization_url"].startswith(answer["endpoints"]["authorize"])

    def test_the_file_may_be_named_before_or_after(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        other = config.rename(config.with_name("other.toml"))

        assert "Company" in output_of(capsys, "--config", str(other), "test", "company")
        assert "Company" in output_of(capsys, "test", "company", "--config", str(other))

    def test_the_issuer_of_a_document_is_shown_as_the_document_names_it(
        self, config: Path, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = "/application/o/portal/.well-known/openid-configuration"
        theirs.metadata["issuer"] = f"{theirs.issuer}/application/o/portal/"
        theirs.respond[path] = lambda _: as_json(theirs.metadata)
        text = config.read_text(encoding="utf-8").replace(f'"{theirs.issuer}"', f'"{theirs.issuer}{path}"')
        config.write_text(text, encoding="utf-8")
        out = output_of(capsys, "test", "company")

        assert f"issuer         {theirs.issuer}/application/o/portal/\n" in out
        assert f"yes, {theirs.issuer}{path}" in out
        assert "No problem was found: people can sign in." in out

    def test_a_callback_that_is_registered_is_reported(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "the callback   is registered" in output_of(capsys, "test", "company")
        assert theirs.asked.count("/authorize") == 2
        assert json.loads(output_of(capsys, "--json", "test", "company"))["callback_registered"] is True

    def test_a_callback_that_is_not_registered_is_reported(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.callbacks = ("https://other.example.com/",)
        out = output_of(capsys, "test", "company", code=1)

        assert "MISSING: the authorization endpoint refuses the request" in out
        assert "redirect_uri is not registered" in out
        assert "Register the callback above" in out
        assert "No one can sign in there now." in out

    def test_where_it_does_not_show_that_is_reported(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.callbacks = None
        out = output_of(capsys, "test", "company")

        assert "Note: it is not known before a sign-in whether the callback is registered" in out
        assert "Whether the callback is registered is not known." in out
        assert json.loads(output_of(capsys, "--json", "test", "company"))["callback_registered"] is None

    @pytest.mark.parametrize("status", [200, 400])
    def test_words_that_stand_in_every_page_show_nothing(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str], status: int
    ) -> None:
        theirs.respond["/authorize"] = lambda _: Answer(b"<script>const e = 'invalid_client'</script>", status)
        out = output_of(capsys, "test", "company", code=0 if status == 200 else 1)

        assert ("Note: it is not known before a sign-in" in out) is (status == 200)

    def test_no_redirect_is_followed(self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]) -> None:
        theirs.respond["/authorize"] = lambda _: Answer(b"", 302, {"Location": f"{theirs.issuer}/login?x=1"})
        output_of(capsys, "test", "company")

        assert "/login" not in theirs.asked

    def test_a_client_that_is_refused_is_reported(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.respond["/token"] = lambda _: as_json({"error": "invalid_client"}, status=401)
        out = output_of(capsys, "test", "company", code=1)

        assert "MISSING: the token endpoint answered 'invalid_client'" in out
        assert "Check client id and client secret" in out

    def test_a_token_endpoint_that_does_not_answer_is_no_matter_of_the_secret(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.respond["/token"] = lambda _: Answer(b"", 503)
        out = output_of(capsys, "test", "company", code=1)

        assert "MISSING: the token endpoint answered with status 503" in out
        assert "Check its address and the proxy settings" in out
        assert "client secret" not in out
        assert "No one can sign in there now." in out

    def test_what_does_not_keep_anybody_out_is_a_note(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.metadata["code_challenge_methods_supported"] = ["plain"]

        assert "Note: it does not list S256" in output_of(capsys, "test", "company")

    def test_where_it_is_away_there_is_no_address_to_open(
        self, theirs: MisbehavingProvider, capsys: pytest.CaptureFixture[str]
    ) -> None:
        theirs.metadata["issuer"] = "https://evil.test"
        out = output_of(capsys, "test", "company", code=1)

        assert "https://evil.test" in out
        assert "Open this" not in out

    def test_a_name_nobody_has_is_a_mistake(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["providers", "test", "compny"]) == 2
        assert "Did you mean 'company'?" in capsys.readouterr().err

    def test_a_bad_configuration_is_a_mistake(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config.write_text("[portal]\n", encoding="utf-8")

        assert main(["providers"]) == 2
        assert "portal.url" in capsys.readouterr().err
