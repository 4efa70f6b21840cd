"""Keeping one app: start, watch, start again, put one process in the place of another, do what its operator asks."""

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any, Final

from gradio_apps.runtime.channel import Draining, End
from gradio_apps.runtime.supervisor.child import Child, command_for
from gradio_apps.runtime.supervisor.current_state import CurrentState
from gradio_apps.runtime.supervisor.descendants import Descendants
from gradio_apps.runtime.supervisor.document import AppPlan, Plan
from gradio_apps.runtime.supervisor.env_file import supplied
from gradio_apps.runtime.supervisor.environment import environment_of
from gradio_apps.runtime.supervisor.events import Event, Report
from gradio_apps.runtime.supervisor.history import remember_start, usual_start
from gradio_apps.runtime.supervisor.logs import last_line_of, open_log
from gradio_apps.runtime.supervisor.memory import used_by
from gradio_apps.runtime.supervisor.process_handle import ProcessHandle
from gradio_apps.runtime.supervisor.processes import Process
from gradio_apps.runtime.supervisor.reasons import reason_of
from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD, Record, Restart, after_end
from gradio_apps.runtime.supervisor.sockets import Listening
from gradio_apps.runtime.supervisor.stopped_app import Notice, resting
from portal.contract.supervisor_messages import Action, AppStatus, WorkKind

LONGEST_HOLD: Final = 10.0
"""Seconds that connections wait for an app that comes back after a crash; then its page says how far it is."""
LET_GO: Final = 10.0
"""Seconds that a process which is replaced has to take no more connections."""
_SAY_EVERY: Final = 1.0
_AGAIN: Final = 0.1
"""Seconds between two tries to take an address back."""
_TRIES: Final = 10
"""Tries after which it is given up that people are answered meanwhile."""


class ProcessManager:
    """Keeps the processes of one app: one that answers, at times one that comes up, and those that still leave."""

    def __init__(
        self,
        listening: Listening,
        *,
        plan: Plan,
        outer: Mapping[str, str],
        report: Report,
        descendants: Descendants,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._listening = listening
        self._app = listening.app
        self._plan = plan
        self._outer = outer
        self._report = report
        self._given_command = command
        self._descendants = descendants
        self._hidden: set[str] = set()
        """Whatever was secret in one of its starts: logs outlive a secret that was changed."""
        self._current = CurrentState(state="starting", since=time.monotonic())
        self._lives: set[ProcessHandle] = set()
        """Every process of this app that has not ended."""
        self._leaving: set[ProcessHandle] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._last_start: float | None = None
        self._stopped = False
        self._wanted: Action | None = None
        self._ordered = asyncio.Event()

    @property
    def listening(self) -> Listening:
        """The app as it was when its socket was opened, and the socket."""
        return self._listening

    @property
    def app(self) -> AppPlan:
        """The app as it is to be kept now."""
        return self._app

    def order(self, action: Action) -> None:
        """Do what an operator asks, soon; starting what runs and stopping what is stopped change nothing."""
        self._report(Event.ORDERED, app=self._app.slug, order=action)
        idle = self._stopped or self._current.state == "crashed"
        changes_nothing = (action == "start" and not idle) or (action == "stop" and self._stopped)
        if not changes_nothing:
            self._stopped = action == "stop"
            self._wanted = action
            self._ordered.set()

    def adopt(self, app: AppPlan, *, plan: Plan, replacing: bool) -> None:
        """Keep *app* of *plan* from now on; with *replacing* by a new process, where one runs."""
        self._app, self._plan = app, plan
        for life in self._lives:
            life.app = app
        if replacing and not self._stopped:
            self.order("restart")

    def status(self) -> AppStatus:
        """Return the app's status for operators."""
        app, current, now = self._app, self._current, time.monotonic()
        members = frozenset[Process]().union(*(life.child.members() for life in self._lives))
        counts: Counter[WorkKind] = Counter()
        for life in self._lives:
            counts.update(life.said.open)
        return AppStatus(
            app=app.slug,
            title=app.title,
            state=current.state,
            seconds=round(now - current.since, 1),
            pid=current.pid,
            memory=used_by(members),
            memory_limit=app.memory,
            restarts=max(0, current.starts - 1),
            reason=current.reason,
            pause=None if current.next_start is None else round(max(0.0, current.next_start - now), 1),
            replacing=current.replacing,
            leaving=len(self._leaving),
            failed_replacements=current.failed_replacements,
            problem=current.problem,
            open=dict(counts),
            last_start=self._last_start,
            usual_start=self._usual(),
            start_timeout=app.start_timeout,
            drain_timeout=app.drain_timeout,
            port=self._listening.port,
            last_line=self._last_line(),
        )

    async def run(self, *, taking_over: bool = False) -> None:
        """Keep the app running until cancelled; then end its processes.

        *taking_over* the address of another app, it first sees to it that nothing of that one listens there.
        """
        record, hold = Record(), 0.0
        try:
            if taking_over:
                for one in await self._take_back():
                    one.close()  # meant for the other app
            while True:
                self._ordered.clear()
                if self._stopped:
                    await self._rest()
                since, life, problem = time.monotonic(), None, None
                try:
                    life = self._start(record)
                except OSError as error:  # no such folder, no room for a log: the other apps go on
                    problem = error.strerror
                else:
                    life = await self._kept(life, hold=hold, record=record)
                    since = life.begun
                if self._ordered.is_set():
                    record, hold = Record(), 0.0
                    continue
                code = None if life is None else life.code
                restart = after_end(record, life=time.monotonic() - since, waited=code == FAILED_TO_LOAD)
                self._crashed(life, problem=problem, restart=restart)
                record, hold = restart.record, LONGEST_HOLD if life is not None and life.came_up else 0.0
                with suppress(TimeoutError):
                    async with asyncio.timeout(restart.wait):
                        await self._ordered.wait()
                        record = Record()
        finally:
            await self._end_all()

    async def _rest(self) -> None:
        """Stay stopped until an operator says otherwise."""
        await self._end_all()
        self._enter(CurrentState(state="stopped", since=time.monotonic()))
        self._report(Event.APP_STOPPED, app=self._app.slug)
        waiting = await self._take_back()
        notice = Notice(self._app.title, self._plan.portal_url, self._app.slug)
        async with resting(self._listening.socket, waiting, notice=notice):
            while self._stopped:
                await self._ordered.wait()
                self._ordered.clear()

    async def _take_back(self) -> tuple[socket.socket, ...]:
        """Have nobody listen at the app's address but the supervisor; return the connections that wait there."""
        for tries in count(1):
            try:
                self._listening, waiting = self._listening.exchanged()
            except OSError as error:
                if tries == _TRIES:  # better nobody answers than what is to be away
                    self._listening.shut()
                    problem = f"something keeps its address: {error.strerror}"
                    self._report(Event.APP_NOT_ENDED, app=self._app.slug, problem=problem)
                await asyncio.sleep(_AGAIN)
            else:
                break
        return waiting

    async def _kept(self, life: ProcessHandle, *, hold: float, record: Record) -> ProcessHandle:
        """See *life*, and what takes its place, until one ends or is ended by order; return that one."""
        self._enter(CurrentState(state="starting", since=life.begun, pid=life.pid))
        self._go_on(self._bring_up(life, hold=hold, record=record))
        while True:
            await self._order_or(life.wait())
            if not self._ordered.is_set():
                return life
            if self._wanted != "restart" or not life.is_up:
                await life.end(grace=self._plan.grace)
                return life
            self._ordered.clear()
            life = await self._replaced(life)

    async def _bring_up(self, life: ProcessHandle, *, hold: float, record: Record) -> None:
        """Let *life* take connections, now or once it is up, and note how its start went."""
        await life.until(lambda one: one.said.state != "starting", seconds=hold)
        life.accept()
        await life.until(lambda one: one.said.state != "starting")
        if life.is_up:
            self._up(life)
        elif life.code is None:
            since = time.monotonic()
            reason = life.said.problem or reason_of(FAILED_TO_LOAD, problem=None, last=self._last_line())
            self._enter(
                CurrentState(state="crashed", since=since, pid=life.pid, reason=reason, next_start=since + record.pause)
            )
            self._report(Event.APP_FAILED, app=self._app.slug, pid=life.pid, log=str(self._app.log))

    async def _replaced(self, old: ProcessHandle) -> ProcessHandle:
        """Put a new process in the place of *old*; return the one that answers then, *old* if the new is no good."""
        try:
            new = self._start(Record(pause=0))
        except OSError as error:
            self._not_replaced(f"It could not be started: {error.strerror}.")
            return old
        self._current = replace(self._current, replacing=True)
        try:
            return await self._the_better(old, new)
        finally:
            self._current = replace(self._current, replacing=False)

    async def _the_better(self, old: ProcessHandle, new: ProcessHandle) -> ProcessHandle:
        """Wait for *new* to come up, and return the process that answers from then on."""
        await self._order_or(self._settled(new, old))
        if old.code is not None:  # then better one that says that it starts than nobody
            self._crashed(old, problem=None, restart=None)
            self._enter(CurrentState(state="starting", since=new.begun, pid=new.pid))
            self._go_on(self._bring_up(new, hold=LONGEST_HOLD, record=Record()))
            return new
        if not new.is_up:
            reason = self._why(new)
            await new.end(grace=self._plan.grace)
            if not self._ordered.is_set():  # else somebody asked for something else meanwhile
                self._not_replaced(reason)
            return old
        await self._hand_over(old, new)
        return new

    async def _settled(self, new: ProcessHandle, old: ProcessHandle) -> None:
        while new.code is None and new.said.state == "starting" and old.code is None:
            await new.until(lambda one: one.said.state != "starting", seconds=1)

    async def _hand_over(self, old: ProcessHandle, new: ProcessHandle) -> None:
        """Have *old* take no more connections, and *new* all of them: never both at one time."""
        old.leave()
        if not await old.until(lambda one: not one.said.accepting, seconds=LET_GO) and old.code is None:
            old.end_with("It was replaced, and did not let go of its address.")
            await old.wait()
        new.tell(Draining(old.said.listening))
        new.accept()
        self._up(new)
        self._report(Event.APP_REPLACED, app=self._app.slug, pid=new.pid, before=old.pid)
        self._leaving.add(old)
        self._go_on(self._see_off(old))

    async def _see_off(self, old: ProcessHandle) -> None:
        """Tell the others what *old* is still at, until that one has ended."""
        since = time.monotonic()
        while old.code is None:
            sessions = tuple(sorted({one for life in self._leaving for one in life.said.listening}))
            for life in self._lives - self._leaving:
                life.tell(Draining(sessions))
            await _news_of(old)
        self._leaving.discard(old)
        if not self._leaving:
            for life in self._lives:
                life.tell(Draining(()))
        seconds = round(time.monotonic() - since, 1)
        self._report(Event.APP_LEFT, app=self._app.slug, pid=old.pid, seconds=seconds, problem=old.cause)

    def _start(self, record: Record) -> ProcessHandle:
        app = supplied(self._app)
        self._hidden.update(app.hidden)
        log = open_log(app.log)
        try:
            child = Child(
                app,
                sock=self._listening.socket,
                log=log,
                environment=environment_of(
                    app, plan=self._plan, outer=self._outer, pause=record.pause, usual=self._usual()
                ),
                command=self._given_command or command_for(self._app.python),
                descendants=self._descendants,
            )
        finally:
            os.close(log)
        life = ProcessHandle(
            child,
            app=self._app,
            report=self._report,
            on_ended=self._tell_the_others,
            on_gone=self._lives.discard,
        )
        self._lives.add(life)
        self._current = replace(self._current, starts=self._current.starts + 1)
        self._report(Event.APP_STARTED, app=self._app.slug, pid=child.pid, port=self._listening.port)
        return life

    def _tell_the_others(self, life: ProcessHandle, session: str) -> None:
        for other in self._lives - {life}:
            other.tell(End(session))

    def _up(self, life: ProcessHandle) -> None:
        self._last_start = round(time.monotonic() - life.begun, 1)
        if self._app.history is not None:
            remember_start(self._app.history, self._last_start)
        self._enter(CurrentState(state="running", since=time.monotonic(), pid=life.pid))
        self._report(Event.APP_READY, app=self._app.slug, pid=life.pid)

    def _crashed(self, life: ProcessHandle | None, *, problem: str | None, restart: Restart | None) -> None:
        """Note that *life* ended, or could not begin, and when the next one is started: now, without *restart*."""
        now, pause = time.monotonic(), 0.0 if restart is None else restart.wait
        code = None if life is None else life.code
        reason = reason_of(code, problem=problem, last=self._last_line()) if life is None else self._why(life)
        self._report(Event.APP_CRASHED, app=self._app.slug, code=code, problem=problem, reason=reason, pause=pause)
        self._enter(CurrentState(state="crashed", since=now, reason=reason, next_start=now + pause))

    def _why(self, life: ProcessHandle) -> str:
        said = life.said.problem if life.said.state == "failed" else ""
        code = FAILED_TO_LOAD if life.code is None else life.code
        return life.cause or said or reason_of(code, problem=None, last=self._last_line())

    def _not_replaced(self, reason: str) -> None:
        self._report(Event.APP_NOT_REPLACED, app=self._app.slug, reason=reason)
        failed = self._current.failed_replacements + 1
        self._current = replace(self._current, failed_replacements=failed, problem=reason)

    def _enter(self, state: CurrentState) -> None:
        """Take on *state*, with what is counted over all of them; a process that is up ends an old problem."""
        old = self._current
        self._current = replace(
            state,
            starts=old.starts,
            failed_replacements=old.failed_replacements,
            problem=None if state.state == "running" else old.problem,
        )

    async def _order_or(self, something: Any) -> None:
        """Wait until *something* is done, or an operator orders something."""
        waiting = [asyncio.ensure_future(something), asyncio.ensure_future(self._ordered.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _end_all(self) -> None:
        """End every process of this app, and what is done beside them."""
        await asyncio.gather(*(life.end(grace=self._plan.grace) for life in tuple(self._lives)))
        for task in tuple(self._beside):
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

    def _go_on(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _usual(self) -> float | None:
        return None if self._app.history is None else usual_start(self._app.history)

    def _last_line(self) -> str:
        if not self._hidden:  # before the first start: what to hide is not known
            return ""
        return last_line_of(self._app.log, hidden=self._hidden)


async def _news_of(life: ProcessHandle) -> None:
    """Wait until *life* says something, for a moment at most."""
    before = life.said
    await life.until(lambda one: one.said is not before, seconds=_SAY_EVERY)
