"""Tickets: the content of a valid one, and the table of those that must be rejected."""

import pytest
from joserfc.jwk import KeySet

from portal.contract import Rejected, Rejection, Ticket, sign_ticket, verify_ticket
from tests.builders import NOW, PORTAL, a_ticket
from tests.portal.contract.forging import HOSTILE_TICKETS, KEY, KEYS, Hostile, a_key, claims_of, forged


def verify(token: object, *, now: int = NOW, keys: KeySet = KEYS, leeway: int = 90) -> Ticket:
    return verify_ticket(token, keys=keys, issuer=PORTAL, audience="forecast", now=now, leeway=leeway)


def test_a_ticket_comes_back_as_it_was_signed() -> None:
    ticket = a_ticket(picture="https://img.example.com/ana.png", next="/reports?year=1")

    assert ticket == verify(sign_ticket(ticket, key=KEY))


def test_what_is_not_known_of_a_person_is_left_out() -> None:
    ticket = a_ticket(name=None, email=None, picture=None, tenant=None, roles=frozenset())

    assert ticket == verify(sign_ticket(ticket, key=KEY))


def test_the_table_is_as_long_as_promised() -> None:
    assert len(HOSTILE_TICKETS) >= 40
    assert len({one.name for one in HOSTILE_TICKETS}) == len(HOSTILE_TICKETS)


@pytest.mark.parametrize("hostile", HOSTILE_TICKETS, ids=lambda one: one.name)
def test_a_hostile_ticket_is_refused(hostile: Hostile) -> None:
    with pytest.raises(Rejected) as caught:
        verify(hostile.token)

    assert hostile.reason == caught.value.reason


@pytest.mark.parametrize(
    ("now", "leeway", "refused"),
    [
        (NOW + 29, 0, None),
        (NOW + 30, 0, Rejection.EXPIRED),
        (NOW + 119, 90, None),
        (NOW + 120, 90, Rejection.EXPIRED),
        (NOW - 90, 90, None),
        (NOW - 91, 90, Rejection.NOT_YET_VALID),
        (NOW - 1, 0, Rejection.NOT_YET_VALID),
    ],
)
def test_time_is_counted_to_the_second(now: int, leeway: int, refused: Rejection | None) -> None:
    token = forged()
    if refused is None:
        assert verify(token, now=now, leeway=leeway).expires_at == NOW + 30
        return
    with pytest.raises(Rejected) as caught:
        verify(token, now=now, leeway=leeway)
    assert refused == caught.value.reason


def test_a_full_life_of_thirty_seconds_is_allowed() -> None:
    assert verify(forged(claims=claims_of(exp=NOW + 30))).expires_at == NOW + 30


def test_keys_rotate() -> None:
    """
    Add the new key, sign with it, drop the old one: each step as it should be.
    """
    new = a_key("key-2", seed=2)
    both = KeySet([KEY, new])
    old_token, new_token = sign_ticket(a_ticket(), key=KEY), sign_ticket(a_ticket(), key=new)

    assert a_ticket() == verify(old_token, keys=both)
    assert a_ticket() == verify(new_token, keys=both)
    with pytest.raises(Rejected) as caught:
        verify(old_token, keys=KeySet([new]))
    assert caught.value.reason == Rejection.UNKNOWN_KEY
