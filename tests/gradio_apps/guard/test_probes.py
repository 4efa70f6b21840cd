"""What ``portal doctor`` sees of a guard, and what nobody else does."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.guard.probes import AT_ONCE, MAX_BODY
from portal.contract import ProbeToken, TrustedProxies, read_network, sign_probe_token
from portal.contract.probe_tokens import PROBE_HEADER
from tests.asgi import Outcome, drive
from tests.builders import NOW, PORTAL
from tests.gradio_apps.guard.deployment import (
    APP,
    HOST,
    SECRET,
    Deployment,
    a_deployment,
    connected,
    guard_settings,
    websocket_scope,
)
from tests.portal.contract.forging import HOSTILE_PROBE_TOKENS, KEY, Hostile, one_of_each_reason

pytestmark = pytest.mark.anyio

PROBES = [("GET", "echo"), ("GET", "portal"), ("GET", "stream"), ("GET", "download"), ("POST", "upload")]


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    async with a_deployment() as deployment:
        yield deployment


def a_token(**changes: Any) -> str:
    token = ProbeToken(id="probe-1", issuer=PORTAL, audience="forecast", issued_at=NOW, expires_at=NOW + 120)
    return sign_probe_token(replace(token, **changes), key=KEY)


async def probe(
    deployment: Deployment, what: str, *, method: str = "GET", token: object = None, body: Any = b"", **more: str
) -> Outcome:
    presented = a_token() if token is None else str(token)
    headers = {"host": deployment.host, PROBE_HEADER: presented}
    scope = deployment.scope(f"{deployment.settings.path}/.portal/probe/{what}", method=method, headers=headers, **more)
    return await drive(deployment.guard, scope, body=body)


def of_json(outcome: Outcome) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(outcome.body)
    return value


async def test_an_echo_says_how_a_request_arrived_and_how_the_answer_left(deployment: Deployment) -> None:
    outcome = await probe(
        deployment,
        "echo/a%2Fb%20c//d?x=%2F1",
        cookie="session=do-not-tell; portal-probe=1",
        origin=APP,
        authorization="Probe seen",
        sec_fetch_site="same-origin",
        x_forwarded_for="192.0.2.66",
        x_secret="do-not-tell",
    )

    report = of_json(outcome)
    assert (outcome.status, report["now"]) == (200, NOW)
    assert (report["peer"], report["client"], report["forwarded_for"]) == ("192.0.2.1", "192.0.2.1", ["192.0.2.66"])
    assert report["path"] == "/.portal/probe/echo/a%2Fb%20c//d?x=%2F1"
    assert report["cookies"] == ["session", "portal-probe"]
    assert report["headers"] == {
        "host": [HOST],
        "origin": [APP],
        "authorization": ["Probe seen"],
        "sec-fetch-site": ["same-origin"],
    }
    assert "do-not-tell" not in outcome.text
    assert [pair for pair in outcome.headers if pair[0] not in {"content-type", "content-length"}] == [
        tuple(pair) for pair in report["answered"]
    ]
    assert outcome.header("set-cookie") == (
        "__Host-portal-probe=probe-1; HttpOnly; Path=/; Secure; SameSite=Lax; Max-Age=0"
    )
    assert deployment.app.scopes == []


async def test_an_echo_tells_no_credential_and_looks_through_trusted_servers() -> None:
    trusted = TrustedProxies((read_network("192.0.2.0/24"),))
    async with a_deployment(settings=guard_settings(trusted_proxies=trusted)) as deployment:
        report = of_json(
            await probe(deployment, "echo", authorization=f"Bearer {SECRET}", x_forwarded_for="203.0.113.7")
        )

    assert report["client"] == "203.0.113.7"
    assert report["headers"] == {"host": [HOST]}


async def test_under_a_path_the_cookie_is_like_that_of_a_session() -> None:
    settings = guard_settings(app_url=f"https://{HOST}/run/forecast", cookies="partitioned")
    async with a_deployment(settings=settings) as deployment:
        outcome = await probe(deployment, "echo")

    assert outcome.header("set-cookie") == (
        "__Secure-portal-probe=probe-1; HttpOnly; Path=/run/forecast/; Secure; SameSite=None; Partitioned; Max-Age=0"
    )
    assert of_json(outcome)["path"] == "/run/forecast/.portal/probe/echo"


@pytest.mark.parametrize(("method", "what"), PROBES, ids=[what for _, what in PROBES])
async def test_without_a_token_there_is_nothing(deployment: Deployment, method: str, what: str) -> None:
    nothing = await deployment.get("/.portal/no-such-thing")
    found = await drive(
        deployment.guard,
        deployment.scope(f"/.portal/probe/{what}", method=method, headers=deployment.signed_in()),
        body=b"x",
    )

    assert (found.status, found.headers, found.body) == (404, nothing.headers, nothing.body)
    assert deployment.portal.calls == []


@pytest.mark.parametrize("hostile", one_of_each_reason(HOSTILE_PROBE_TOKENS), ids=lambda one: one.name)
async def test_with_a_hostile_token_there_is_nothing_either(deployment: Deployment, hostile: Hostile) -> None:
    outcome = await probe(deployment, "echo", token=str(hostile.token))

    if hostile.reason in {"expired", "not-yet-valid"}:  # genuine, and only the clocks differ
        assert (outcome.status, of_json(outcome)) == (401, {"detail": "The clocks do not agree.", "now": NOW})
    else:
        assert outcome.status == 404
    socket = await drive(
        deployment.guard,
        websocket_scope("/.portal/probe/socket", headers={"host": HOST, PROBE_HEADER: str(hostile.token)}),
    )
    assert [message["type"] for message in socket.messages] == ["websocket.close"]
    assert deployment.app.scopes == []


async def test_two_tokens_are_none(deployment: Deployment) -> None:
    scope = deployment.scope("/.portal/probe/echo", headers={"host": HOST})
    scope["headers"] += [(PROBE_HEADER.lower().encode(), a_token().encode())] * 2

    assert (await drive(deployment.guard, scope)).status == 404


async def test_other_hosts_methods_and_names_are_not_there(deployment: Deployment) -> None:
    assert (await probe(deployment, "echo", host="other.example.com")).status == 421
    assert (await probe(deployment, "echo", method="POST")).status == 404
    assert (await probe(deployment, "nothing")).status == 404


async def test_a_stream_comes_in_pieces_and_is_bounded(deployment: Deployment) -> None:
    outcome = await probe(deployment, "stream?count=3&pause_ms=10")

    pieces = [message["body"] for message in outcome.messages if message.get("body")]
    assert pieces == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
    assert outcome.header("content-type") == "text/event-stream"
    for wrong in ("", "?count=2", "?count=0&pause_ms=1", "?count=2&pause_ms=181000", "?count=64&pause_ms=9999"):
        assert (await probe(deployment, f"stream{wrong}")).status == 400, wrong
    assert (await probe(deployment, "stream?count=1&pause_ms=1", body=b"x")).status == 400


async def test_a_stream_ends_when_nobody_listens_and_only_some_run_at_once(deployment: Deployment) -> None:
    headers = {"host": HOST, PROBE_HEADER: a_token()}
    scope = deployment.scope("/.portal/probe/stream?count=2&pause_ms=90000", headers=headers)
    opened = [connected(deployment.guard, scope) for _ in range(AT_ONCE)]
    streams = [await one.__aenter__() for one in opened]
    for stream in streams:
        await stream.until(lambda outcome: outcome.body)

    assert (await probe(deployment, "echo")).status == 429
    refused = await drive(deployment.guard, websocket_scope("/.portal/probe/socket", headers=headers))
    assert [message["type"] for message in refused.messages] == ["websocket.close"]
    for stream in streams:
        stream.disconnect()
        assert not (await stream.finish()).complete
    assert (await probe(deployment, "echo")).status == 200


async def test_an_upload_is_counted_and_bounded(deployment: Deployment) -> None:
    outcome = await probe(deployment, "upload", method="POST", body=[b"a" * 70_000, b"b" * 5])
    assert (outcome.status, of_json(outcome)) == (200, {"received": 70_005})

    piece = b"\0" * (16 * 1024 * 1024)
    outcome = await probe(deployment, "upload", method="POST", body=[piece, piece, piece, piece, b"1", b"2"])
    assert outcome.status == 413


async def test_a_download_has_the_size_that_was_asked_for(deployment: Deployment) -> None:
    outcome = await probe(deployment, "download?size=200001")

    assert (outcome.header("content-length"), len(outcome.body), outcome.complete) == ("200001", 200_001, True)
    assert (await probe(deployment, f"download?size={MAX_BODY + 1}")).status == 400
    assert (await probe(deployment, "download?size=-1")).status == 400


async def test_a_socket_opens_for_a_token_alone(deployment: Deployment) -> None:
    headers = {"host": HOST, PROBE_HEADER: a_token()}
    outcome = await drive(deployment.guard, websocket_scope("/.portal/probe/socket", headers=headers))
    assert [message["type"] for message in outcome.messages] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    other = await drive(
        deployment.guard, websocket_scope("/.portal/probe/socket", headers={**headers, "host": "other.example.com"})
    )
    assert [message["type"] for message in other.messages] == ["websocket.close"]


@pytest.mark.parametrize("upgrade", [{"upgrade": "WebSocket"}, {}], ids=["with", "without"])
async def test_a_handshake_that_is_none_says_what_is_missing(deployment: Deployment, upgrade: dict[str, str]) -> None:
    outcome = await probe(deployment, "socket", **upgrade)

    assert (outcome.status, of_json(outcome)) == (426, {"upgrade": bool(upgrade)})


async def test_the_guard_says_how_it_gets_on_with_the_portal(deployment: Deployment) -> None:
    assert of_json(await probe(deployment, "portal")) == {"portal": "answers"}
    assert not deployment.portal.sessions

    keys = await deployment.portal(httpx.Request("GET", f"{PORTAL}/.well-known/jwks.json"))

    def knows_no_secret(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=keys.content) if request.method == "GET" else httpx.Response(401)

    deployment.portal.answer = knows_no_secret
    assert of_json(await probe(deployment, "portal")) == {"portal": "refuses"}
    deployment.portal.away = True
    assert of_json(await probe(deployment, "portal")) == {"portal": "away"}


async def test_a_guard_that_never_reached_the_portal_says_that_it_cannot_tell(deployment: Deployment) -> None:
    deployment.portal.away = True

    assert (await probe(deployment, "echo")).status == 503
