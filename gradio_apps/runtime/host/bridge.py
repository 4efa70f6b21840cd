"""Calls an ASGI app in its own event loop, from another one.

An app that serves itself with ``await uvicorn.Server(config).serve()`` has locks, queues and connections of its own
loop; its requests must run there, while the guard runs in the server's loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

T = TypeVar("T")


def in_loop(
    app: ASGIApp, loop: asyncio.AbstractEventLoop
) -> Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]:
    """Return an ASGI app that may be called from any loop and runs *app* in *loop*.

    Cancelling the call cancels the app's task; a loop that has ended raises ``ConnectionError``.
    """

    async def bridged(scope: Scope, receive: Receive, send: Send) -> None:
        here = asyncio.get_running_loop()
        if here is loop:
            await app(scope, receive, send)
            return

        async def receive_there() -> Message:
            return await _call(receive(), here)

        async def send_there(message: Message) -> None:
            await _call(send(message), here)

        async def run() -> None:
            await app(scope, receive_there, send_there)

        await _call(run(), loop)

    bridged.__wrapped__ = app  # type: ignore[attr-defined]  # as functools.wraps has it
    return bridged


async def _call(pending: Awaitable[T], loop: asyncio.AbstractEventLoop) -> T:
    work = _coroutine(pending)
    if loop.is_closed():
        work.close()
        raise ConnectionError("the app's event loop has ended")
    there = asyncio.run_coroutine_threadsafe(work, loop)
    waiting = asyncio.wrap_future(there)
    try:
        return await waiting
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            # This call was not cancelled, but the work over there: its loop is ending.
            raise ConnectionError("the app's event loop has ended") from None
        raise


async def _awaited(pending: Awaitable[T]) -> T:
    return await pending


def _coroutine(pending: Awaitable[T]) -> Coroutine[Any, Any, T]:
    # ``receive`` and ``send`` return an awaitable, and ``run_coroutine_threadsafe`` needs a coroutine.
    return pending if asyncio.iscoroutine(pending) else _awaited(pending)
