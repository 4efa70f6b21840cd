"""Handing over to another process: when, what it still begins, and what the other does not begin yet."""

import json
from collections.abc import AsyncIterator

import pytest

from gradio_apps.runtime.guard.asgi import Message, Receive, Scope, Send
from gradio_apps.runtime.guard.draining import PATIENCE, RunningWork
from tests.asgi import Outcome, connected
from tests.gradio_apps.guard.deployment import APP, Deployment, a_deployment

pytestmark = pytest.mark.anyio

JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestQuiet:
    def test_nobody_is_between_the_two_when_nothing_happened(self) -> None:
        assert RunningWork().quiet

    def test_somebody_is_while_they_join_and_until_they_listen(self) -> None:
        work = RunningWork()
        with work.joining():
            assert not work.quiet
            work.issued("event", ["hash"])
        assert not work.quiet
        with work.hearing(["hash"]):
            assert work.quiet
            assert work.listening == ("hash",)
            # The stream that is open takes the next event's messages as well.
            work.issued("another", ["hash"])
            assert work.quiet
        assert work.quiet
        assert work.listening == ()

    def test_an_event_without_a_session_is_listened_to_by_its_own_name(self) -> None:
        work = RunningWork()
        work.issued("event", [])
        with work.hearing(["other"]):
            assert not work.quiet
        with work.hearing(["event"]):
            assert work.quiet

    def test_who_does_not_come_is_not_waited_for(self) -> None:
        clock = Clock()
        work = RunningWork(clock=clock)
        work.issued("event", ["hash"])
        clock.now += PATIENCE - 0.1
        assert not work.quiet
        clock.now += 0.2
        assert work.quiet

    def test_two_streams_of_one_session_are_two(self) -> None:
        work = RunningWork()
        with work.hearing(["hash"]):
            with work.hearing(["hash"]):
                pass
            assert work.listening == ("hash",)


class TestPlace:
    def test_here_as_long_as_nobody_leaves(self) -> None:
        assert RunningWork().process_for(["hash"]) == "here"
        assert RunningWork().process_for([]) == "here"

    def test_who_leaves_begins_only_what_is_listened_to_here(self) -> None:
        work = RunningWork()
        work.leave()
        assert work.process_for(["hash"]) == "next"
        assert work.process_for([]) == "next"
        with work.hearing(["hash"]):
            assert work.process_for(["hash"]) == "here"

    def test_who_follows_waits_for_what_is_listened_to_there(self) -> None:
        work = RunningWork()
        work.set_draining(["hash"])
        assert work.process_for(["hash"]) == "before"
        assert work.process_for(["another"]) == "here"
        with work.hearing(["hash"]):
            assert work.process_for(["hash"]) == "here"
        work.set_draining([])
        assert work.process_for(["hash"]) == "here"


async def left(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
    """Gradio's queue, as far as the guard sees it: joining names an event, and data is a stream that stays open."""
    start: Message = {"type": "http.response.start", "status": 200, "headers": []}
    if scope["path"].endswith(DATA):
        await send({**start, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]})
        await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        await left(receive)
    elif "/heartbeat/" in scope["path"]:
        await send({**start, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await left(receive)
    else:
        await send(start)
        await send({"type": "http.response.body", "body": json.dumps({"event_id": "event"}).encode()})


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    async with a_deployment(gradio) as built:
        yield built


async def join(deployment: Deployment, session: str = "hash", path: str = JOIN) -> Outcome:
    return await deployment.post_json(path, json.dumps({"data": [], "session_hash": session}))


class TestGuard:
    async def test_a_join_counts_until_its_stream_is_open(self, deployment: Deployment) -> None:
        assert (await join(deployment)).status == 200
        work = deployment.guard.work
        assert not work.quiet
        async with connected(deployment.guard, deployment.scope(f"{DATA}?session_hash=hash")) as connection:
            await connection.until(lambda outcome: outcome.body != b"")
            assert work.quiet
            assert work.listening == ("hash",)
            assert work.open() == {"stream": 1}
            assert work.busy
        assert work.open() == {}
        assert work.listening == ()

    async def test_an_open_page_is_nothing_to_wait_for(self, deployment: Deployment) -> None:
        async with connected(deployment.guard, deployment.scope("/gradio_api/heartbeat/hash")) as connection:
            await connection.until(lambda outcome: outcome.status == 200)
            assert deployment.guard.work.open() == {"page": 1}
            assert not deployment.guard.work.busy

    @pytest.mark.parametrize("path", [JOIN, f"{JOIN}?__theme=dark&x=%20"])
    async def test_who_leaves_sends_a_join_on_with_its_body(self, deployment: Deployment, path: str) -> None:
        deployment.guard.work.leave()
        answer = await join(deployment, path=path)
        assert (answer.status, answer.header("location")) == (307, APP + path)
        assert (await deployment.get("/")).status == 200

    async def test_a_join_is_never_sent_to_another_host(self, deployment: Deployment) -> None:
        deployment.guard.work.leave()
        answer = await join(deployment, path=f"//evil.example{JOIN}")
        assert (answer.status, answer.header("location")) == (307, f"{APP}//evil.example{JOIN}")

    async def test_who_follows_says_that_something_still_runs(self, deployment: Deployment) -> None:
        deployment.guard.work.set_draining(["hash"])
        refused = await join(deployment)
        assert refused.status == 503
        assert "still runs" in json.loads(refused.body)["detail"]
        assert (await join(deployment, "another")).status == 200

    async def test_the_end_of_a_session_is_reported_and_taken_from_elsewhere(self, deployment: Deployment) -> None:
        assert (await deployment.get("/")).status == 200
        ended: list[str] = []
        deployment.guard.report_ended(ended.append)
        deployment.guard.end_session("app-session-1")
        assert ended == ["app-session-1"]
        assert (await deployment.get("/")).status == 401
