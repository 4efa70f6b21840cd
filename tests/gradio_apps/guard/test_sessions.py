"""Sessions live as long as the portal says, and a little longer where the portal is away."""

# ruff: noqa: ASYNC110 - what is waited for has no event to set

import asyncio
import errno
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import parse_qs

import httpx
import pytest

from gradio_apps.runtime.guard import sessions as module
from gradio_apps.runtime.guard.portal_client import CannotAsk, PortalAway
from gradio_apps.runtime.guard.sessions import GRACE, MAX_AGE
from portal.contract import Active, Inactive
from portal.contract.descriptors import SPARE
from tests.asgi import connected
from tests.builders import NOW, PORTAL
from tests.gradio_apps.guard.deployment import Deployment, a_deployment, a_person
from tests.gradio_apps.guard.test_running_requests import endless

pytestmark = pytest.mark.anyio


async def settle(deployment: Deployment) -> None:
    """Let what runs beside the requests come to rest."""
    for task in list(deployment.guard._sessions._asking.values()):
        await asyncio.shield(task)
    await asyncio.sleep(0)


async def test_an_unknown_session_with_a_good_mac_is_rebuilt() -> None:
    async with a_deployment() as deployment:
        assert (await deployment.get("/")).status == 200
        assert (await deployment.get("/")).status == 200
        assert deployment.portal.introspections == 1


async def test_many_requests_of_one_unknown_session_ask_once() -> None:
    async with a_deployment() as deployment:
        deployment.portal.barrier = asyncio.Event()
        asking = [asyncio.create_task(deployment.get("/")) for _ in range(20)]
        while deployment.portal.introspections == 0:
            await asyncio.sleep(0)
        deployment.portal.barrier.set()

        answers = await asyncio.gather(*asking)

        assert {200} == {answer.status for answer in answers}
        assert deployment.portal.introspections == 1


async def test_a_browser_that_leaves_does_not_take_the_answer_along() -> None:
    async with a_deployment() as deployment:
        deployment.portal.barrier = asyncio.Event()
        leaving, staying = (asyncio.create_task(deployment.get("/")) for _ in range(2))
        while deployment.portal.introspections == 0:
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        deployment.portal.barrier.set()

        assert (await staying).status == 200


async def test_a_session_the_portal_does_not_know_is_refused_and_remembered() -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        deployment.portal.sessions["app-session-1"] = Inactive(code="unknown-session")

        assert [(await deployment.get("/", headers)).status for _ in range(2)] == [401, 401]
        assert deployment.portal.introspections == 1


async def test_an_ended_session_is_forgotten_when_no_ticket_for_it_can_live() -> None:
    async with a_deployment() as deployment:
        await deployment.push(deployment.logout_token())
        assert deployment.guard._sessions.is_ended("app-session-1")
        deployment.clock.now += 30 + 90
        deployment.guard._sessions.sweep()
        assert deployment.guard._sessions.is_ended("app-session-1")
        deployment.clock.now += module.ENDED_KEPT
        deployment.guard._sessions.sweep()
        assert not deployment.guard._sessions.is_ended("app-session-1")


async def test_a_session_in_use_is_renewed_once_a_minute_beside_its_requests() -> None:
    async with a_deployment() as deployment:
        await deployment.get("/")
        for _ in range(60):
            deployment.clock.now += 5
            assert (await deployment.get("/")).status == 200
            await settle(deployment)

        assert 5 <= deployment.portal.introspections - 1 <= 7


async def test_no_request_is_served_on_an_answer_older_than_a_minute() -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        await deployment.get("/", headers)
        deployment.portal.sessions["app-session-1"] = Inactive(code="signed-out")
        deployment.clock.now += 60

        assert (await deployment.get("/", headers)).status == 401


async def test_an_answer_of_less_than_a_minute_does_not_wait() -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        await deployment.get("/", headers)
        deployment.portal.barrier = asyncio.Event()
        deployment.clock.now += 59

        assert (await deployment.get("/", headers)).status == 200
        deployment.portal.sessions["app-session-1"] = Inactive(code="denied")
        deployment.portal.barrier.set()
        await settle(deployment)
        assert (await deployment.get("/", headers)).status == 401


async def test_a_clock_set_back_asks_again() -> None:
    async with a_deployment() as deployment:
        await deployment.get("/")
        deployment.clock.now -= 3600
        await deployment.get("/")

        assert deployment.portal.introspections == 2


async def test_a_renewal_brings_new_roles() -> None:
    async with a_deployment() as deployment:
        await deployment.get("/")
        deployment.portal.person("app-session-1", a_person(roles=frozenset({"admin"})))
        deployment.clock.now += 61
        await deployment.get("/")

        roles = [scope["portal.visitor"].roles for scope in deployment.app.scopes]
        assert [frozenset({"analyst"}), frozenset({"admin"})] == roles


@pytest.mark.parametrize("changes", [{"subject": "somebody-else"}, {"tenant": "beta"}])
async def test_a_session_never_changes_hands(changes: dict[str, str]) -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        await deployment.get("/", headers)
        deployment.portal.person("app-session-1", a_person(**changes))
        deployment.clock.now += 61

        assert (await deployment.get("/", headers)).status == 401


async def test_an_answer_about_another_session_ends_this_one() -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        deployment.portal.sessions["app-session-1"] = Active(session="another", person=a_person())

        assert (await deployment.get("/", headers)).status == 401


async def test_a_session_ends_with_its_sign_in() -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in(person=a_person(signed_in_until=NOW + 30))
        await deployment.get("/", headers)
        deployment.clock.now += 30

        assert (await deployment.get("/", headers)).status == 401
        assert deployment.portal.introspections == 1


async def test_while_the_portal_is_away_sessions_go_on_for_the_grace_period_and_are_not_forgotten() -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        await deployment.get("/", headers)
        deployment.portal.away = True
        statuses = []
        for _ in range(40):
            deployment.clock.now += 10
            statuses.append((await deployment.get("/", headers)).status)
            await settle(deployment)

        served = statuses.index(503)
        assert {200} == set(statuses[:served])
        assert {503} == set(statuses[served:])
        assert 30 <= served <= 36  # the first failed renewal after 50 s, and 300 s of grace

        deployment.portal.away = False
        deployment.clock.now += 10
        assert (await deployment.get("/", headers)).status == 200


async def test_an_unknown_session_waits_for_the_portal() -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        deployment.portal.away = True
        assert (await deployment.get("/", headers)).status == 503
        page = await deployment.get("/", headers, sec_fetch_mode="navigate", sec_fetch_dest="iframe")
        assert (page.status, page.header("content-type")) == (503, "text/html; charset=utf-8")

        deployment.portal.away = False
        assert (await deployment.get("/", headers)).status == 200


async def test_the_first_failure_counts_even_while_others_wait() -> None:
    """
    A session that was idle when the portal went away gets no more grace than the rest.
    """
    async with a_deployment() as deployment:
        idle = deployment.signed_in("idle")
        busy = deployment.signed_in("busy")
        await deployment.get("/", idle)
        await deployment.get("/", busy)
        deployment.portal.away = True
        deployment.clock.now += 61
        assert (await deployment.get("/", busy)).status == 200
        deployment.clock.now += 299
        assert (await deployment.get("/", idle)).status == 200
        deployment.clock.now += 10
        assert (await deployment.get("/", idle)).status == 503
        calls = deployment.portal.introspections
        assert (await deployment.get("/", idle)).status == 503
        assert calls == deployment.portal.introspections, "no attempt within the pause"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"active": False}),
        httpx.Response(401, json={"error": "invalid_client"}),
        httpx.Response(302, headers={"location": "https://evil.test"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"active": True}),
        httpx.Response(200, json={"active": True, "iss": PORTAL, "aud": "other"}),
        httpx.Response(200, content=b"x" * 300_000),
        httpx.Response(200, text="[" * 100_000),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.content[:20]!r}",
)
async def test_what_cannot_be_understood_neither_opens_nor_ends(answer: httpx.Response) -> None:
    async with a_deployment() as deployment:
        headers = deployment.signed_in()
        await deployment.get("/", headers)
        content, location = answer.content, {k: v for k, v in answer.headers.items() if k == "location"}
        deployment.portal.answer = lambda _: httpx.Response(answer.status_code, content=content, headers=location)
        deployment.clock.now += 61

        assert (await deployment.get("/", headers)).status == 200
        assert (await deployment.get("/", deployment.signed_in("unknown"))).status == 503


async def test_calls_carry_the_apps_credentials_and_the_portals_public_name() -> None:
    from tests.gradio_apps.guard.deployment import guard_settings

    async with a_deployment(settings=guard_settings(portal_internal_url="http://127.0.0.1:7800")) as deployment:
        await deployment.get("/")
        (request,) = deployment.portal.requests

        assert str(request.url) == "http://127.0.0.1:7800/oauth/introspect"
        assert request.headers["host"] == "portal.example.com"
        assert request.headers["authorization"].startswith("Basic ")


async def test_a_stream_is_renewed_while_it_runs_and_cut_when_access_has_ended() -> None:
    async with a_deployment(endless) as deployment:
        scope = deployment.scope("/stream")
        async with connected(deployment.guard, scope) as stream:
            await stream.until(lambda outcome: outcome.body)
            deployment.clock.now += 50
            deployment.guard._sessions.sweep()
            await settle(deployment)
            assert deployment.portal.introspections == 2

            deployment.portal.sessions["app-session-1"] = Inactive(code="signed-out")
            deployment.clock.now += 50
            deployment.guard._sessions.sweep()
            outcome = await stream.finish()

        assert not outcome.complete


async def test_a_stream_is_cut_when_the_grace_period_is_over_and_the_session_kept() -> None:
    async with a_deployment(endless) as deployment:
        async with connected(deployment.guard, deployment.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)
            deployment.portal.away = True
            for _ in range(80):
                deployment.clock.now += 5
                deployment.guard._sessions.sweep()
                await settle(deployment)
            await stream.finish()

        deployment.portal.away = False
        assert not deployment.guard._sessions.is_ended("app-session-1")


def without_descriptors(request: httpx.Request) -> httpx.Response:
    error = httpx.ConnectError("All connection attempts failed", request=request)
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    raise error


def without_threads(_request: httpx.Request) -> httpx.Response:
    raise RuntimeError("can't start new thread")


def without_memory(_request: httpx.Request) -> httpx.Response:
    raise MemoryError


@pytest.mark.parametrize("lacking", [without_descriptors, without_threads, without_memory])
async def test_what_this_process_lacks_gives_no_grace_period(
    lacking: Callable[[httpx.Request], httpx.Response],
) -> None:
    async with a_deployment(endless) as deployment:
        async with connected(deployment.guard, deployment.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)
            deployment.portal.answer = lacking
            for _ in range(MAX_AGE):
                deployment.clock.now += 1
                deployment.guard._sessions.sweep()
                await settle(deployment)
            await stream.finish()
        assert (await deployment.get("/")).status == 503
        assert not deployment.guard._sessions.is_ended("app-session-1")

        deployment.portal.answer = None
        deployment.clock.now += 1
        async with connected(deployment.guard, deployment.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)


async def test_what_this_process_lacked_neither_begins_nor_ends_a_grace_period() -> None:
    async with a_deployment(endless) as deployment, connected(deployment.guard, deployment.scope("/stream")) as stream:
        await stream.until(lambda outcome: outcome.body)
        for answer, away, seconds in ((without_descriptors, False, 50), (None, True, 200), (without_memory, True, 20)):
            deployment.portal.answer, deployment.portal.away = answer, away
            for _ in range(seconds):
                deployment.clock.now += 1
                deployment.guard._sessions.sweep()
                await settle(deployment)
        assert not stream.task.done(), "the portal is away, and has been for less than the grace period"
        for _ in range(GRACE):
            deployment.clock.now += 1
            deployment.guard._sessions.sweep()
            await settle(deployment)
        await stream.finish()


@pytest.mark.parametrize(("exhausted", "calls"), [(True, 2), (False, 1)])
async def test_descriptors_are_kept_for_asking_and_what_may_have_been_heard_is_not_asked_twice(
    monkeypatch: pytest.MonkeyPatch, *, exhausted: bool, calls: int
) -> None:
    monkeypatch.setattr("gradio_apps.runtime.guard.portal_client.none_left", lambda: exhausted)
    async with a_deployment() as deployment:
        held: list[int] = []

        def answer(request: httpx.Request) -> httpx.Response:
            held.append(len(deployment.guard._client._spare._held))
            return without_descriptors(request)

        deployment.portal.answer = answer
        with pytest.raises(CannotAsk):
            await deployment.guard._client.redeem("a-ticket")
        assert held == [SPARE, 0][:calls]
        assert len(deployment.guard._client._spare._held) == SPARE


async def test_a_process_that_stood_still_does_not_say_that_the_portal_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_deployment() as deployment:
        client = deployment.guard._client
        monkeypatch.setattr("gradio_apps.runtime.guard.portal_client.time", SimpleNamespace(monotonic=None))

        async def late(*_arguments: object) -> bytes:
            raise TimeoutError

        monkeypatch.setattr(client, "_read", late)
        monkeypatch.setattr("gradio_apps.runtime.guard.portal_client.time.monotonic", iter([0.0, 9.0]).__next__)
        with pytest.raises(CannotAsk):
            await client.renew("app-session-1", in_use=True)
        monkeypatch.setattr("gradio_apps.runtime.guard.portal_client.time.monotonic", iter([0.0, 5.1]).__next__)
        with pytest.raises(PortalAway) as away:
            await client.renew("app-session-1", in_use=True)
        assert not isinstance(away.value, CannotAsk)


async def test_a_stream_waits_for_the_answer_that_is_under_way() -> None:
    async with a_deployment(endless) as deployment, connected(deployment.guard, deployment.scope("/stream")) as stream:
        await stream.until(lambda outcome: outcome.body)
        deployment.portal.barrier = asyncio.Event()
        deployment.clock.now += 61
        deployment.guard._sessions.sweep()
        seen = len(stream.outcome.body)
        await stream.until(lambda outcome: len(outcome.body) > seen + 3)
        deployment.portal.barrier.set()
        await settle(deployment)

        assert not stream.task.done()


async def test_a_stream_ends_with_its_sign_in() -> None:
    async with a_deployment(endless) as deployment:
        headers = deployment.signed_in(person=a_person(signed_in_until=NOW + 30))
        async with connected(deployment.guard, deployment.scope("/stream", headers=headers)) as stream:
            await stream.until(lambda outcome: outcome.body)
            deployment.clock.now += 30
            deployment.guard._sessions.sweep()

            assert not (await stream.finish()).complete


async def test_an_idle_session_leaves_memory_and_comes_back() -> None:
    async with a_deployment() as deployment:
        await deployment.get("/")
        deployment.clock.now += 3601
        deployment.guard._sessions.sweep()
        assert deployment.guard._sessions._live == {}
        assert (await deployment.get("/")).status == 200


async def test_the_sweeper_runs_by_itself_and_rests_when_there_is_nothing_to_do() -> None:
    async with a_deployment() as deployment:
        await deployment.get("/")
        sweeper = deployment.guard._sessions._sweeper
        assert sweeper is not None
        deployment.clock.now += 8 * 3600
        for _ in range(2):  # first the session, then the memory of its end
            await asyncio.sleep(module.SWEEP_EVERY * 1.2)
            deployment.clock.now += module.ENDED_KEPT
        async with asyncio.timeout(20):
            await sweeper
        assert deployment.guard._sessions._ended == {}


async def heartbeat_and_nothing_else(deployment: Deployment, *, seconds: int) -> None:
    async with connected(deployment.guard, deployment.scope("/gradio_api/heartbeat/abc")) as tab:
        await tab.until(lambda outcome: outcome.body)
        for _ in range(seconds // 50):
            deployment.clock.now += 50
            deployment.guard._sessions.sweep()
            await settle(deployment)


async def test_a_tab_that_only_stands_open_is_renewed_but_is_no_use() -> None:
    """
    The heartbeat of a forgotten tab must not keep its sign-in from growing idle.
    """
    async with a_deployment(endless) as deployment:
        await heartbeat_and_nothing_else(deployment, seconds=200)

        asked = [parse_qs(request.content.decode()) for request in deployment.portal.requests]
        assert len(asked) >= 3
        assert all(form["not_in_use"] == ["true"] for form in asked[2:])


async def test_a_stream_that_runs_is_a_use() -> None:
    async with a_deployment(endless) as deployment:
        async with connected(deployment.guard, deployment.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)
            for _ in range(3):
                deployment.clock.now += 50
                deployment.guard._sessions.sweep()
                await settle(deployment)

        assert all(b"not_in_use" not in request.content for request in deployment.portal.requests)


async def test_asking_whether_the_session_lives_is_no_use_of_it() -> None:
    async with a_deployment() as deployment:
        await deployment.get("/")
        deployment.clock.now += 3000
        assert (await deployment.get("/.portal/session")).status == 200
        assert deployment.portal.introspections == 1  # answered from memory

        deployment.clock.now += 3000
        deployment.guard._sessions.sweep()  # forgotten by now
        assert (await deployment.get("/.portal/session")).status == 200
        assert b"not_in_use=true" in deployment.portal.requests[-1].content
