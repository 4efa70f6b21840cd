"""An app in its own event loop, called from another."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from gradio_apps.runtime.host.bridge import in_loop
from tests.asgi import connected, drive, http_scope

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class App:
    """Answers with its thread and the body; waits first, if asked to."""

    def __init__(self) -> None:
        self.thread = 0
        self.wait = False
        self.waiting = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.thread = threading.get_ident()
        message = await receive()
        if self.wait:
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})


async def test_a_request_runs_where_the_app_belongs(loop: asyncio.AbstractEventLoop) -> None:
    app = App()
    outcome = await drive(in_loop(app, loop), http_scope("/"), body=b"over there")

    assert (outcome.status, outcome.body) == (200, b"over there")
    assert threading.get_ident() != app.thread


async def test_in_its_own_loop_it_is_called_at_once() -> None:
    app = App()
    outcome = await drive(in_loop(app, asyncio.get_running_loop()), http_scope("/"), body=b"here")

    assert outcome.body == b"here"


async def test_cancelling_reaches_the_app(loop: asyncio.AbstractEventLoop) -> None:
    """
    The guard cancels what runs for a session that ended; the app's task must not go on.
    """
    app = App()
    app.wait = True
    async with connected(in_loop(app, loop), http_scope("/")):
        await asyncio.to_thread(app.waiting.wait)
    assert await asyncio.to_thread(app.cancelled.wait, 20)


async def test_an_error_comes_back(loop: asyncio.AbstractEventLoop) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("broken over there")

    with pytest.raises(ValueError, match="broken over there"):
        await drive(in_loop(broken, loop), http_scope("/"))


async def test_a_loop_that_ends_meanwhile_is_a_lost_connection(loop: asyncio.AbstractEventLoop) -> None:
    app = App()
    app.wait = True
    async with connected(in_loop(app, loop), http_scope("/")) as connection:
        await asyncio.to_thread(app.waiting.wait)
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        with pytest.raises(ConnectionError):
            await connection.finish()


async def test_a_loop_that_has_ended_is_a_lost_connection() -> None:
    gone = asyncio.new_event_loop()
    gone.close()

    with pytest.raises(ConnectionError):
        await drive(in_loop(App(), gone), http_scope("/"))
