"""An answer kept for a moment: asked once however many want it, and never for long."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from portal.web.views.cached_answer import FRESH, STALE, CachedAnswer


class Asked:
    """Counts, and takes as long as it should."""

    def __init__(self) -> None:
        self.times = 0
        self.now = 100.0
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def __call__(self) -> int:
        self.times += 1
        self.begun.set()
        assert self.free.wait(60)
        return self.times

    def clock(self) -> float:
        return self.now


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_it_is_asked_again_when_it_is_no_longer_fresh(asked: Asked) -> None:
    kept = CachedAnswer(asked, clock=asked.clock)
    assert [kept.get(), kept.get()] == [1, 1]
    asked.now += FRESH - 0.01
    assert kept.get() == 1
    asked.now += 0.01
    assert kept.get() == 2


def test_a_crowd_asks_once(asked: Asked) -> None:
    kept = CachedAnswer(asked, clock=asked.clock)
    asked.free.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(kept.get) for _ in range(8)]
        assert asked.begun.wait(60)
        asked.free.set()

        assert {answer.result(60) for answer in answers} == {1}
    assert asked.times == 1


@pytest.mark.parametrize(("age", "waits"), [(FRESH, False), (STALE, True)])
def test_who_comes_while_somebody_asks_gets_the_last_one_unless_it_is_old(
    asked: Asked, age: float, *, waits: bool
) -> None:
    kept = CachedAnswer(asked, clock=asked.clock)
    kept.get()
    asked.now += age
    asked.begun.clear()
    asked.free.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get)
        assert asked.begun.wait(60)
        second = pool.submit(kept.get)
        if not waits:
            assert second.result(60) == 1
        asked.free.set()

        assert (first.result(60), second.result(60)) == (2, 2 if waits else 1)
    assert asked.times == 2


def test_a_failure_is_not_kept(asked: Asked) -> None:
    failures = [RuntimeError("away")]

    def failing() -> int:
        if failures:
            raise failures.pop()
        return asked()

    kept = CachedAnswer(failing, clock=asked.clock)
    with pytest.raises(RuntimeError, match="away"):
        kept.get()
    assert kept.get() == 1
