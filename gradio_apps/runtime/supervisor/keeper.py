"""Keeping one app: start, watch, start again."""

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from gradio_apps.runtime.supervisor.child import Child, serve_command
from gradio_apps.runtime.supervisor.document import Plan
from gradio_apps.runtime.supervisor.environment import environment_of
from gradio_apps.runtime.supervisor.events import Event, Report
from gradio_apps.runtime.supervisor.health import state_of
from gradio_apps.runtime.supervisor.logs import open_log, rotate
from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD, Record, after_end
from gradio_apps.runtime.supervisor.sockets import Listening

GRACE: Final = 3.0
"""Seconds between asking a process to end and making it."""
_TICK: Final = 0.1
_ROTATE_EVERY: Final = 50
"""Ticks between two looks at the size of the log."""
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
        self._command = command or serve_command()

    async def run(self) -> None:
        """Keep the app running until cancelled; then end its process."""
        record = Record()
        while True:
            since = time.monotonic()
            code, problem = None, None
            try:
                code = await self._live(self._start(record))
            except OSError as error:  # no such folder, no room for a log: the other apps go on
                problem = error.strerror
            restart = after_end(record, life=time.monotonic() - since, waited=code == FAILED_TO_LOAD)
            record = restart.record
            self._report(Event.APP_CRASHED, app=self._app.slug, code=code, problem=problem, pause=restart.wait)
            await asyncio.sleep(restart.wait)

    async def _live(self, child: Child) -> int:
        """See *child* through its life; return its exit code."""
        watching = asyncio.create_task(self._watch(child))
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
                environment=environment_of(self._app, plan=self._plan, outer=self._outer, pause=record.pause),
                command=self._command,
            )
        finally:
            os.close(log)
        self._report(Event.APP_STARTED, app=self._app.slug, pid=child.pid, port=self._listening.port)
        return child

    async def _end_of(self, child: Child) -> int:
        ticks = 0
        while (code := child.ended()) is None:
            await asyncio.sleep(_TICK)
            ticks += 1
            if ticks % _ROTATE_EVERY == 0:
                with suppress(OSError):  # a full disk must not cost the app its keeper
                    rotate(self._app.log)
        return code

    async def _watch(self, child: Child) -> None:
        """Ask the app how it is until it is running, or says that it will not be."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._app.host, self._app.host)  # noqa: S104  asked, not bound
        while True:
            state = await state_of(self._app.url, host=host, port=self._listening.port)
            if state == "running":
                self._report(Event.APP_READY, app=self._app.slug, pid=child.pid)
                return
            if state == "failed":
                self._report(Event.APP_FAILED, app=self._app.slug, pid=child.pid, log=str(self._app.log))
                return
            await asyncio.sleep(_ASK_EVERY)

    async def _stop(self, child: Child) -> None:
        child.terminate()
        until = time.monotonic() + GRACE
        while child.ended() is None and time.monotonic() < until:  # noqa: ASYNC110  a process sets no event
            await asyncio.sleep(_TICK / 2)
