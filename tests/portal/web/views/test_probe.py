"""The echo for ``portal doctor``, and that no one else gets it."""

from dataclasses import replace
from typing import Any

import pytest

from portal.contract import ProbeToken, Ticket, sign_probe_token, sign_ticket
from portal.contract.probe_tokens import PROBE_HEADER
from tests.builders import NOW, PORTAL, a_ticket
from tests.portal.contract.forging import STRANGER
from tests.portal.web.deployment import Deployment

ECHO = "/.portal/probe/echo"


def a_token(deployment: Deployment, **changes: Any) -> str:
    token = ProbeToken(id="probe-1", issuer=PORTAL, audience=PORTAL, issued_at=NOW, expires_at=NOW + 120)
    return sign_probe_token(replace(token, **changes), key=deployment.services.keys.signing_key(NOW))


def test_an_echo_says_how_a_request_arrived(deployment: Deployment) -> None:
    token = deployment.services.probe_tokens.make(audience=None, now=NOW)
    answer = deployment.app.test_client(use_cookies=False).get(  # else it writes the header itself
        f"{ECHO}?x=%2F1",
        headers={
            PROBE_HEADER: token,
            "Origin": PORTAL,
            "Authorization": "Probe seen",
            "Cookie": "a=do-not-tell; b=2",
            "Sec-Fetch-Site": "same-origin",
            "X-Forwarded-For": "203.0.113.7",
        },
    )

    message = answer.get_json()
    assert (answer.status_code, message["now"]) == (200, NOW)
    assert (message["peer"], message["client"], message["forwarded_for"]) == (
        "127.0.0.1",
        "203.0.113.7",
        ["203.0.113.7"],
    )
    assert message["headers"] == {
        "host": ["portal.example.com"],
        "origin": [PORTAL],
        "sec-fetch-site": ["same-origin"],
        "authorization": ["Probe seen"],
    }
    assert message["cookies"] == ["a", "b"]
    assert message["answered"] == [["set-cookie", answer.headers["Set-Cookie"]]]
    assert answer.headers["Set-Cookie"].startswith("__Host-portal-probe=")
    assert "do-not-tell" not in answer.text


def test_it_returns_no_credential(deployment: Deployment) -> None:
    headers = {PROBE_HEADER: a_token(deployment), "Authorization": "Bearer do-not-tell"}

    assert "do-not-tell" not in deployment.browser().get(ECHO, headers=headers).text


def test_a_wrong_clock_is_reported_to_holders_of_the_keys(deployment: Deployment) -> None:
    token = a_token(deployment, issued_at=NOW - 300, expires_at=NOW - 200)
    answer = deployment.browser().get(ECHO, headers={PROBE_HEADER: token})

    assert (answer.status_code, answer.get_json()["now"]) == (401, NOW)


def hostile(deployment: Deployment) -> dict[str, str | None]:
    ticket: Ticket = a_ticket(audience=PORTAL)
    return {
        "none": None,
        "no token": "probe",
        "an app's": a_token(deployment, audience="forecast"),
        "another portal's": a_token(deployment, issuer="https://evil.test", audience="https://evil.test"),
        "living too long": a_token(deployment, expires_at=NOW + 121),
        "a ticket": sign_ticket(ticket, key=deployment.services.keys.signing_key(NOW)),
        "a stranger's": sign_probe_token(
            ProbeToken(id="p", issuer=PORTAL, audience=PORTAL, issued_at=NOW, expires_at=NOW + 60), key=STRANGER
        ),
    }


@pytest.mark.parametrize(
    "name", ["none", "no token", "an app's", "another portal's", "living too long", "a ticket", "a stranger's"]
)
def test_without_leave_there_is_nothing(deployment: Deployment, name: str) -> None:
    token = hostile(deployment)[name]
    headers = {} if token is None else {PROBE_HEADER: token}
    answer = deployment.browser().get(ECHO, headers=headers)
    nothing = deployment.browser().get("/.portal/no-such-thing")

    assert answer.status_code == nothing.status_code == 404
    reference, other = answer.headers["X-Request-Id"], nothing.headers["X-Request-Id"]
    assert answer.text.replace(reference, "") == nothing.text.replace(other, "")


def test_two_tokens_are_none(deployment: Deployment) -> None:
    token = a_token(deployment)

    assert deployment.browser().get(ECHO, headers=[(PROBE_HEADER, token), (PROBE_HEADER, token)]).status_code == 404
