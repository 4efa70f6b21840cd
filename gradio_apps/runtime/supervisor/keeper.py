"""Keeping one app: start, watch, start again, and do what its operator asks."""

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from gradio_apps.runtime.progress import spoken
from gradio_apps.runtime.supervisor.child import Child, command_for
from gradio_apps.runtime.supervisor.document import Plan
from gradio_apps.runtime.supervisor.environment import environment_of
from gradio_apps.runtime.supervisor.events import Event, Report
from gradio_apps.runtime.supervisor.health import state_of
from gradio_apps.runtime.supervisor.history import remember_start, usual_start
from gradio_apps.runtime.supervisor.logs import last_line_of, note, open_log, rotate
from gradio_apps.runtime.supervisor.memory import exceeds, used_by
from gradio_apps.runtime.supervisor.reasons import reason_of, size
from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD, Record, after_end
from gradio_apps.runtime.supervisor.resting import resting
from gradio_apps.runtime.supervisor.sockets import Listening
from gradio_apps.runtime.supervisor.standing import Order, Standing, State

GRACE: Final = 3.0
"""Seconds between asking a process to end and making it."""
MARGIN: Final = 5.0
"""Seconds past its time to come up that an app's process has to say so itself."""
_TICK: Final = 0.1
_ROTATE_EVERY: Final = 50
"""Ticks between two looks at the size of the log."""
_WEIGH_EVERY: Final = 10
"""Ticks between two looks at the memory in use, where it is limited."""
_ASK_EVERY: Final = 0.25
"""Seconds between two questions to an app that starts."""


class Keeper:
    """Keeps the processes of one app, one after the other."""

    def __init__(
        self,
        listening: Listening,
        *,
        plan: Plan,
        outer: Mapping[str, str],
        report: Report,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._listening = listening
        self._app = listening.app
        self._plan = plan
        self._outer = outer
        self._report = report
        self._command = command or command_for(listening.app.python)
        self._standing = Standing(state="starting", since=time.monotonic())
        self._cause: str | None = None
        """Why we ended the process ourselves."""
        self._stopped = False
        self._ordered = asyncio.Event()

    def order(self, order: Order) -> None:
        """Do what an operator asks, soon; starting what runs and stopping what is stopped change nothing."""
        self._report(Event.ORDERED, app=self._app.slug, order=order)
        idle = self._stopped or self._standing.state == "crashed"
        if order == "restart" or (order == "start" and idle) or (order == "stop" and not self._stopped):
            self._stopped = order == "stop"
            self._ordered.set()

    def described(self) -> dict[str, object]:
        """Return how the app stands, as the control protocol has it."""
        app, pid = self._app, self._standing.pid
        return {
            "app": app.slug,
            "title": app.title,
            **self._standing.described(time.monotonic()),
            "memory": None if pid is None else used_by(pid),
            "memory_limit": app.memory,
            "usual_start": self._usual(),
            "start_timeout": app.start_timeout,
            "port": self._listening.port,
            "last_line": last_line_of(app.log, hidden=app.hidden),
        }

    async def run(self) -> None:
        """Keep the app running until cancelled; then end its process."""
        record = Record()
        while True:
            self._ordered.clear()
            if self._stopped:
                await self._rest()
            since = time.monotonic()
            code, problem = None, None
            self._cause = None
            try:
                code = await self._live(self._start(record), record)
            except OSError as error:  # no such folder, no room for a log: the other apps go on
                problem = error.strerror
            if self._ordered.is_set():
                record = Record()
                continue
            restart = after_end(record, life=time.monotonic() - since, waited=code == FAILED_TO_LOAD)
            record = restart.record
            reason = self._cause or reason_of(code, problem=problem, last=self._last_line())
            self._report(
                Event.APP_CRASHED, app=self._app.slug, code=code, problem=problem, reason=reason, pause=restart.wait
            )
            self._enter("crashed", reason=reason, pause=restart.wait)
            with suppress(TimeoutError):
                async with asyncio.timeout(restart.wait):
                    await self._ordered.wait()
                    record = Record()

    async def _rest(self) -> None:
        """Stay stopped until an operator says otherwise."""
        self._enter("stopped")
        self._report(Event.APP_STOPPED, app=self._app.slug)
        async with resting(self._listening.socket):
            while self._stopped:
                await self._ordered.wait()
                self._ordered.clear()

    async def _live(self, child: Child, record: Record) -> int:
        """See *child* through its life; return its exit code."""
        watching = asyncio.create_task(self._watch(child, record))
        try:
            return await self._end_of(child)
        except asyncio.CancelledError:
            await self._stop(child)
            raise
        finally:
            watching.cancel()
            child.kill_group()  # what it started goes with it

    def _start(self, record: Record) -> Child:
        log = open_log(self._app.log)
        try:
            child = Child(
                self._app,
                sock=self._listening.socket,
                log=log,
                environment=environment_of(
                    self._app, plan=self._plan, outer=self._outer, pause=record.pause, usual=self._usual()
                ),
                command=self._command,
            )
        finally:
            os.close(log)
        self._enter("starting", pid=child.pid, starts=self._standing.starts + 1)
        self._report(Event.APP_STARTED, app=self._app.slug, pid=child.pid, port=self._listening.port)
        return child

    async def _end_of(self, child: Child) -> int:
        ticks = 0
        while (code := child.ended()) is None:
            if self._ordered.is_set():
                await self._stop(child)
                child.kill_group()
                continue
            await asyncio.sleep(_TICK)
            ticks += 1
            if ticks % _ROTATE_EVERY == 0:
                with suppress(OSError):  # a full disk must not cost the app its keeper
                    rotate(self._app.log)
            if ticks % _WEIGH_EVERY == 0:
                self._weigh(child)
            self._hurry(child)
        return code

    def _weigh(self, child: Child) -> None:
        """End *child* if it uses more memory than it may; at once, for the machine's sake."""
        limit = self._app.memory
        used = None if limit is None else exceeds(child.pid, limit)
        if used is None or limit is None:
            return
        self._report(Event.APP_OVER_MEMORY, app=self._app.slug, pid=child.pid, used=used, limit=limit)
        self._end_with(child, f"It used {size(used)} of memory, more than its limit of {size(limit)}.")

    def _hurry(self, child: Child) -> None:
        """End *child* if its time to come up is over and it was too stuck to say so itself."""
        allowed = self._app.start_timeout
        if self._standing.state == "starting" and time.monotonic() - self._standing.since > allowed + MARGIN:
            self._end_with(child, f"It did not come up within {spoken(allowed)}.")

    def _end_with(self, child: Child, cause: str) -> None:
        if self._cause is None:
            self._cause = cause
            with suppress(OSError):
                note(self._app.log, f"The supervisor ended the app. {cause}")
            child.kill_group()

    async def _watch(self, child: Child, record: Record) -> None:
        """Ask the app how it is until it is running, or says that it will not be."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._app.host, self._app.host)  # noqa: S104  asked, not bound
        since = time.monotonic()
        while True:
            state = await state_of(self._app.url, host=host, port=self._listening.port)
            if state == "running":
                if self._app.history is not None:
                    remember_start(self._app.history, time.monotonic() - since)
                self._enter("running", pid=child.pid)
                self._report(Event.APP_READY, app=self._app.slug, pid=child.pid)
                return
            if state == "failed":
                self._enter(
                    "crashed",
                    pid=child.pid,
                    reason=reason_of(FAILED_TO_LOAD, problem=None, last=self._last_line()),
                    pause=record.pause,
                )
                self._report(Event.APP_FAILED, app=self._app.slug, pid=child.pid, log=str(self._app.log))
                return
            await asyncio.sleep(_ASK_EVERY)

    def _enter(
        self,
        state: State,
        *,
        pid: int | None = None,
        starts: int | None = None,
        reason: str | None = None,
        pause: float | None = None,
    ) -> None:
        now = time.monotonic()
        self._standing = Standing(
            state=state,
            since=now,
            pid=pid,
            starts=self._standing.starts if starts is None else starts,
            reason=reason,
            next_start=None if pause is None else now + pause,
        )

    def _usual(self) -> float | None:
        return None if self._app.history is None else usual_start(self._app.history)

    def _last_line(self) -> str:
        return last_line_of(self._app.log, hidden=self._app.hidden)

    async def _stop(self, child: Child) -> None:
        child.terminate()
        until = time.monotonic() + GRACE
        while child.ended() is None and time.monotonic() < until:  # noqa: ASYNC110  a process sets no event
            await asyncio.sleep(_TICK / 2)
