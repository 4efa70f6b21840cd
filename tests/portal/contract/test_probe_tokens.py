"""Probe tokens: the content of a valid one, those that must be rejected, and that none passes for another kind."""

import pytest

from portal.contract import (
    ProbeToken,
    Rejected,
    Rejection,
    sign_probe_token,
    verify_logout_token,
    verify_probe_token,
    verify_ticket,
)
from tests.builders import NOW, PORTAL
from tests.portal.contract.forging import HOSTILE_PROBE_TOKENS, KEY, KEYS, Hostile


def a_probe_token(audience: str = "forecast") -> ProbeToken:
    return ProbeToken(id="probe-1", issuer=PORTAL, audience=audience, issued_at=NOW, expires_at=NOW + 120)


def verify(token: object, *, audience: str = "forecast") -> ProbeToken:
    return verify_probe_token(token, keys=KEYS, issuer=PORTAL, audience=audience, now=NOW)


@pytest.mark.parametrize("audience", ["forecast", PORTAL])
def test_a_probe_token_comes_back_as_it_was_signed(audience: str) -> None:
    token = a_probe_token(audience)

    assert token == verify(sign_probe_token(token, key=KEY), audience=audience)


@pytest.mark.parametrize("hostile", HOSTILE_PROBE_TOKENS, ids=lambda one: one.name)
def test_a_hostile_probe_token_opens_nothing(hostile: Hostile) -> None:
    with pytest.raises(Rejected) as caught:
        verify(hostile.token)

    assert hostile.reason == caught.value.reason


@pytest.mark.parametrize("check", [verify_ticket, verify_logout_token], ids=["ticket", "logout token"])
def test_a_probe_token_is_nothing_else(check: object) -> None:
    assert callable(check)
    with pytest.raises(Rejected) as caught:
        check(sign_probe_token(a_probe_token(), key=KEY), keys=KEYS, issuer=PORTAL, audience="forecast", now=NOW)

    assert caught.value.reason == Rejection.WRONG_TYPE
