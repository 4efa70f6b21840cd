"""What a front-channel logout must name, as providers of each type send it."""

from pathlib import Path

import pytest

from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.web.views.provider_logout import names_session
from tests.builders import a_provider, an_identity
from tests.portal.web.deployment import Deployment

ADDRESS = "/auth/oauth/company/frontchannel-logout"
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}


@pytest.mark.parametrize(
    ("issuer", "session", "expected"),
    [
        ("https://id.example.com", "s1", (True, True)),
        ("", "s1", (False, True)),
        ("https://id.example.com", "", (False, False)),
        ("", "", (False, False)),
    ],
)
def test_it_names_a_session_and_its_issuer_if_the_provider_has_it(
    issuer: str, session: str, expected: tuple[bool, bool]
) -> None:
    assert tuple(names_session(issuer, session, omits_issuer=omits) for omits in (False, True)) == expected


def test_only_entra_leaves_its_issuer_out() -> None:
    omitting = {one.id for one in PROVIDER_TYPES.values() if one.logout.omits_issuer}

    assert omitting == {"azure-ad", "azure-ad-hybrid"}
    assert all(PROVIDER_TYPES[one].logout.front_channel for one in omitting)


def test_a_provider_without_id_tokens_reports_no_logout() -> None:
    """
    Nothing of its logout could be verified, and there is no session to name.
    """
    plain = [one for one in PROVIDER_TYPES.values() if one.flow == "oauth2"]

    assert plain
    assert not any(one.logout.back_channel or one.logout.front_channel for one in plain)


class TestAtTheAddress:
    @pytest.fixture
    def entra(self, tmp_path: Path) -> Deployment:
        deployment = Deployment(tmp_path)
        deployment.provider.spec = a_provider(provider_type="azure-ad")
        return deployment

    def sign_in(self, deployment: Deployment, session: str) -> str:
        sign_in = deployment.services.sign_ins.begin(
            an_identity(), tenant="acme", browser="Firefox", now=deployment.now, provider_session=session
        )
        return sign_in.id

    def test_entra_needs_to_send_only_the_session(self, entra: Deployment) -> None:
        ended, other = (self.sign_in(entra, session) for session in ("s1", "s2"))
        answer = entra.browser().get(ADDRESS, query_string={"sid": "s1"}, headers=FOREIGN)

        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        find = entra.services.sign_ins.find
        assert (find(ended, now=entra.now), find(other, now=entra.now) is not None) == (None, True)

    def test_an_issuer_that_is_sent_must_be_the_right_one(self, entra: Deployment) -> None:
        kept = self.sign_in(entra, "s1")
        query = {"sid": "s1", "iss": "https://evil.example"}

        assert entra.browser().get(ADDRESS, query_string=query, headers=FOREIGN).status_code == 400
        assert entra.services.sign_ins.find(kept, now=entra.now) is not None

    def test_any_other_provider_must_name_itself(self, tmp_path: Path) -> None:
        deployment = Deployment(tmp_path)
        kept = self.sign_in(deployment, "s1")
        answer = deployment.browser().get(ADDRESS, query_string={"sid": "s1"}, headers=FOREIGN)

        assert (answer.status_code, answer.get_json()["error_description"]) == (400, "no-session")
        assert deployment.services.sign_ins.find(kept, now=deployment.now) is not None
