"""Startup and shutdown of a captured app, whatever it makes of them."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from gradio_apps.runtime.host.lifespan import Lifespan, StartupFailed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Scripted:
    """An app that answers startup and shutdown with the given messages; an error is raised instead."""

    def __init__(self, *answers: Message | Exception | None) -> None:
        self.answers = answers
        self.heard: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for answer in self.answers:
            self.heard.append((await receive())["type"])
            scope["state"]["heard"] = len(self.heard)
            if isinstance(answer, Exception):
                raise answer
            if answer is None:
                return
            await send(answer)


STARTED: Message = {"type": "lifespan.startup.complete"}
STOPPED: Message = {"type": "lifespan.shutdown.complete"}


async def test_startup_then_shutdown() -> None:
    app = Scripted(STARTED, STOPPED)
    lifespan = Lifespan(app)
    await lifespan.start()
    assert lifespan.state == {"heard": 1}
    await lifespan.stop()
    await lifespan.stop()

    assert app.heard == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.parametrize("answer", [RuntimeError("no lifespan here"), None])
async def test_an_app_that_knows_no_lifespan_is_served(answer: Exception | None) -> None:
    lifespan = Lifespan(Scripted(answer))
    await lifespan.start()
    await lifespan.stop()


@pytest.mark.parametrize("why", [{}, {"message": "no database"}])
async def test_an_app_that_cannot_start_says_so(why: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StartupFailed):
        await Lifespan(Scripted({"type": "lifespan.startup.failed", **why})).start()
    assert why.get("message", "") in caplog.text


@pytest.mark.parametrize(
    "answer", [RuntimeError("at the end"), {"type": "lifespan.shutdown.failed"}, STOPPED, None], ids=str
)
async def test_a_shutdown_always_ends(answer: Message | Exception | None) -> None:
    lifespan = Lifespan(Scripted(STARTED, answer))
    await lifespan.start()
    await lifespan.stop()


async def test_stopping_what_never_started_does_nothing() -> None:
    await Lifespan(Scripted()).stop()


async def test_a_failure_after_startup_was_answered_changes_nothing() -> None:
    class Twice:
        async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send(STARTED)
            await send({"type": "lifespan.startup.failed"})
            await receive()

    lifespan = Lifespan(Twice())
    await lifespan.start()
    await lifespan.stop()
