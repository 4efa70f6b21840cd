"""Calls the company's function: sync or async, for a limited time, in a thread of its own.

A thread cannot be ended from outside.  One that hangs keeps running, as a daemon, and counts towards a limit: a hook
that always hangs refuses everyone, but does not fill the process's memory.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

LIMIT: Final = 10.0
"""Seconds the hook may take."""
MOST_AT_ONCE: Final = 32
"""Most running calls of one process, including those that were given up."""


class HookTooSlow(Exception):
    """The hook did not answer in time, or too many of its calls are still running."""


class HookCaller:
    """Calls functions, each for :attr:`limit` seconds at most.  Safe to share between threads."""

    def __init__(self, *, limit: float = LIMIT, most: int = MOST_AT_ONCE) -> None:
        self._limit = limit
        self._slots = threading.BoundedSemaphore(most)
        self._most = most

    def call(self, function: Callable[..., object], arguments: tuple[object, ...]) -> object:
        """Return what *function* returns, awaited if need be in an event loop of this call's own.

        Raises:
            HookTooSlow: it takes longer than the limit, or too many calls are still running.
            BaseException: any exception of the function.
        """
        if not self._slots.acquire(blocking=False):
            raise HookTooSlow(f"{self._most} calls of it are still running")
        answer: Future[object] = Future()
        threading.Thread(target=self._run, args=(function, arguments, answer), name="sign-in hook", daemon=True).start()
        try:
            return answer.result(timeout=self._limit)
        except FutureTimeoutError:
            if answer.done():  # the function's own TimeoutError
                raise
            raise HookTooSlow(f"it did not answer within {self._limit:g} seconds") from None

    def _run(self, function: Callable[..., object], arguments: tuple[object, ...], answer: Future[object]) -> None:
        try:
            returned = function(*arguments)
            if inspect.isawaitable(returned):
                returned = asyncio.run(_awaited(returned, limit=self._limit))
            answer.set_result(returned)
        except BaseException as error:  # noqa: BLE001 - it is for the one who waits; also what means to end the process
            answer.set_exception(error)
        finally:
            self._slots.release()


async def _awaited(awaitable: Awaitable[object], *, limit: float) -> object:
    return await asyncio.wait_for(awaitable, limit)
