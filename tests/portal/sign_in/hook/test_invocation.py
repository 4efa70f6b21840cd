import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from portal.sign_in.hook.invocation import HookCaller, HookTooSlow

SHORT = 0.2


@contextmanager
def hanging() -> Iterator[Callable[[], object]]:
    """Yield a function that does not return before the test is over."""
    over = threading.Event()
    try:
        yield lambda: over.wait(60)
    finally:
        over.set()


def test_it_returns_what_the_function_returns() -> None:
    assert HookCaller(limit=60).call(lambda a, b: (b, a), (1, 2)) == (2, 1)


def test_it_awaits_what_can_be_awaited_in_a_loop_of_its_own() -> None:
    async def hook(name: str) -> str:
        await asyncio.sleep(0)
        return f"admitted {name}"

    calls = HookCaller(limit=60)

    assert [calls.call(hook, (name,)) for name in ("ana", "ada")] == ["admitted ana", "admitted ada"]


def test_a_function_may_run_a_loop_itself() -> None:
    async def later() -> int:
        return 7

    assert HookCaller(limit=60).call(lambda: asyncio.run(later()), ()) == 7


@pytest.mark.parametrize("error", [KeyError("hd"), TimeoutError("its own"), SystemExit(3)], ids=repr)
def test_it_raises_what_the_function_raises(error: BaseException) -> None:
    def hook() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        HookCaller(limit=60).call(hook, ())
    assert caught.value is error


def test_one_that_hangs_is_given_up() -> None:
    with hanging() as hook, pytest.raises(HookTooSlow, match=r"within 0\.2 seconds"):
        HookCaller(limit=SHORT).call(hook, ())


def test_one_that_waits_for_ever_is_given_up_and_ended() -> None:
    ended = threading.Event()

    async def hook() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises((HookTooSlow, TimeoutError)):
        HookCaller(limit=SHORT).call(hook, ())
    assert ended.wait(60)


def test_what_hangs_takes_no_more_than_its_places() -> None:
    calls = HookCaller(limit=SHORT, most=2)
    with hanging() as hook:
        for _ in range(2):
            with pytest.raises(HookTooSlow, match="seconds"):
                calls.call(hook, ())
        with pytest.raises(HookTooSlow, match="2 calls of it are still running"):
            calls.call(hook, ())
    for thread in [one for one in threading.enumerate() if one.name == "sign-in hook"]:
        thread.join(60)

    assert HookCaller(limit=60, most=2).call(int, ()) == 0
    assert calls.call(int, ()) == 0


def test_nothing_of_a_call_keeps_the_process_from_ending() -> None:
    with hanging() as hook:
        with pytest.raises(HookTooSlow):
            HookCaller(limit=SHORT).call(hook, ())
        running = [one for one in threading.enumerate() if one.name == "sign-in hook"]

        assert running
        assert all(one.daemon for one in running)
