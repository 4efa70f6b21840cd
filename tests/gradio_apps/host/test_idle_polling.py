"""Gradio's queue rests while nothing happens in it, and is as quick as ever while something does."""

import inspect
from typing import Any

import pytest
from gradio.queueing import Queue

from gradio_apps.runtime.host.idle_polling import AWAKE, IdlePause
from tests.gradio_apps.host.test_gradio_internals import MINOR

SAID, REST = 0.001, 0.05


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Any:
    """What a queue has to be, with the pause in the place of its attribute; it started a while ago."""

    class Queue:
        sleep_when_free = IdlePause("sleep_when_free", REST, clock=clock)

        def __init__(self) -> None:
            self.waiting: list[object] = []
            self.active_jobs: list[object] = [None, None]
            self.sleep_when_free = SAID

        def __len__(self) -> int:
            return len(self.waiting)

    queue = Queue()
    clock.now += AWAKE
    return queue


def test_a_queue_that_nothing_happens_in_rests(queue: Any) -> None:
    assert queue.sleep_when_free == REST


def test_it_is_awake_when_it_has_just_started(queue: Any, clock: Clock) -> None:
    queue.sleep_when_free = SAID
    assert queue.sleep_when_free == SAID
    clock.now += AWAKE
    assert queue.sleep_when_free == REST


@pytest.mark.parametrize("happens", ["an event waits", "an event runs"])
def test_it_is_awake_while_events_come_and_go_and_a_moment_longer(queue: Any, clock: Clock, happens: str) -> None:
    if happens == "an event waits":
        queue.waiting.append(object())
    else:
        queue.active_jobs[0] = object()
    assert queue.sleep_when_free == SAID
    clock.now += AWAKE - 0.01
    assert queue.sleep_when_free == SAID

    # Something that takes its time is looked at seldom; that it is over is seen.
    clock.now += 0.01
    assert queue.sleep_when_free == REST
    queue.waiting.clear()
    queue.active_jobs[0] = None
    assert queue.sleep_when_free == SAID


def test_nobody_who_rests_longer_is_woken(queue: Any) -> None:
    queue.sleep_when_free = REST * 2

    assert queue.sleep_when_free == REST * 2


@pytest.mark.parametrize("path", sorted(MINOR.pauses))
def test_gradio_still_pauses_by_what_is_replaced(path: str) -> None:
    name = path.rpartition(".")[2]
    set_up = inspect.getsource(Queue.__init__)
    looks = inspect.getsource(Queue.start_processing) + inspect.getsource(Queue.start_progress_updates)

    assert f"self.{name} = " in set_up
    assert f"await asyncio.sleep(self.{name})" in looks
    assert "self.active_jobs: list[None | list[Event]]" in set_up
