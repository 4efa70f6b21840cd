"""The whole sign-in at GitHub: from Chainlit's variables to a sign-in, at an emulation with GitHub's quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.configuration import load
from portal.rules.identity import Identity
from portal.settings import Admission, ProviderSpec, Secret
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from tests.builders import ISSUER
from tests.provider.browser import Browser, Portal, reference_in
from tests.provider.emulations.github import GitHub
from tests.provider.emulations.serving import Answer, as_json, serving

URL = "http://portal.demo.localhost:7800"
PATIENT = Limits(read=60, total=60)
API = "/api/v3/user"


@pytest.fixture
def theirs() -> Iterator[GitHub]:
    with serving(GitHub) as emulation:
        yield emulation


@pytest.fixture
def spec(theirs: GitHub, tmp_path: Path) -> ProviderSpec:
    """Return the provider that Chainlit's variables configure."""
    file = tmp_path / "portal.toml"
    file.touch()
    settings = load(
        {
            "PORTAL_SECRET_KEY": "zB1k3j4h5k6j7h8g9f0d1s2a3q4w5e6r7t8y9u0i1o2p",
            "CHAINLIT_URL": URL,
            "OAUTH_GITHUB_CLIENT_ID": theirs.CLIENT_ID,
            "OAUTH_GITHUB_CLIENT_SECRET": theirs.CLIENT_SECRET,
            "OAUTH_GITHUB_AUTH_URL": f"{theirs.url}/login/oauth/authorize",
            "OAUTH_GITHUB_TOKEN_URL": f"{theirs.url}/login/oauth/access_token",
            "OAUTH_GITHUB_USER_INFO_URL": f"{theirs.url}{API}",
        },
        path=file,
    )
    assert settings.url == URL
    (spec,) = settings.providers
    return spec


class Deployment:
    """A portal with one provider, and a browser at it."""

    def __init__(self, folder: Path, spec: ProviderSpec) -> None:
        self.portal = Portal(folder / "data", url=URL, providers=(spec,))
        self.portal.providers["github"] = CodeFlow(spec, limits=PATIENT)
        self.browser = Browser(self.portal)

    def begin(self) -> str:
        return self.browser.begin("/auth/oauth/github")

    @property
    def identity(self) -> Identity:
        (sign_in,) = self.portal.services.sign_ins.of_tenant("", issuer=self.issuer, now=self.portal.now)
        return sign_in.identity

    @property
    def issuer(self) -> str:
        return self.portal.providers["github"].spec.issuer


@pytest.fixture
def deployment(spec: ProviderSpec, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, spec)


def test_a_person_signs_in_with_organisations_and_teams(deployment: Deployment, theirs: GitHub) -> None:
    url = deployment.begin()
    asked = parse_qs(urlsplit(url).query)
    response = deployment.browser.get(theirs.consent(url))

    assert response.status_code == 303
    assert asked["scope"] == ["user:email read:org"]
    assert asked["redirect_uri"] == [f"{URL}/auth/oauth/github/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert "nonce" not in asked
    assert (deployment.issuer, deployment.identity.subject) == (f"{theirs.url}/login/oauth", "1234567")
    assert deployment.identity.verified_email == "octo@example.com"
    groups = deployment.identity.affiliations[0].groups
    assert {"example-org", "org:99001"} <= groups
    # Three pages of teams.
    assert {f"example-org/team-{number}" for number in range(5)} <= groups
    assert not any("other-org" in group for group in groups)


def test_github_without_its_name_in_the_callback_is_github_all_the_same(deployment: Deployment, theirs: GitHub) -> None:
    theirs.iss = None
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.browser.is_signed_in


@pytest.mark.parametrize("iss", ["https://github.com/login/oauth", ISSUER, "x"])
def test_a_callback_of_another_server_is_not_believed(deployment: Deployment, theirs: GitHub, iss: str) -> None:
    theirs.iss = iss
    page = deployment.browser.get(theirs.consent(deployment.begin()))

    assert page.status_code == 400
    assert theirs.paths() == []


def test_a_no_is_a_no(deployment: Deployment, theirs: GitHub) -> None:
    page = deployment.browser.get(theirs.refuse(deployment.begin()))

    assert page.status_code == 403
    assert reference_in(page)


def test_sign_out_ends_here_for_there_is_nothing_there(deployment: Deployment, theirs: GitHub) -> None:
    deployment.browser.get(theirs.consent(deployment.begin()))
    response = deployment.browser.sign_out()

    assert response.status_code == 303
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("granted", "groups", "verified"),
    [("read:org", True, False), ("user:email", False, True), ("", False, False)],
)
def test_what_is_not_granted_is_not_known(
    deployment: Deployment,
    theirs: GitHub,
    granted: str,
    groups: bool,  # noqa: FBT001 - one column of the table
    verified: bool,  # noqa: FBT001 - one column of the table
) -> None:
    theirs.scope = granted
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert bool(deployment.identity.affiliations[0].groups) is groups
    assert (deployment.identity.verified_email is not None) is verified


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (API, as_json({"message": "Server Error"}, status=500)),
        (API, as_json([])),
        (API, as_json({"message": "Not Found"}, status=404)),
        (API, Answer(b"<html>down for maintenance</html>")),
        (API, Answer(b"", 302, {"Location": "https://evil.test/user"})),
        (f"{API}/emails", as_json({"message": "Server Error"}, status=502)),
        (f"{API}/emails", as_json({"email": "octo@example.com", "primary": True, "verified": True})),
        (f"{API}/emails", Answer(b'[{"email": ')),
        # Asked too often: that is no answer, and "no groups" would be a wrong one.
        (f"{API}/teams", as_json({"message": "rate limit"}, status=403, X_RateLimit_Remaining="0")),
        (f"{API}/teams", as_json({"message": "secondary rate limit"}, status=403, Retry_After="60")),
        (f"{API}/teams", as_json([], Link='<https://evil.test/api/v3/user/teams?page=2>; rel="next"')),
        (f"{API}/teams", as_json([], Link='<//evil.test/api/v3/user/teams?page=2>; rel="next"')),
        ("/login/oauth/access_token", as_json({"access_token": "x", "token_type": "mac"})),
        ("/login/oauth/access_token", Answer(b"access_token=gho_x&token_type=bearer")),
    ],
    ids=lambda one: one if isinstance(one, str) else f"{one.status}-{one.body[:24]!r}-{sorted(one.headers)}",
)
def test_an_api_that_fails_signs_no_one_in(deployment: Deployment, theirs: GitHub, path: str, answer: Answer) -> None:
    theirs.instead[path] = answer
    page = deployment.browser.get(theirs.consent(deployment.begin()))

    assert page.status_code == 502
    assert not deployment.browser.is_signed_in


def test_an_answer_that_is_too_long_signs_no_one_in_and_is_reported(deployment: Deployment, theirs: GitHub) -> None:
    theirs.instead[API] = Answer(b'{"a": "' + b"x" * 10_000_000 + b'"}')
    page = deployment.browser.get(theirs.consent(deployment.begin()))

    assert page.status_code == 403
    assert "too much data" in page.text
    assert not deployment.browser.is_signed_in


def test_a_list_without_end_is_cut(deployment: Deployment, theirs: GitHub) -> None:
    link = f'<{theirs.url}{API}/teams>; rel="next"'
    theirs.instead[f"{API}/teams"] = as_json(theirs.teams, Link=link)
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.browser.is_signed_in
    assert theirs.paths().count(f"{API}/teams") == 10


def test_a_code_is_of_use_once_and_to_whom_it_was_given(deployment: Deployment, theirs: GitHub) -> None:
    callback = theirs.consent(deployment.begin())
    deployment.browser.get(callback)
    code = parse_qs(urlsplit(callback).query)["code"][0]
    stranger = Browser(deployment.portal)
    mine = parse_qs(urlsplit(stranger.begin("/auth/oauth/github")).query)["state"][0]
    page = stranger.get(f"/auth/oauth/github/callback?code={code}&state={mine}")

    assert page.status_code == 400
    assert not stranger.is_signed_in


def test_a_code_of_another_attempt_fails_at_pkce(deployment: Deployment, theirs: GitHub) -> None:
    code = parse_qs(urlsplit(theirs.consent(Browser(deployment.portal).begin("/auth/oauth/github"))).query)["code"][0]
    mine = parse_qs(urlsplit(deployment.begin()).query)["state"][0]
    page = deployment.browser.get(f"/auth/oauth/github/callback?code={code}&state={mine}")

    assert page.status_code == 400
    assert not deployment.browser.is_signed_in


def test_a_wrong_secret_is_the_portals_trouble(theirs: GitHub, spec: ProviderSpec, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, replace(spec, client_secret=Secret("wrong")))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == 500


@pytest.mark.parametrize(
    ("admission", "status"),
    [
        (Admission(organisations=frozenset({"example-org"})), 303),
        (Admission(organisations=frozenset({"org:99001"})), 303),
        # An invitation is no membership.
        (Admission(organisations=frozenset({"other-org", "org:99002"})), 403),
        (Admission(groups=frozenset({"example-org/team-4"})), 303),
        (Admission(groups=frozenset({"example-org/admins"})), 403),
        (Admission(domains=frozenset({"example.com"})), 303),
        (Admission(domains=frozenset({"users.noreply.github.com"})), 403),
    ],
    ids=[
        "organisation",
        "organisation by number",
        "invited only",
        "team",
        "another team",
        "domain",
        "another domain",
    ],
)
def test_who_may_come_in(theirs: GitHub, spec: ProviderSpec, tmp_path: Path, admission: Admission, status: int) -> None:
    deployment = Deployment(tmp_path, replace(spec, admission=admission))
    page = deployment.browser.get(theirs.consent(deployment.begin()))

    assert page.status_code == status
    assert deployment.browser.is_signed_in is (status == 303)
    if status == 403:
        assert "does not allow this account" in page.text


def test_a_login_to_begin_with_is_passed_on(deployment: Deployment) -> None:
    url = deployment.browser.begin("/auth/oauth/github?login_hint=octo@example.com")

    assert parse_qs(urlsplit(url).query)["login"] == ["octo@example.com"]


@pytest.mark.parametrize("hint", ["octo", "a@b@c", "x" * 320 + "@example.com", "a%0Ab@example.com", ""])
def test_what_is_no_address_is_no_login(deployment: Deployment, hint: str) -> None:
    assert "login" not in parse_qs(urlsplit(deployment.browser.begin(f"/auth/oauth/github?login_hint={hint}")).query)
