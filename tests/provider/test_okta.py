"""The whole sign-in at Okta, three ways: from Chainlit's variables to a sign-in, at an emulation with Okta's quirks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.settings import Admission
from tests.provider.deployments import URL, Deployment, configured
from tests.provider.emulations.okta import Okta
from tests.provider.emulations.serving import Answer, as_json, serving

SERVERS = {"false": "", "default": "default", "aus1a2b3c4d5e6f7g8h9": "aus1a2b3c4d5e6f7g8h9"}


@pytest.fixture
def theirs() -> Iterator[Okta]:
    with serving(Okta) as emulation:
        emulation.choose("default")
        yield emulation


def variables(theirs: Okta, **others: str) -> dict[str, str]:
    """Return the variables of a company with Chainlit."""
    return {
        "OAUTH_OKTA_CLIENT_ID": theirs.CLIENT_ID,
        "OAUTH_OKTA_CLIENT_SECRET": theirs.CLIENT_SECRET,
        "OAUTH_OKTA_DOMAIN": theirs.url,
        **others,
    }


@pytest.fixture
def deployment(theirs: Okta, tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, configured(tmp_path, variables(theirs)))


@pytest.mark.parametrize("said", SERVERS)
def test_a_person_signs_in_and_out_at_each_kind_of_server(theirs: Okta, tmp_path: Path, said: str) -> None:
    theirs.choose(SERVERS[said])
    spec = configured(tmp_path, variables(theirs, OAUTH_OKTA_AUTHORIZATION_SERVER_ID=said))
    deployment = Deployment(tmp_path, spec)
    url = deployment.begin()
    response = deployment.browser.get(theirs.consent(url))

    assert response.status_code == 303
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{URL}/auth/oauth/okta/callback"]
    identity = deployment.identity()
    assert (identity.issuer, identity.subject) == (theirs.issuer, "00u1abcdEFGH2ijkl3m4")
    # Verified by userinfo alone: the ID token is thin.
    assert identity.verified_email == "alice@example.com"

    left = deployment.leave()
    assert left is not None
    back = theirs.sign_out(left)
    assert back is not None
    assert "still be signed in to Okta" in deployment.browser.get(back).text


def test_the_orgs_own_server_is_asked_for_groups(theirs: Okta, tmp_path: Path) -> None:
    theirs.choose("")
    deployment = Deployment(
        tmp_path, configured(tmp_path, variables(theirs, OAUTH_OKTA_AUTHORIZATION_SERVER_ID="false"))
    )
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.identity().affiliations[0].groups == {"ML-Admins"}


def test_another_server_is_asked_for_groups_where_the_file_says_so(theirs: Okta, tmp_path: Path) -> None:
    theirs.defines_groups = True
    text = f"""
[[providers]]
id = "okta"
type = "okta"
domain = "{theirs.url}"
client_id = "{theirs.CLIENT_ID}"
client_secret_env = "COMPANY_SECRET"
scopes = ["openid", "profile", "email", "groups"]
"""
    deployment = Deployment(tmp_path, configured(tmp_path, {"COMPANY_SECRET": theirs.CLIENT_SECRET}, text))
    deployment.browser.get(theirs.consent(deployment.begin()))

    assert deployment.identity().affiliations[0].groups == {"ML-Admins"}


def test_a_scope_the_server_does_not_know_is_the_operators_to_correct(
    theirs: Okta, deployment: Deployment, tmp_path: Path
) -> None:
    spec = replace(deployment.spec, scopes=("openid", "groups"))
    deployment = Deployment(tmp_path, spec)
    again = deployment.browser.get(theirs.consent(deployment.begin()))  # it could be the scope for a refresh token

    assert again.status_code == 303
    assert parse_qs(urlsplit(again.headers["Location"]).query)["scope"] == ["openid groups"]
    assert deployment.browser.get(theirs.consent(again.headers["Location"])).status_code == 500
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize("there", ["", "aus9"])
def test_tokens_of_another_server_of_the_same_org_sign_no_one_in(
    theirs: Okta, deployment: Deployment, there: str
) -> None:
    """They are signed by keys of the same org, and a server for one application lets in people of that one."""
    callback = theirs.consent(deployment.begin())
    theirs.issuer = f"{theirs.url}/oauth2/{there}" if there else theirs.url

    assert deployment.browser.get(callback).status_code == 400
    assert not deployment.browser.is_signed_in


def test_a_server_that_is_not_there_is_the_portals_trouble(theirs: Okta, deployment: Deployment) -> None:
    """Orgs without API Access Management have no ``default``."""
    theirs.choose("")

    assert deployment.browser.get("/auth/oauth/okta").status_code == 500


def test_without_the_id_token_nobody_is_sent_to_an_error_page(theirs: Okta, deployment: Deployment) -> None:
    deployment.browser.get(theirs.consent(deployment.begin()))
    provider = deployment.portal.providers["okta"]

    for hint in (None, "x" * 8000):
        url = provider.end_session_url(id_token_hint=hint, post_logout_redirect_uri=f"{URL}/signed-out", state="s")
        assert url is None


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (as_json({"sub": "00u-somebody-else", "groups": ["ML-Admins"]}), 400),
        (as_json({}), 400),
        (as_json({"errorCode": "E0000009"}, status=500), 502),
        (Answer(b"<html>Okta is down</html>"), 502),
        (Answer(b"", 302, {"Location": "https://evil.test/userinfo"}), 502),
    ],
    ids=["of somebody else", "of nobody", "error", "no JSON", "elsewhere"],
)
def test_userinfo_that_fails_signs_nobody_in(theirs: Okta, deployment: Deployment, answer: Answer, status: int) -> None:
    theirs.instead[f"{theirs.base}/userinfo"] = answer

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status
    assert not deployment.browser.is_signed_in


@pytest.mark.parametrize(
    ("admission", "groups", "status"),
    [
        (Admission(domains=frozenset({"example.com"})), [], 303),
        (Admission(domains=frozenset({"example.org"})), [], 403),
        (Admission(groups=frozenset({"ML-Admins"})), ["Everyone", "ML-Admins"], 303),
        (Admission(groups=frozenset({"ML-Admins"})), ["Everyone"], 403),
        (Admission(groups=frozenset({"Everyone"})), ["Everyone"], 403),
        (Admission(groups=frozenset({"ML-Admins"})), {"ML-Admins": True}, 403),
    ],
    ids=["domain", "another domain", "group", "another group", "the group of all", "groups of another shape"],
)
def test_who_may_come_in(theirs: Okta, tmp_path: Path, admission: Admission, groups: Any, status: int) -> None:
    theirs.choose("")
    theirs.groups = groups
    spec = configured(tmp_path, variables(theirs, OAUTH_OKTA_AUTHORIZATION_SERVER_ID="false"))
    deployment = Deployment(tmp_path, replace(spec, admission=admission))

    assert deployment.browser.get(theirs.consent(deployment.begin())).status_code == status
    assert deployment.browser.is_signed_in is (status == 303)
