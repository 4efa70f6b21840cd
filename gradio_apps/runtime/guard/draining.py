"""The work that runs in one process of an app, and how the process drains when another replaces it.

While two processes share the app's address, Gradio's queue is in the memory of each: an event that joined the queue
of one must be read there.  So a process leaves at a moment when nobody is between joining and reading, and then
starts only events whose stream is open here.  Its successor starts none whose stream is open in the old process.
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
"""Seconds after which an event without a listener does not count: a browser listens at once."""

ProcessChoice = Literal["here", "next", "before"]
"""Process that starts an event: this one, the next one, or none yet, because the one before still drains."""


class RunningWork:
    """The work that runs in this process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: set[RunningRequest] = set()
        self._listening: Counter[str] = Counter()
        self._joining = 0
        self._unheard: dict[str, tuple[Sequence[str], float]] = {}
        """Events that nobody listens to yet: their Gradio sessions, and when they were started."""
        self._draining: frozenset[str] = frozenset()
        self._leaving = False
        self.stopping = False
        """Whether the process is about to end."""

    @property
    def busy(self) -> bool:
        """Whether someone waits for running work; an open page does not count."""
        return any(not running.idle for running in self._running)

    @property
    def quiet(self) -> bool:
        """Whether every event that joined the queue has its listener."""
        until = self._clock() - PATIENCE
        return self._joining == 0 and not any(since > until for _, since in self._unheard.values())

    @property
    def listening(self) -> tuple[str, ...]:
        """Gradio sessions with an event stream open here."""
        return tuple(sorted(self._listening))[:MAX_SESSIONS]

    def open(self) -> dict[WorkKind, int]:
        """Return the number of open requests, by kind."""
        return dict(Counter(running.kind for running in self._running))

    def leave(self) -> None:
        """Start no more events that the next process can take."""
        self._leaving = True

    def stop(self) -> None:
        """Note that the process ends, which is why requests are cancelled from now on."""
        self.stopping = True

    def set_draining(self, sessions: Sequence[str]) -> None:
        """Note which Gradio sessions have their event stream in the draining process before this one."""
        self._draining = frozenset(sessions)

    def process_for(self, sessions: Sequence[str]) -> ProcessChoice:
        """Return which process starts an event of these Gradio sessions."""
        # A page with an open stream reads every answer there, and opens no second one.
        if any(one in self._listening for one in sessions):
            return "here"
        if self._leaving:
            return "next"
        return "before" if any(one in self._draining for one in sessions) else "here"

    @contextmanager
    def running(self, request: RunningRequest) -> Iterator[None]:
        """Count *request* as long as the block lasts."""
        self._running.add(request)
        try:
            yield
        finally:
            self._running.discard(request)

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Note that an event is joining the queue."""
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
        self._unheard = {one: entry for one, entry in self._unheard.items() if entry[1] > until}
        self._unheard[event] = (sessions, self._clock())

    @contextmanager
    def hearing(self, names: Sequence[str]) -> Iterator[None]:
        """Note that someone listens to *names*, Gradio sessions or events, as long as the block lasts."""
        self._unheard = {
            event: entry
            for event, entry in self._unheard.items()
            if event not in names and not any(one in names for one in entry[0])
        }
        self._listening.update(names)
        try:
            yield
        finally:
            self._listening.subtract(names)
            self._listening = +self._listening
