"""Tokens for the portal's API: for one person, cached briefly, and dropped with the session."""

from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import pytest

from gradio_apps.runtime.guard import NoApiToken, ScopedPortalApi
from gradio_apps.runtime.guard.api import TokenExchange
from tests.gradio_apps.guard.deployment import Clock, a_deployment, guard_settings


class Endpoint:
    """The portal's token endpoint."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(
            200, json={"access_token": f"token-{len(self.forms)}", "token_type": "Bearer", "expires_in": 60}
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["host"] == "portal.example.com"
        assert request.url.path == "/oauth/token"
        assert request.headers["authorization"].startswith("Basic ")
        self.forms.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        return self.answer()


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def exchange(endpoint: Endpoint, clock: Clock) -> TokenExchange:
    settings = guard_settings(portal_internal_url="http://127.0.0.1:7800")
    return TokenExchange(settings, clock=clock, transport=httpx.MockTransport(endpoint))


def test_a_session_is_exchanged_for_a_token(exchange: TokenExchange, endpoint: Endpoint) -> None:
    api = ScopedPortalApi(exchange, "sid-1")

    assert api.token("sign-ins:read audit:read") == "token-1"
    assert api.base_url == "http://127.0.0.1:7800"
    assert api.headers == {"host": "portal.example.com"}
    assert endpoint.forms == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": "sid-1",
            "subject_token_type": "urn:gradio-portal:token-type:app-session",
            "scope": "audit:read sign-ins:read",
        }
    ]


def test_a_token_is_kept_for_most_of_its_life(exchange: TokenExchange, clock: Clock) -> None:
    assert exchange.token("sid-1", "a b") == "token-1"
    clock.now += 49
    assert exchange.token("sid-1", "b a a") == "token-1"
    clock.now += 1
    assert exchange.token("sid-1", "a b") == "token-2"


def test_tokens_are_kept_apart_by_session_and_scope(exchange: TokenExchange) -> None:
    tokens = {exchange.token(*asked) for asked in (("sid-1", "a"), ("sid-1", "b"), ("sid-2", "a"))}

    assert len(tokens) == 3


def test_a_session_that_ended_leaves_no_token(exchange: TokenExchange) -> None:
    exchange.token("sid-1", "a")
    exchange.token("sid-2", "a")
    exchange.forget("sid-1")

    assert exchange.token("sid-2", "a") == "token-2"
    assert exchange.token("sid-1", "a") == "token-3"


def test_memory_is_bounded(exchange: TokenExchange) -> None:
    for number in range(4097):
        exchange.token(f"sid-{number}", "a")

    assert len(exchange._cache) <= 4096
    exchange.close()
    exchange.close()
    assert exchange.token("another", "a")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(400, json={"error": "invalid_grant"}), "invalid_grant"),
        (httpx.Response(400, json={"error": 7}), "unavailable"),
        (httpx.Response(302, headers={"location": "https://evil.test"}, json={}), "unavailable"),
        (httpx.Response(200, text="<html>"), "unavailable"),
        (httpx.Response(200, json=[]), "unavailable"),
        (httpx.Response(200, json={"access_token": "", "expires_in": 60}), "unavailable"),
        (httpx.Response(200, json={"access_token": "t", "expires_in": "60"}), "unavailable"),
    ],
    ids=str,
)
def test_a_refusal_has_a_code(exchange: TokenExchange, endpoint: Endpoint, answer: httpx.Response, code: str) -> None:
    endpoint.answer = lambda: answer
    with pytest.raises(NoApiToken) as caught:
        exchange.token("sid-1", "a")

    assert code == caught.value.code


def test_a_portal_that_is_away_has_one_too(exchange: TokenExchange, endpoint: Endpoint) -> None:
    def away() -> httpx.Response:
        raise httpx.ConnectError("refused")

    endpoint.answer = away
    with pytest.raises(NoApiToken) as caught:
        exchange.token("sid-1", "a")

    assert caught.value.code == "unavailable"


@pytest.mark.anyio
async def test_a_push_takes_the_tokens_along(endpoint: Endpoint) -> None:
    settings = guard_settings(portal_internal_url="http://127.0.0.1:7800")
    async with a_deployment(settings=settings, api_transport=httpx.MockTransport(endpoint)) as deployment:
        await deployment.get("/")
        api = deployment.app.scopes[0]["portal.api"]
        assert api.token("a") == "token-1"
        await deployment.push(deployment.logout_token())

        assert api.token("a") == "token-2", "asked again, and the portal decides"
