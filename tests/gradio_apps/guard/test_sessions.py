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
from tests.gradio_apps.guard.environment import House, a_house, a_person
from tests.gradio_apps.guard.test_running_requests import endless

pytestmark = pytest.mark.anyio


async def settle(house: House) -> None:
    """Let what runs beside the requests come to rest."""
    for task in list(house.guard._sessions._asking.values()):
        await asyncio.shield(task)
    await asyncio.sleep(0)


async def test_an_unknown_session_with_a_good_mac_is_rebuilt() -> None:
    async with a_house() as house:
        assert (await house.get("/")).status == 200
        assert (await house.get("/")).status == 200
        assert house.portal.introspections == 1


async def test_many_requests_of_one_unknown_session_ask_once() -> None:
    async with a_house() as house:
        house.portal.gate = asyncio.Event()
        asking = [asyncio.create_task(house.get("/")) for _ in range(20)]
        while house.portal.introspections == 0:
            await asyncio.sleep(0)
        house.portal.gate.set()

        answers = await asyncio.gather(*asking)

        assert {200} == {answer.status for answer in answers}
        assert house.portal.introspections == 1


async def test_a_browser_that_leaves_does_not_take_the_answer_along() -> None:
    async with a_house() as house:
        house.portal.gate = asyncio.Event()
        leaving, staying = (asyncio.create_task(house.get("/")) for _ in range(2))
        while house.portal.introspections == 0:
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        house.portal.gate.set()

        assert (await staying).status == 200


async def test_a_session_the_portal_does_not_know_is_refused_and_remembered() -> None:
    async with a_house() as house:
        headers = house.signed_in()
        house.portal.sessions["app-session-1"] = Inactive(code="unknown-session")

        assert [(await house.get("/", headers)).status for _ in range(2)] == [401, 401]
        assert house.portal.introspections == 1


async def test_an_ended_session_is_forgotten_when_no_ticket_for_it_can_live() -> None:
    async with a_house() as house:
        await house.push(house.logout_token())
        assert house.guard._sessions.is_ended("app-session-1")
        house.clock.now += 30 + 90
        house.guard._sessions.sweep()
        assert house.guard._sessions.is_ended("app-session-1")
        house.clock.now += module.ENDED_KEPT
        house.guard._sessions.sweep()
        assert not house.guard._sessions.is_ended("app-session-1")


async def test_a_session_in_use_is_renewed_once_a_minute_beside_its_requests() -> None:
    async with a_house() as house:
        await house.get("/")
        for _ in range(60):
            house.clock.now += 5
            assert (await house.get("/")).status == 200
            await settle(house)

        assert 5 <= house.portal.introspections - 1 <= 7


async def test_no_request_is_served_on_an_answer_older_than_a_minute() -> None:
    async with a_house() as house:
        headers = house.signed_in()
        await house.get("/", headers)
        house.portal.sessions["app-session-1"] = Inactive(code="signed-out")
        house.clock.now += 60

        assert (await house.get("/", headers)).status == 401


async def test_an_answer_of_less_than_a_minute_does_not_wait() -> None:
    async with a_house() as house:
        headers = house.signed_in()
        await house.get("/", headers)
        house.portal.gate = asyncio.Event()
        house.clock.now += 59

        assert (await house.get("/", headers)).status == 200
        house.portal.sessions["app-session-1"] = Inactive(code="denied")
        house.portal.gate.set()
        await settle(house)
        assert (await house.get("/", headers)).status == 401


async def test_a_clock_set_back_asks_again() -> None:
    async with a_house() as house:
        await house.get("/")
        house.clock.now -= 3600
        await house.get("/")

        assert house.portal.introspections == 2


async def test_a_renewal_brings_new_roles() -> None:
    async with a_house() as house:
        await house.get("/")
        house.portal.person("app-session-1", a_person(roles=frozenset({"admin"})))
        house.clock.now += 61
        await house.get("/")

        roles = [scope["portal.visitor"].roles for scope in house.app.scopes]
        assert [frozenset({"analyst"}), frozenset({"admin"})] == roles


@pytest.mark.parametrize("changes", [{"subject": "somebody-else"}, {"tenant": "beta"}])
async def test_a_session_never_changes_hands(changes: dict[str, str]) -> None:
    async with a_house() as house:
        headers = house.signed_in()
        await house.get("/", headers)
        house.portal.person("app-session-1", a_person(**changes))
        house.clock.now += 61

        assert (await house.get("/", headers)).status == 401


async def test_an_answer_about_another_session_ends_this_one() -> None:
    async with a_house() as house:
        headers = house.signed_in()
        house.portal.sessions["app-session-1"] = Active(session="another", person=a_person())

        assert (await house.get("/", headers)).status == 401


async def test_a_session_ends_with_its_sign_in() -> None:
    async with a_house() as house:
        headers = house.signed_in(person=a_person(signed_in_until=NOW + 30))
        await house.get("/", headers)
        house.clock.now += 30

        assert (await house.get("/", headers)).status == 401
        assert house.portal.introspections == 1


async def test_while_the_portal_is_away_sessions_go_on_for_the_grace_period_and_are_not_forgotten() -> None:
    async with a_house() as house:
        headers = house.signed_in()
        await house.get("/", headers)
        house.portal.away = True
        statuses = []
        for _ in range(40):
            house.clock.now += 10
            statuses.append((await house.get("/", headers)).status)
            await settle(house)

        served = statuses.index(503)
        assert {200} == set(statuses[:served])
        assert {503} == set(statuses[served:])
        assert 30 <= served <= 36  # the first failed renewal after 50 s, and 300 s of grace

        house.portal.away = False
        house.clock.now += 10
        assert (await house.get("/", headers)).status == 200


async def test_an_unknown_session_waits_for_the_portal() -> None:
    async with a_house() as house:
        headers = house.signed_in()
        house.portal.away = True
        assert (await house.get("/", headers)).status == 503
        page = await house.get("/", headers, sec_fetch_mode="navigate", sec_fetch_dest="iframe")
        assert (page.status, page.header("content-type")) == (503, "text/html; charset=utf-8")

        house.portal.away = False
        assert (await house.get("/", headers)).status == 200


async def test_the_first_failure_counts_even_while_others_wait() -> None:
    """
    A session that was idle when the portal went away gets no more grace than the rest.
    """
    async with a_house() as house:
        idle = house.signed_in("idle")
        busy = house.signed_in("busy")
        await house.get("/", idle)
        await house.get("/", busy)
        house.portal.away = True
        house.clock.now += 61
        assert (await house.get("/", busy)).status == 200
        house.clock.now += 299
        assert (await house.get("/", idle)).status == 200
        house.clock.now += 10
        assert (await house.get("/", idle)).status == 503
        calls = house.portal.introspections
        assert (await house.get("/", idle)).status == 503
        assert calls == house.portal.introspections, "no attempt within the pause"


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
    async with a_house() as house:
        headers = house.signed_in()
        await house.get("/", headers)
        content, kept = answer.content, {k: v for k, v in answer.headers.items() if k == "location"}
        house.portal.answer = lambda _: httpx.Response(answer.status_code, content=content, headers=kept)
        house.clock.now += 61

        assert (await house.get("/", headers)).status == 200
        assert (await house.get("/", house.signed_in("unknown"))).status == 503


async def test_calls_carry_the_apps_credentials_and_the_portals_public_name() -> None:
    from tests.gradio_apps.guard.environment import guard_settings

    async with a_house(settings=guard_settings(portal_internal_url="http://127.0.0.1:7800")) as house:
        await house.get("/")
        (request,) = house.portal.requests

        assert str(request.url) == "http://127.0.0.1:7800/oauth/introspect"
        assert request.headers["host"] == "portal.example.com"
        assert request.headers["authorization"].startswith("Basic ")


async def test_a_stream_is_renewed_while_it_runs_and_cut_when_access_has_ended() -> None:
    async with a_house(endless) as house:
        scope = house.scope("/stream")
        async with connected(house.guard, scope) as stream:
            await stream.until(lambda outcome: outcome.body)
            house.clock.now += 50
            house.guard._sessions.sweep()
            await settle(house)
            assert house.portal.introspections == 2

            house.portal.sessions["app-session-1"] = Inactive(code="signed-out")
            house.clock.now += 50
            house.guard._sessions.sweep()
            outcome = await stream.finish()

        assert not outcome.complete


async def test_a_stream_is_cut_when_the_grace_period_is_over_and_the_session_kept() -> None:
    async with a_house(endless) as house:
        async with connected(house.guard, house.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)
            house.portal.away = True
            for _ in range(80):
                house.clock.now += 5
                house.guard._sessions.sweep()
                await settle(house)
            await stream.finish()

        house.portal.away = False
        assert not house.guard._sessions.is_ended("app-session-1")


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
    async with a_house(endless) as house:
        async with connected(house.guard, house.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)
            house.portal.answer = lacking
            for _ in range(MAX_AGE):
                house.clock.now += 1
                house.guard._sessions.sweep()
                await settle(house)
            await stream.finish()
        assert (await house.get("/")).status == 503
        assert not house.guard._sessions.is_ended("app-session-1")

        house.portal.answer = None
        house.clock.now += 1
        async with connected(house.guard, house.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)


async def test_what_this_process_lacked_neither_begins_nor_ends_a_grace_period() -> None:
    async with a_house(endless) as house, connected(house.guard, house.scope("/stream")) as stream:
        await stream.until(lambda outcome: outcome.body)
        for answer, away, seconds in ((without_descriptors, False, 50), (None, True, 200), (without_memory, True, 20)):
            house.portal.answer, house.portal.away = answer, away
            for _ in range(seconds):
                house.clock.now += 1
                house.guard._sessions.sweep()
                await settle(house)
        assert not stream.task.done(), "the portal is away, and has been for less than the grace period"
        for _ in range(GRACE):
            house.clock.now += 1
            house.guard._sessions.sweep()
            await settle(house)
        await stream.finish()


@pytest.mark.parametrize(("exhausted", "calls"), [(True, 2), (False, 1)])
async def test_descriptors_are_kept_for_asking_and_what_may_have_been_heard_is_not_asked_twice(
    monkeypatch: pytest.MonkeyPatch, *, exhausted: bool, calls: int
) -> None:
    monkeypatch.setattr("gradio_apps.runtime.guard.portal_client.none_left", lambda: exhausted)
    async with a_house() as house:
        held: list[int] = []

        def answer(request: httpx.Request) -> httpx.Response:
            held.append(len(house.guard._client._spare._held))
            return without_descriptors(request)

        house.portal.answer = answer
        with pytest.raises(CannotAsk):
            await house.guard._client.redeem("a-ticket")
        assert held == [SPARE, 0][:calls]
        assert len(house.guard._client._spare._held) == SPARE


async def test_a_process_that_stood_still_does_not_say_that_the_portal_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_house() as house:
        client = house.guard._client
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
    async with a_house(endless) as house, connected(house.guard, house.scope("/stream")) as stream:
        await stream.until(lambda outcome: outcome.body)
        house.portal.gate = asyncio.Event()
        house.clock.now += 61
        house.guard._sessions.sweep()
        seen = len(stream.outcome.body)
        await stream.until(lambda outcome: len(outcome.body) > seen + 3)
        house.portal.gate.set()
        await settle(house)

        assert not stream.task.done()


async def test_a_stream_ends_with_its_sign_in() -> None:
    async with a_house(endless) as house:
        headers = house.signed_in(person=a_person(signed_in_until=NOW + 30))
        async with connected(house.guard, house.scope("/stream", headers=headers)) as stream:
            await stream.until(lambda outcome: outcome.body)
            house.clock.now += 30
            house.guard._sessions.sweep()

            assert not (await stream.finish()).complete


async def test_an_idle_session_leaves_memory_and_comes_back() -> None:
    async with a_house() as house:
        await house.get("/")
        house.clock.now += 3601
        house.guard._sessions.sweep()
        assert house.guard._sessions._live == {}
        assert (await house.get("/")).status == 200


async def test_the_sweeper_runs_by_itself_and_rests_when_there_is_nothing_to_do() -> None:
    async with a_house() as house:
        await house.get("/")
        sweeper = house.guard._sessions._sweeper
        assert sweeper is not None
        house.clock.now += 8 * 3600
        for _ in range(2):  # first the session, then the memory of its end
            await asyncio.sleep(module.SWEEP_EVERY * 1.2)
            house.clock.now += module.ENDED_KEPT
        async with asyncio.timeout(20):
            await sweeper
        assert house.guard._sessions._ended == {}


async def heartbeat_and_nothing_else(house: House, *, seconds: int) -> None:
    async with connected(house.guard, house.scope("/gradio_api/heartbeat/abc")) as tab:
        await tab.until(lambda outcome: outcome.body)
        for _ in range(seconds // 50):
            house.clock.now += 50
            house.guard._sessions.sweep()
            await settle(house)


async def test_a_tab_that_only_stands_open_is_renewed_but_is_no_use() -> None:
    """
    The heartbeat of a forgotten tab must not keep its sign-in from growing idle.
    """
    async with a_house(endless) as house:
        await heartbeat_and_nothing_else(house, seconds=200)

        asked = [parse_qs(request.content.decode()) for request in house.portal.requests]
        assert len(asked) >= 3
        assert all(form["not_in_use"] == ["true"] for form in asked[2:])


async def test_a_stream_that_runs_is_a_use() -> None:
    async with a_house(endless) as house:
        async with connected(house.guard, house.scope("/stream")) as stream:
            await stream.until(lambda outcome: outcome.body)
            for _ in range(3):
                house.clock.now += 50
                house.guard._sessions.sweep()
                await settle(house)

        assert all(b"not_in_use" not in request.content for request in house.portal.requests)


async def test_asking_whether_the_session_lives_is_no_use_of_it() -> None:
    async with a_house() as house:
        await house.get("/")
        house.clock.now += 3000
        assert (await house.get("/.portal/session")).status == 200
        assert house.portal.introspections == 1  # answered from memory

        house.clock.now += 3000
        house.guard._sessions.sweep()  # forgotten by now
        assert (await house.get("/.portal/session")).status == 200
        assert b"not_in_use=true" in house.portal.requests[-1].content
