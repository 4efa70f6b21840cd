"""Golden vectors, checked by both sides: the portal signs exactly these tokens, the guard reads exactly this.

They also are the specification for a guard in another language.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import KeySet, OKPKey

from portal.contract import (
    LogoutToken,
    ProbeToken,
    Rejected,
    Rejection,
    Ticket,
    sign_logout_token,
    sign_probe_token,
    sign_ticket,
    verify_logout_token,
    verify_probe_token,
    verify_ticket,
)

VECTORS = Path(__file__).parents[2] / "vectors"
TICKETS: dict[str, Any] = json.loads((VECTORS / "tickets.json").read_text(encoding="ascii"))
PROBE_TOKENS: dict[str, Any] = json.loads((VECTORS / "probe_tokens.json").read_text(encoding="ascii"))
LOGOUT_TOKENS: dict[str, Any] = json.loads((VECTORS / "logout_tokens.json").read_text(encoding="ascii"))


def private_key(document: dict[str, Any]) -> OKPKey:
    return OKPKey.import_key(document["key"])


def public_keys(document: dict[str, Any]) -> KeySet:
    return KeySet([OKPKey.import_key(private_key(document).as_dict(private=False))])


def rules(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "keys": public_keys(document),
        **{name: document[name] for name in ("issuer", "audience", "now", "leeway")},
    }


def named(vector: Any) -> str:
    return str(vector["name"])


def ticket_of(vector: dict[str, Any]) -> Ticket:
    return Ticket(**{**vector["ticket"], "roles": frozenset(vector["ticket"]["roles"])})


@pytest.mark.parametrize("vector", TICKETS["valid"], ids=named)
def test_the_portal_signs_exactly_this_ticket(vector: dict[str, Any]) -> None:
    assert vector["token"] == sign_ticket(ticket_of(vector), key=private_key(TICKETS))


@pytest.mark.parametrize("vector", TICKETS["valid"], ids=named)
def test_the_guard_reads_exactly_this_ticket(vector: dict[str, Any]) -> None:
    assert ticket_of(vector) == verify_ticket(vector["token"], **rules(TICKETS))


@pytest.mark.parametrize("vector", TICKETS["rejected"], ids=named)
def test_the_guard_refuses_this_ticket_for_this_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        verify_ticket(vector["token"], **rules(TICKETS))

    assert vector["rejection"] == caught.value.reason


def test_there_is_a_vector_for_every_reason() -> None:
    assert set(Rejection) == {Rejection(vector["rejection"]) for vector in TICKETS["rejected"]}


@pytest.mark.parametrize("vector", LOGOUT_TOKENS["valid"], ids=named)
def test_both_sides_agree_on_this_logout_token(vector: dict[str, Any]) -> None:
    token = LogoutToken(**vector["logout_token"])

    assert vector["token"] == sign_logout_token(token, key=private_key(LOGOUT_TOKENS))
    assert token == verify_logout_token(vector["token"], **rules(LOGOUT_TOKENS))


@pytest.mark.parametrize("vector", LOGOUT_TOKENS["rejected"], ids=named)
def test_the_guard_refuses_this_logout_token_for_this_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        verify_logout_token(vector["token"], **rules(LOGOUT_TOKENS))

    assert vector["rejection"] == caught.value.reason


@pytest.mark.parametrize("vector", PROBE_TOKENS["valid"], ids=named)
def test_both_sides_agree_on_this_probe_token(vector: dict[str, Any]) -> None:
    token = ProbeToken(**vector["probe_token"])

    assert vector["token"] == sign_probe_token(token, key=private_key(PROBE_TOKENS))
    assert token == verify_probe_token(vector["token"], **rules(PROBE_TOKENS))


@pytest.mark.parametrize("vector", PROBE_TOKENS["rejected"], ids=named)
def test_the_guard_refuses_this_probe_token_for_this_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        verify_probe_token(vector["token"], **rules(PROBE_TOKENS))

    assert vector["rejection"] == caught.value.reason
