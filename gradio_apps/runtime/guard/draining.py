"""What is under way in one process of an app, and how it hands over to the next.

Two processes share the app's address while one replaces the other, and Gradio's queue lives in the memory
of one of them: who joined it here must read the answer here.  So a process leaves at a moment when nobody
is between the two, begins no event any more that its successor could take, and its successor begins none
whose answer would be waited for in the process before.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from gradio_apps.runtime.channel import MAX_SESSIONS
from gradio_apps.runtime.guard.running_requests import RunningRequest
from portal.contract.supervisor_messages import WorkKind

PATIENCE: Final = 3.0
"""Seconds after which an event that nobody listens to does not count any more: a browser comes at once."""

Place = Literal["here", "next", "before"]
"""Where an event is to be begun: here, in the process that follows, or not yet, for the one before is at it."""


class RunningWork:
    """What runs in this process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: set[RunningRequest] = set()
        self._listening: Counter[str] = Counter()
        self._joining = 0
        self._unheard: dict[str, tuple[Sequence[str], float]] = {}
        """Events that were begun and that nobody listens to yet: their Gradio sessions, and since when."""
        self._elsewhere: frozenset[str] = frozenset()
        self._leaving = False
        self.stopping = False
        """Whether the process is to end."""

    @property
    def busy(self) -> bool:
        """Whether anything runs that somebody waits for; an open page is nothing of that kind."""
        return any(not running.idle for running in self._running)

    @property
    def quiet(self) -> bool:
        """Whether nobody is between joining the queue and listening to it."""
        until = self._clock() - PATIENCE
        return self._joining == 0 and not any(since > until for _, since in self._unheard.values())

    @property
    def listening(self) -> tuple[str, ...]:
        """Gradio sessions with an event stream open here."""
        return tuple(sorted(self._listening))[:MAX_SESSIONS]

    def open(self) -> dict[WorkKind, int]:
        """Return how much is under way, by kind."""
        return dict(Counter(running.kind for running in self._running))

    def leave(self) -> None:
        """Begin no event any more that somebody else could take."""
        self._leaving = True

    def stop(self) -> None:
        """Note that the process is to end: that is why requests are cancelled from now on."""
        self.stopping = True

    def elsewhere(self, sessions: Sequence[str]) -> None:
        """Note which Gradio sessions have their event stream in the process before this one."""
        self._elsewhere = frozenset(sessions)

    def place_of(self, sessions: Sequence[str]) -> Place:
        """Return where an event of these Gradio sessions is to be begun."""
        # A page with a stream open takes every answer from there, and opens no second one.
        if any(one in self._listening for one in sessions):
            return "here"
        if self._leaving:
            return "next"
        return "before" if any(one in self._elsewhere for one in sessions) else "here"

    @contextmanager
    def doing(self, running: RunningRequest) -> Iterator[None]:
        """Count *running* as long as the block lasts."""
        self._running.add(running)
        try:
            yield
        finally:
            self._running.discard(running)

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Note that an event is being begun."""
        self._joining += 1
        try:
            yield
        finally:
            self._joining -= 1

    def issued(self, event: str, sessions: Sequence[str]) -> None:
        """Note that the app made *event* for the Gradio session of *sessions*, or else for one of its own name."""
        sessions = sessions or (event,)
        if any(one in self._listening for one in sessions):
            return
        until = self._clock() - PATIENCE
        self._unheard = {one: kept for one, kept in self._unheard.items() if kept[1] > until}
        self._unheard[event] = (sessions, self._clock())

    @contextmanager
    def hearing(self, names: Sequence[str]) -> Iterator[None]:
        """Note that somebody listens to *names*, Gradio sessions or events, as long as the block lasts."""
        self._unheard = {
            event: kept
            for event, kept in self._unheard.items()
            if event not in names and not any(one in names for one in kept[0])
        }
        self._listening.update(names)
        try:
            yield
        finally:
            self._listening.subtract(names)
            self._listening = +self._listening
