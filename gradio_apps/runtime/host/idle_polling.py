"""Idle polling: Gradio's queue polls less often while nothing happens.

Gradio 6 polls its queue a thousand times a second, even if nobody uses the app, which takes several per cent of a
core.  Here it polls at that rate only while events arrive.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

AWAKE: Final = 1.0
"""Seconds after the last change in which a queue polls at Gradio's own rate."""


@dataclass(slots=True)
class _State:
    pause: float
    size: tuple[int, int] = (0, 0)
    since: float = 0.0


class IdlePause:
    """The pause between two polls of a ``gradio.queueing.Queue``, in seconds; replaces its attribute *name*.

    It is the value that Gradio set, or *rest* if that is longer and nothing changed for :data:`AWAKE`.  *clock* is a
    monotonic clock.
    """

    def __init__(self, name: str, rest: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = f"_portal_{name}"
        self._rest = rest
        self._clock = clock

    def __set__(self, queue: Any, pause: float) -> None:
        vars(queue)[self._key] = _State(pause, since=self._clock())

    def __get__(self, queue: Any, _owner: type[Any] | None = None) -> Any:
        if queue is None:
            return self
        state: _State = vars(queue)[self._key]
        size = (len(queue), sum(job is not None for job in queue.active_jobs))
        now = self._clock()
        if size != state.size:
            state.size, state.since = size, now
        return state.pause if now - state.since < AWAKE else max(state.pause, self._rest)
