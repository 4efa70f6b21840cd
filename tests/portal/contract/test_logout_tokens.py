"""Logout tokens: the content of a valid one, and those that must be rejected."""

import pytest

from portal.contract import LogoutToken, Rejected, sign_logout_token, verify_logout_token
from tests.builders import NOW, PORTAL
from tests.portal.contract.forging import HOSTILE_LOGOUT_TOKENS, KEY, KEYS, Hostile


def a_logout_token() -> LogoutToken:
    return LogoutToken(
        id="logout-1", issuer=PORTAL, audience="forecast", session="s", issued_at=NOW, expires_at=NOW + 120
    )


def verify(token: object) -> LogoutToken:
    return verify_logout_token(token, keys=KEYS, issuer=PORTAL, audience="forecast", now=NOW)


def test_a_logout_token_comes_back_as_it_was_signed() -> None:
    assert a_logout_token() == verify(sign_logout_token(a_logout_token(), key=KEY))


@pytest.mark.parametrize("hostile", HOSTILE_LOGOUT_TOKENS, ids=lambda one: one.name)
def test_a_hostile_logout_token_ends_nothing(hostile: Hostile) -> None:
    with pytest.raises(Rejected) as caught:
        verify(hostile.token)

    assert hostile.reason == caught.value.reason
