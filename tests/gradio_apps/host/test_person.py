"""Telling Gradio who is there."""

import inspect

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gradio_apps.runtime.host.person import OWN_CALL, SIGN_IN, VISITOR, AuthDependency, PersonSession, username_for
from portal.contract import Person
from tests.asgi import drive, http_scope

pytestmark = pytest.mark.anyio
ANA = Person(subject="id-of-ana", username="ana@example.com")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def named(_request: Request) -> str | None:
    return "local"


async def named_later(_request: Request) -> str | None:
    return "local"


def refused(_request: Request) -> str | None:
    return None


@pytest.mark.parametrize(
    ("theirs", "scope", "username"),
    [
        (None, {VISITOR: ANA}, "ana@example.com"),
        (None, {}, None),
        (None, {OWN_CALL: True}, ""),
        (None, {OWN_CALL: True, VISITOR: ANA}, "ana@example.com"),
        (None, {OWN_CALL: "yes"}, None),
        (named, {VISITOR: ANA}, "ana@example.com"),
        (named_later, {VISITOR: ANA}, "ana@example.com"),
        (refused, {VISITOR: ANA}, None),
        (named, {OWN_CALL: True}, "local"),
    ],
)
async def test_the_username_is_the_portals(theirs: AuthDependency | None, scope: Scope, username: str | None) -> None:
    """
    A dependency of the author's can refuse; it cannot say who somebody is.
    """
    request = Request({**http_scope("/"), **scope})

    value = username_for(theirs)(request)

    assert username == (await value if inspect.isawaitable(value) else value)
    assert inspect.isawaitable(value) is (theirs is named_later), "Gradio 5 takes what is not awaited for a name"


SAID = {"oauth_info": {"userinfo": {}}, "user": {"name": "Ana"}}


@pytest.mark.parametrize(
    ("theirs", "user"),
    [
        ({}, {"name": "Ana"}),
        ({"session": None}, {"name": "Ana"}),
        ({"session": {"cart": 1, "oauth_info": "theirs"}}, {"name": "Ana"}),
        ({"session": {"user": "their own"}}, "their own"),
    ],
)
async def test_handlers_read_the_guards_sign_in_and_the_apps_session_stays_without(theirs: Scope, user: object) -> None:
    """
    What the author's own session says of a user is the author's; a sign-in of Gradio's never is.
    """
    outer = {**http_scope("/"), SIGN_IN: SAID, **theirs}
    before = dict(outer.get("session") or {})

    assert await session_seen(outer) == {**before, "oauth_info": {"userinfo": {}}, "user": user}
    assert before == dict(outer.get("session") or {})


@pytest.mark.parametrize("value", [None, {}])
async def test_where_nobody_is_there_nothing_of_a_sign_in_is_read(value: object) -> None:
    outer = {**http_scope("/"), SIGN_IN: value, "session": {"oauth_info": "theirs", "cart": 1}}

    assert await session_seen(outer) == {"cart": 1}


async def session_seen(scope: Scope) -> object:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await drive(PersonSession(app), scope)
    return seen[0]["session"]


async def test_where_nothing_is_awaited_an_async_dependency_lets_nobody_in() -> None:
    request = Request({**http_scope("/"), VISITOR: ANA})

    assert username_for(named_later, awaited=False)(request) is None
    assert username_for(named, awaited=False)(request) == "ana@example.com"
    assert username_for(None, awaited=False)(request) == "ana@example.com"
