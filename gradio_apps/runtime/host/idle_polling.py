"""Letting Gradio's queue rest while nothing happens in it.

Gradio 6 looks for events a thousand times a second, whether anybody is there or not: an app that nobody uses takes
several per cent of a core, and a portal has many such apps.  Here it looks as often while events come and go, and
seldom afterwards.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

AWAKE: Final = 1.0
"""How long a queue looks as often as Gradio says after something changed in it, in seconds."""


@dataclass(slots=True)
class _State:
    said: float
    seen: tuple[int, int] = (0, 0)
    since: float = 0.0


class IdlePause:
    """A pause between two looks of a ``gradio.queueing.Queue``, in the place of its attribute *name*.

    It is what Gradio set, and *rest* (seconds) where that is longer and nothing changed for :data:`AWAKE`.
    *clock* returns seconds that only grow.
    """

    def __init__(self, name: str, rest: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = f"_portal_{name}"
        self._rest = rest
        self._clock = clock

    def __set__(self, queue: Any, said: float) -> None:
        vars(queue)[self._key] = _State(said, since=self._clock())

    def __get__(self, queue: Any, _owner: type[Any] | None = None) -> Any:
        if queue is None:
            return self
        state: _State = vars(queue)[self._key]
        seen = (len(queue), sum(job is not None for job in queue.active_jobs))
        now = self._clock()
        if seen != state.seen:
            state.seen, state.since = seen, now
        return state.said if now - state.since < AWAKE else max(state.said, self._rest)
