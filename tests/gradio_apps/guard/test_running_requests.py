"""When a session ends, its bytes stop, whatever the app does about it."""

# ruff: noqa: ASYNC110 - ASGI applications take all three; what is waited for has no event

import asyncio
import contextlib
import gc
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from gradio_apps.runtime.guard.asgi import Message, Receive, Scope, Send
from gradio_apps.runtime.guard.bindings import Owner
from gradio_apps.runtime.guard.gradio_routes import IdKind
from gradio_apps.runtime.guard.running_requests import STOPPED
from tests.asgi import Connection, connected, drive, websocket_scope
from tests.gradio_apps.guard.deployment import HOST, Deployment, a_deployment, a_person

pytestmark = pytest.mark.anyio

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
CHUNK: Message = {"type": "http.response.body", "body": b"x", "more_body": True}


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """A stream that never ends."""
    await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
    while True:
        await send(CHUNK)
        await asyncio.sleep(0.001)


async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
    """A stream that swallows its cancellation and every error for a long while."""
    await send(START)
    for _ in range(3000):
        with contextlib.suppress(BaseException):
            await send(CHUNK)
        with contextlib.suppress(BaseException):
            await asyncio.sleep(0.001)


async def stubborn_with_a_length(scope: Scope, receive: Receive, send: Send) -> None:
    await send({**START, "headers": [(b"content-length", b"9999")]})
    await send(CHUNK)
    for _ in range(3000):
        with contextlib.suppress(BaseException):
            await asyncio.sleep(0.001)


async def in_a_group(scope: Scope, receive: Receive, send: Send) -> None:
    """As Starlette streams: in a task group, which wraps what is raised."""
    await send(START)

    async def stream() -> None:
        while True:
            await send(CHUNK)
            await asyncio.sleep(0.001)

    async with anyio.create_task_group() as group:
        group.start_soon(stream)


RELEASE = threading.Event()


async def in_a_thread(scope: Scope, receive: Receive, send: Send) -> None:
    """A plain function that cannot be cancelled."""
    await anyio.to_thread.run_sync(lambda: RELEASE.wait(15))
    await send(START)
    await send({"type": "http.response.body", "body": b"the result"})


@pytest.mark.parametrize("app", [endless, in_a_group])
async def test_a_push_breaks_a_stream_off(app: object) -> None:
    async with a_deployment(app) as deployment:  # type: ignore[arg-type]  # parametrized over functions of one shape
        async with connected(deployment.guard, deployment.scope("/gradio_api/heartbeat/h")) as stream:
            await stream.until(lambda outcome: len(outcome.body) > 3)

            assert (await deployment.push(deployment.logout_token())).status == 200
            seen = len(stream.outcome.body)
            outcome = await stream.finish()

        assert seen == len(outcome.body)
        assert not outcome.complete, "an answer broken off must not look complete"


async def test_a_stubborn_stream_is_silent_at_once_and_ended_over_its_head() -> None:
    async with a_deployment(stubborn) as deployment, connected(deployment.guard, deployment.scope("/s")) as stream:
        await stream.until(lambda outcome: outcome.body)
        await deployment.push(deployment.logout_token())
        seen = len(stream.outcome.body)
        await stream.until(lambda outcome: outcome.complete)

        assert seen == len(stream.outcome.body)
        await stream.finish(seconds=60)


async def test_an_answer_with_a_length_cannot_be_ended_but_stops() -> None:
    async with a_deployment(stubborn_with_a_length) as deployment:
        async with connected(deployment.guard, deployment.scope("/s")) as stream:
            await stream.until(lambda outcome: outcome.body)
            await deployment.push(deployment.logout_token())
            outcome = await stream.finish(seconds=60)

        assert (outcome.body, outcome.complete) == (b"x", False)


async def test_a_function_in_a_thread_runs_to_its_end_unheard() -> None:
    async with a_deployment(in_a_thread) as deployment, connected(deployment.guard, deployment.scope("/run")) as call:
        while not deployment.app.scopes:
            await asyncio.sleep(0.01)
        await deployment.push(deployment.logout_token())
        await call.until(lambda outcome: outcome.complete)

        assert call.outcome.status == 401
        assert call.outcome.body == b'{"detail": "Your session has ended."}'
        RELEASE.set()
        await call.finish()


async def test_a_request_that_has_not_answered_yet_gets_401() -> None:
    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(3600)

    async with a_deployment(waiting) as deployment, connected(deployment.guard, deployment.scope("/w")) as call:
        while not deployment.app.scopes:
            await asyncio.sleep(0.01)
        await deployment.push(deployment.logout_token())

        assert (await call.finish()).status == 401


class Streamed:
    """A stream as Gradio's queue has it, which cleans up when its client goes or its task is cancelled."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.cleaned_up = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stream() -> AsyncIterator[bytes]:
            try:
                while not await Request(scope, receive).is_disconnected():
                    yield await asyncio.wait_for(self.messages.get(), 10)
            except BaseException:
                yield b"the last message"
                self.cleaned_up = True
                raise
            self.cleaned_up = True

        await StreamingResponse(stream())(scope, receive, send)


def cut(deployment: Deployment, stream: Connection) -> None:
    deployment.guard.end_session("app-session-1")


def stop(deployment: Deployment, stream: Connection) -> None:
    deployment.guard.work.stop()
    stream.task.cancel()


@pytest.mark.parametrize("end", [cut, stop])
@pytest.mark.parametrize("moment", ["it waits", "a message is ready", "the client is slow to read"])
async def test_a_stream_that_is_cut_cleans_up(end: Callable[[Deployment, Connection], None], moment: str) -> None:
    """
    Python 3.11's ``wait_for`` swallows a cancellation where its result is ready.
    """
    app = Streamed()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with a_deployment(app) as deployment, connected(deployment.guard, deployment.scope("/s")) as stream:
        app.messages.put_nowait(b"x")
        await stream.until(lambda outcome: outcome.body)
        if moment == "the client is slow to read":
            stream.reading.clear()
            app.messages.put_nowait(b"y")
            await stream.until(lambda outcome: outcome.body == b"xy")
        elif moment == "a message is ready":
            app.messages.put_nowait(b"y")
        end(deployment, stream)
        await asyncio.sleep(0.01)
        stream.reading.set()
        outcome = await stream.finish()
    gc.collect()
    await asyncio.sleep(0)

    assert app.cleaned_up
    assert b"last" not in outcome.body
    assert complaints == []


async def test_another_sessions_stream_goes_on() -> None:
    async with a_deployment(endless) as deployment:
        other = deployment.signed_in("app-session-2")
        async with connected(deployment.guard, deployment.scope("/s", headers=other)) as stream:
            await stream.until(lambda outcome: outcome.body)
            await deployment.push(deployment.logout_token("app-session-1"))
            seen = len(stream.outcome.body)
            await stream.until(lambda outcome: len(outcome.body) > seen + 3)

            assert not stream.task.done()


async def test_the_servers_own_cancellation_stays_a_cancellation() -> None:
    async with a_deployment(endless) as deployment, connected(deployment.guard, deployment.scope("/s")) as stream:
        await stream.until(lambda outcome: outcome.body)
        stream.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stream.task


async def test_an_apps_own_error_stays_an_error() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    async with a_deployment(broken) as deployment:
        with pytest.raises(ValueError, match="broken"):
            await deployment.get("/")


async def test_messages_the_guard_does_not_know_are_not_passed() -> None:
    async def sneaky(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["extensions"] == {}
        await send({"type": "http.response.pathsend", "path": "/etc/passwd"})

    async with a_deployment(sneaky) as deployment:
        with pytest.raises(RuntimeError, match="passes no"):
            await deployment.get("/")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "headers": [(b"set-cookie", b"portal-app-forecast=x")]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        if message["text"] == "bye":
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "websocket.send", "text": message["text"]})


def socket(deployment: Deployment, **changes: str) -> Scope:
    headers = {"host": HOST, "origin": "https://forecast.apps.example.com", "cookie": deployment.cookie()}
    return websocket_scope("/ws", headers={**headers, **changes})


async def test_a_socket_is_open_to_the_apps_own_page_and_closed_by_a_push() -> None:
    async with a_deployment(echo) as deployment:
        deployment.portal.person("app-session-1")
        async with connected(deployment.guard, socket(deployment)) as connection:
            connection.give({"type": "websocket.receive", "text": "hi"})
            await connection.until(lambda outcome: len(outcome.messages) == 2)
            assert deployment.app.scopes[-1]["scheme"] == "wss"
            assert b"set-cookie" not in dict(connection.outcome.messages[0]["headers"])

            await deployment.push(deployment.logout_token())
            outcome = await connection.finish()

        assert outcome.messages[-1] == {"type": "websocket.close", "code": 4401, "reason": "signed out"}


async def test_a_socket_that_closes_by_itself_is_closed_once() -> None:
    async with a_deployment(echo) as deployment:
        deployment.portal.person("app-session-1")
        async with connected(deployment.guard, socket(deployment)) as connection:
            connection.give({"type": "websocket.receive", "text": "bye"})
            outcome = await connection.finish()

        assert outcome.messages[-1]["code"] == 1000


async def test_a_stubborn_socket_is_closed_over_its_head() -> None:
    async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        for _ in range(3000):
            with contextlib.suppress(BaseException):
                await asyncio.sleep(0.001)

    async with a_deployment(deaf) as deployment:
        deployment.portal.person("app-session-1")
        async with connected(deployment.guard, socket(deployment)) as connection:
            await connection.until(lambda outcome: outcome.messages)
            await deployment.push(deployment.logout_token())
            await connection.until(lambda outcome: outcome.complete)
            outcome = await connection.finish(seconds=60)

        assert outcome.messages[-1]["code"] == 4401


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cookie": ""}, 4401),
        ({"cookie": "__Host-portal-app-forecast=app-session-1.forged"}, 4401),
        ({"origin": "https://evil.test"}, 4403),
        ({"origin": "null"}, 4403),
        ({"host": "evil.test"}, 4403),
        ({"sec-fetch-site": "same-site"}, 4403),
    ],
)
async def test_a_socket_is_closed_before_it_opens(changes: dict[str, str], code: int) -> None:
    async with a_deployment(echo) as deployment:
        deployment.portal.person("app-session-1")
        outcome = await drive(deployment.guard, socket(deployment, **changes))

        assert [{"type": "websocket.close", "code": code, "reason": ""}] == outcome.messages
        assert deployment.app.scopes == []


async def test_a_socket_waits_for_the_portal_and_for_the_app() -> None:
    async with a_deployment(echo) as deployment:
        deployment.portal.away = True
        assert (await drive(deployment.guard, socket(deployment))).messages[0]["code"] == 1013
    async with a_deployment(echo, state=lambda: "starting") as deployment:
        deployment.portal.person("app-session-1")
        assert (await drive(deployment.guard, socket(deployment))).messages[0]["code"] == 1013


async def test_the_guards_own_paths_have_no_sockets() -> None:
    async with a_deployment(echo) as deployment:
        deployment.portal.person("app-session-1")
        scope = {**socket(deployment), "path": "/.portal/session"}

        assert (await drive(deployment.guard, scope)).messages[0]["code"] == 4403


async def test_a_session_that_ends_between_look_up_and_start_is_cut() -> None:
    async with a_deployment(endless) as deployment:
        await deployment.push(deployment.logout_token("another"))
        session = await deployment.guard._sessions.find("app-session-1") if deployment.signed_in() else None
        assert session is not None
        deployment.guard._sessions.end("app-session-1")

        from gradio_apps.runtime.guard.headers import AnswerHeaders
        from gradio_apps.runtime.guard.running_requests import RunningRequest

        async def work() -> None:
            running = RunningRequest(lambda _: asyncio.sleep(0), answers=AnswerHeaders(deployment.settings))
            deployment.guard._sessions.begin(session, running)
            running.cut()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            assert running.cut_off
            await running.conclude()

        await asyncio.create_task(work())


async def test_unknown_connections_are_not_let_through() -> None:
    async with a_deployment() as deployment:
        with pytest.raises(RuntimeError, match="lets no 'telnet'"):
            await deployment.guard({"type": "telnet"}, None, None)  # type: ignore[arg-type]  # never called


async def test_lifespan_reaches_the_app_and_closes_the_guard() -> None:
    async with a_deployment() as deployment:
        deployment.signed_in()
        await deployment.get("/")
        messages: list[Message] = []
        incoming = iter(("lifespan.startup", "lifespan.shutdown"))

        async def receive() -> Message:
            return {"type": next(incoming)}

        async def send(message: Message) -> None:
            messages.append(message)
            # A server that is notified of the end waits for nothing more, and cancels what is left.
            open_to_portal.append(deployment.guard._client._client is not None)

        open_to_portal: list[bool] = []
        await deployment.guard({"type": "lifespan"}, receive, send)

        assert [one["type"] for one in messages] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert open_to_portal == [True, False]


async def test_a_lifespan_that_breaks_off_closes_the_guard_too() -> None:
    async with a_deployment() as deployment:
        deployment.signed_in()
        await deployment.get("/")

        async def receive() -> Message:
            raise asyncio.CancelledError

        async def send(_message: Message) -> None:
            """Nobody listens."""

        with pytest.raises(asyncio.CancelledError):
            await deployment.guard({"type": "lifespan"}, receive, send)
        assert deployment.guard._client._client is None


async def complaining(scope: Scope, receive: Receive, send: Send) -> None:
    """As Gradio's event stream: what it makes of its cancellation goes to the browser."""
    await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
    try:
        while True:
            await send(CHUNK)
            await asyncio.sleep(0.001)
    except BaseException as error:
        await send({"type": "http.response.body", "body": f"Cancelled via {error!r}".encode(), "more_body": True})
        raise


async def quiet_so_far(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(600)


class TestStop:
    """The server cancels what still runs when the process is to end."""

    @pytest.mark.parametrize(
        ("path", "last"),
        [
            (
                "/gradio_api/queue/data?session_hash=h",
                "data: "
                + json.dumps(
                    {"msg": "unexpected_error", "message": STOPPED, "success": False, "session_not_found": False}
                ),
            ),
            ("/gradio_api/call/x/e", f"event: error\ndata: {json.dumps(STOPPED)}"),
        ],
    )
    async def test_a_stream_of_events_says_it_last(self, path: str, last: str) -> None:
        async with a_deployment(complaining) as deployment:
            deployment.guard._ownership._bindings.issued(IdKind.EVENT, "e", Owner(a_person().subject, "acme"))
            async with connected(deployment.guard, deployment.scope(path)) as stream:
                await stream.until(lambda outcome: len(outcome.body) > 3)
                deployment.guard.work.stop()
                stream.task.cancel()
                outcome = await stream.finish()

        assert outcome.complete
        assert outcome.text.lstrip("x") == f"{last}\n\n"

    async def test_who_has_no_answer_yet_gets_one(self) -> None:
        async with (
            a_deployment(quiet_so_far) as deployment,
            connected(deployment.guard, deployment.scope("/slow")) as request,
        ):
            while not deployment.app.scopes:
                await asyncio.sleep(0)
            deployment.guard.work.stop()
            request.task.cancel()
            outcome = await request.finish()

        assert (outcome.status, json.loads(outcome.body)) == (503, {"detail": STOPPED})
        assert outcome.header("retry-after") == "5"

    async def test_an_answer_under_way_stays_broken_off(self) -> None:
        async with (
            a_deployment(complaining) as deployment,
            connected(deployment.guard, deployment.scope("/own")) as stream,
        ):
            await stream.until(lambda outcome: len(outcome.body) > 3)
            deployment.guard.work.stop()
            stream.task.cancel()
            outcome = await stream.finish()

        assert not outcome.complete
        assert outcome.text.strip("x") == ""

    async def test_what_is_cancelled_for_another_reason_is_the_apps_affair(self) -> None:
        async with (
            a_deployment(complaining) as deployment,
            connected(deployment.guard, deployment.scope("/own")) as stream,
        ):
            await stream.until(lambda outcome: len(outcome.body) > 3)
            stream.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stream.task

        assert "Cancelled via" in stream.outcome.text
