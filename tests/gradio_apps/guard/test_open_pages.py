"""What the guard answers the scripts of open pages: whether the session goes on, and that it has just ended."""

import json

import pytest

from gradio_apps.runtime.guard import asgi
from gradio_apps.runtime.guard.connections import PER_PERSON
from tests.gradio_apps.guard.deployment import HOST, a_deployment, a_person, connected

pytestmark = pytest.mark.anyio

WATCH = "/.portal/watch"


async def test_an_answer_lasts_as_long_as_the_session() -> None:
    """
    Open and without an event; the notification of the end closes it, and a page that asks again gets 401.
    """
    async with (
        a_deployment() as deployment,
        connected(deployment.guard, deployment.scope(WATCH)) as page,
    ):
        await page.until(lambda outcome: outcome.body)
        assert (page.outcome.status, page.outcome.header("content-type")) == (200, "text/event-stream")
        assert page.outcome.header("cache-control") == "private, no-cache"
        assert not deployment.app.scopes
        assert deployment.guard.work.open() == {}, "it is none of the app's work"
        assert (await deployment.push(deployment.logout_token())).status == 200
        ended = await page.finish()
        assert not ended.complete
        assert (await deployment.get(WATCH)).status == 401


async def test_it_shows_signs_of_life_that_are_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Reverse proxies close connections on which nothing happens.
    """
    monkeypatch.setattr(asgi, "SIGN_OF_LIFE", 0.01)
    async with (
        a_deployment() as deployment,
        connected(deployment.guard, deployment.scope(WATCH)) as page,
    ):
        await page.until(lambda outcome: len(outcome.messages) > 3)
        page.disconnect()
        answer = await page.finish()
        assert set(answer.text.split("\n")) == {":", ""}


async def test_an_open_page_is_no_use_of_the_session() -> None:
    """
    The portal is asked whether the session goes on, and learns that it is not in use; a role that is gone ends it.
    """
    async with a_deployment() as deployment:
        deployment.signed_in()
        async with connected(deployment.guard, deployment.scope(WATCH)) as page:
            await page.until(lambda outcome: outcome.body)
            deployment.portal.requests.clear()
            deployment.clock.now += 50
            deployment.portal.sessions.clear()
            await page.finish()
        assert b"not_in_use" in deployment.portal.requests[0].content


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://other.apps.example.com"}, 403),
        ({"host": "other.apps.example.com"}, 421),
        ({"cookie": ""}, 401),
        ({"cookie": "__Host-portal-app-forecast=app-session-1.AAAA"}, 401),
    ],
)
async def test_only_the_apps_own_pages_may_hold_one(headers: dict[str, str], status: int) -> None:
    """
    Another page could otherwise use up how many requests the person may have open.
    """
    async with a_deployment() as deployment:
        scope = deployment.scope(WATCH, headers={**deployment.signed_in(), **headers})
        async with connected(deployment.guard, scope) as page:
            await page.until(lambda outcome: outcome.status)
            assert page.outcome.status == status


async def test_a_persons_open_answers_are_limited() -> None:
    """
    They count like any other request of the person.
    """
    async with a_deployment() as deployment:
        pages = [connected(deployment.guard, deployment.scope(WATCH)) for _ in range(PER_PERSON)]
        for page in pages:
            await (await page.__aenter__()).until(lambda outcome: outcome.body)
        refused = await deployment.get(WATCH)
        assert (refused.status, refused.header("retry-after")) == (429, "5")
        for page in pages:
            await page.__aexit__(None, None, None)


async def test_while_the_portal_is_away_it_is_not_said_that_the_session_has_ended() -> None:
    """
    Nothing is known of a session that this process has not seen yet.
    """
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        deployment.portal.away = True
        assert (await deployment.get(WATCH, headers)).status == 503


async def test_a_page_can_tell_whose_session_it_is() -> None:
    """
    One that goes on in a new session must know that it is the same person's, in the same tenant.
    """
    async with a_deployment() as deployment:
        first = json.loads((await deployment.get("/.portal/session")).body)
        same = json.loads((await deployment.get("/.portal/session", deployment.signed_in("two"))).body)
        assert same == first
        changed = a_person(tenant="beta")
        other = json.loads((await deployment.get("/.portal/session", deployment.signed_in("three", changed))).body)
        assert (other["subject"], other["tenant"]) == (first["subject"], "beta")


async def test_the_page_of_the_small_window_needs_no_session_and_runs_the_script() -> None:
    """
    It reveals nothing, and the script there tells the browser's open pages of this app.
    """
    async with a_deployment() as deployment:
        answer = await deployment.get("/.portal/renewed", {"host": HOST})
        assert answer.status == 200
        assert 'data-event="renewed"' in answer.text
        assert "You can close this window." in answer.text
