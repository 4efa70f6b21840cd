"""``portal keys`` beside a running portal: both workers follow, and launches go on."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from portal.contract.introspection import HINT_TICKET
from tests.journeys.workers import KEY, Portal, running_portal, wait_until
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("journey")

MORE_THAN_THERE_ARE = 6
"""Requests in a row: enough that both workers get their turn."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running_portal(tmp_path_factory.mktemp("keys")) as portal:
        yield portal


def keys(portal: Portal, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PORTAL_SECRET_KEY": KEY, "COMPANY_CLIENT_SECRET": "a-client-secret"}
    command = [sys.executable, "-P", "-m", "portal.cli", "keys", *arguments, "--json"]
    return subprocess.run(
        command, cwd=portal.data.parent, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=True
    )


def published(portal: Portal) -> set[str]:
    return {key["kid"] for key in portal.get("/.well-known/jwks.json").json()["keys"]}


def kid_of(token: str) -> str:
    header = token.partition(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid


def test_a_key_that_is_revoked_is_gone_at_both_workers_and_people_open_apps_with_the_new_one(portal: Portal) -> None:
    cookie = portal.signed_in()
    before = portal.ticket(cookie)
    stolen = kid_of(before)
    done = keys(portal, "revoke", stolen)
    answered = [published(portal) for _ in range(MORE_THAN_THERE_ARE)]
    new = json.loads(done.stdout)["signing"]

    assert answered == [{new}] * MORE_THAN_THERE_ARE
    assert "notification of forecast failed" in done.stderr  # that app does not run here
    wait_until(
        lambda: {kid_of(portal.ticket(cookie)) for _ in range(MORE_THAN_THERE_ARE)} == {new},
        portal,
    )
    assert portal.ask({"token": before, "token_type_hint": HINT_TICKET}).json()["code"] == "bad-ticket"
    assert portal.ask({"token": portal.ticket(cookie), "token_type_hint": HINT_TICKET}).json()["active"] is True


def test_a_rotation_is_announced_by_both_workers_and_takes_nothing_back(portal: Portal) -> None:
    cookie = portal.signed_in()
    before = portal.ticket(cookie)
    announced = json.loads(keys(portal, "rotate").stdout)["kid"]

    assert {frozenset(published(portal)) for _ in range(MORE_THAN_THERE_ARE)} == {
        frozenset({kid_of(before), announced})
    }
    keys(portal, "rotate", "--now")
    assert portal.ask({"token": before, "token_type_hint": HINT_TICKET}).json()["active"] is True
