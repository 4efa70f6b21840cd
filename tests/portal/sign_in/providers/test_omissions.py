import logging
from dataclasses import replace

import pytest

from portal.rules.identity import Affiliation
from portal.sign_in.provider_types.cognito import cognito_sign_out
from portal.sign_in.provider_types.okta import okta_sign_out
from portal.sign_in.provider_types.sign_out import SignOutRequest, SignOutRule, standard_sign_out
from portal.sign_in.providers.omissions import log_omissions, log_omitted_hint
from tests.builders import a_provider, an_identity

LEAVING = SignOutRequest(
    end_session="https://id.example.com/end",
    id_token_hint="a.b.c",
    post_logout_redirect_uri="https://portal.example.com/signed-out",
    state="s",
)


def noted(caplog: pytest.LogCaptureFixture, *affiliations: Affiliation) -> list[logging.LogRecord]:
    with caplog.at_level(logging.INFO, logger="portal.providers"):
        log_omissions(an_identity(affiliations=affiliations), spec=a_provider())
    return caplog.records


def test_how_much_is_missing_is_logged_and_no_names(caplog: pytest.LogCaptureFixture) -> None:
    acme = Affiliation(tenant="acme", groups=frozenset({"Secret project"}), groups_left_out=100)
    (record,) = noted(caplog, acme, Affiliation(tenant="beta", groups_left_out=1))

    assert (record.levelname, record.getMessage()) == ("WARNING", "groups left out")
    assert vars(record)["fields"] == {"provider": "company", "at_least": 101}


def test_where_nothing_is_missing_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert noted(caplog, Affiliation(groups=frozenset({"a"}))) == []


@pytest.mark.parametrize(
    ("way", "token", "is_noted"),
    [
        (standard_sign_out, "a.b.c", False),
        (standard_sign_out, None, False),
        (standard_sign_out, "a" * 8000, True),
        # Without the token Okta has nothing but an error page, so nobody is sent there.
        (okta_sign_out, "a" * 8000, True),
        (okta_sign_out, "a.b.c", False),
        # Cognito gets no token.
        (cognito_sign_out, "a" * 8000, False),
    ],
)
def test_an_id_token_too_long_for_the_sign_out_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture, way: SignOutRule, token: str | None, *, is_noted: bool
) -> None:
    leaving, spec = replace(LEAVING, id_token_hint=token), a_provider()
    with caplog.at_level(logging.INFO, logger="portal.providers"):
        log_omitted_hint(way(spec, leaving), leaving, sign_out=way, spec=spec)

    assert [record.getMessage() for record in caplog.records] == ["ID token left out of the sign-out"] * is_noted
    assert [vars(record)["fields"] for record in caplog.records] == [
        {"provider": "company", "characters": 8000}
    ] * is_noted
