"""Runs one app: starts, watches, restarts and replaces its process, and follows the operator's orders."""

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

from gradio_apps.runtime.channel import Draining, EndSession
from gradio_apps.runtime.supervisor.child import Child, command_for
from gradio_apps.runtime.supervisor.current_state import CurrentState
from gradio_apps.runtime.supervisor.descendants import Descendants
from gradio_apps.runtime.supervisor.document import AppPlan, Plan
from gradio_apps.runtime.supervisor.env_file import with_env_file
from gradio_apps.runtime.supervisor.environment import environment_of
from gradio_apps.runtime.supervisor.events import Report, SupervisorEvent
from gradio_apps.runtime.supervisor.history import remember_start, usual_start
from gradio_apps.runtime.supervisor.logs import last_line_of, open_log
from gradio_apps.runtime.supervisor.memory import used_by
from gradio_apps.runtime.supervisor.process_handle import ProcessHandle
from gradio_apps.runtime.supervisor.processes import Process
from gradio_apps.runtime.supervisor.reasons import reason_of
from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD, Record, Restart, after_end
from gradio_apps.runtime.supervisor.sockets import Listening
from gradio_apps.runtime.supervisor.stopped_app import Notice, answering
from portal.contract.supervisor_messages import Action, AppStatus, WorkKind

LONGEST_HOLD: Final = 10.0
"""Seconds that connections wait while an app restarts after a crash; then its page shows the progress."""
LET_GO: Final = 10.0
"""Seconds that a replaced process has to stop accepting connections."""
_STATUS_EVERY: Final = 1.0
_AGAIN: Final = 0.1
"""Seconds between two attempts to reclaim an address."""
_TRIES: Final = 10
"""Attempts after which the address is closed, so that nobody gets an answer there."""


class ProcessManager:
    """Manages the processes of one app: the one that answers, its replacement, and those that are draining."""

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
        self._command = command
        self._descendants = descendants
        self._hidden: set[str] = set()
        """Every secret of any of its starts: a log may still hold one that was changed since."""
        self._current = CurrentState(state="starting", since=time.monotonic())
        self._handles: set[ProcessHandle] = set()
        """All processes of this app that have not ended."""
        self._leaving: set[ProcessHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_start: float | None = None
        self._stopped = False
        self._action: Action | None = None
        self._ordered = asyncio.Event()

    @property
    def listening(self) -> Listening:
        """The app as it was when its socket was opened, and the socket."""
        return self._listening

    @property
    def app(self) -> AppPlan:
        """The app as the current plan has it."""
        return self._app

    def order(self, action: Action) -> None:
        """Do *action* soon; starting a running app or stopping a stopped one changes nothing."""
        self._report(SupervisorEvent.ORDERED, app=self._app.slug, order=action)
        idle = self._stopped or self._current.state == "crashed"
        changes_nothing = (action == "start" and not idle) or (action == "stop" and self._stopped)
        if not changes_nothing:
            self._stopped = action == "stop"
            self._action = action
            self._ordered.set()

    def adopt(self, app: AppPlan, *, plan: Plan, replacing: bool) -> None:
        """Follow *app* of *plan* from now on; with *replacing*, replace a running process."""
        self._app, self._plan = app, plan
        for handle in self._handles:
            handle.app = app
        if replacing and not self._stopped:
            self.order("restart")

    def status(self) -> AppStatus:
        """Return the app's status for operators."""
        app, current, now = self._app, self._current, time.monotonic()
        members = frozenset[Process]().union(*(handle.child.members() for handle in self._handles))
        counts: Counter[WorkKind] = Counter()
        for handle in self._handles:
            counts.update(handle.status.open)
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

        With *taking_over*, the address was another app's: first make sure that nothing of that app listens there.
        """
        record, hold = Record(), 0.0
        try:
            if taking_over:
                for one in await self._reclaim_socket():
                    one.close()  # meant for the other app
            while True:
                self._ordered.clear()
                if self._stopped:
                    await self._stay_stopped()
                since, handle, problem = time.monotonic(), None, None
                try:
                    handle = self._start(record)
                except OSError as error:  # no such folder, no room for a log: the other apps keep running
                    problem = error.strerror
                else:
                    handle = await self._watch(handle, hold=hold, record=record)
                    since = handle.started
                if self._ordered.is_set():
                    record, hold = Record(), 0.0
                    continue
                code = None if handle is None else handle.code
                restart = after_end(record, lifetime=time.monotonic() - since, waited=code == FAILED_TO_LOAD)
                self._crashed(handle, problem=problem, restart=restart)
                record, hold = restart.record, LONGEST_HOLD if handle is not None and handle.came_up else 0.0
                with suppress(TimeoutError):
                    async with asyncio.timeout(restart.wait):
                        await self._ordered.wait()
                        record = Record()
        finally:
            await self._end_all()

    async def _stay_stopped(self) -> None:
        """Stay stopped until an operator starts the app."""
        await self._end_all()
        self._enter(CurrentState(state="stopped", since=time.monotonic()))
        self._report(SupervisorEvent.APP_STOPPED, app=self._app.slug)
        waiting = await self._reclaim_socket()
        notice = Notice(self._app.title, self._plan.portal_url, self._app.slug)
        async with answering(self._listening.socket, waiting, notice=notice):
            while self._stopped:
                await self._ordered.wait()
                self._ordered.clear()

    async def _reclaim_socket(self) -> tuple[socket.socket, ...]:
        """Make the supervisor the only listener on the app's address; return the connections that wait there."""
        for tries in count(1):
            try:
                self._listening, waiting = self._listening.exchanged()
            except OSError as error:
                if tries == _TRIES:  # better no answer than one of a stopped app
                    self._listening.shut()
                    problem = f"something keeps its address: {error.strerror}"
                    self._report(SupervisorEvent.APP_NOT_ENDED, app=self._app.slug, problem=problem)
                await asyncio.sleep(_AGAIN)
            else:
                break
        return waiting

    async def _watch(self, handle: ProcessHandle, *, hold: float, record: Record) -> ProcessHandle:
        """Wait until *handle* or its replacement ends, by itself or by order; return the one that ended."""
        self._enter(CurrentState(state="starting", since=handle.started, pid=handle.pid))
        self._spawn(self._bring_up(handle, hold=hold, record=record))
        while True:
            await self._order_or(handle.wait())
            if not self._ordered.is_set():
                return handle
            if self._action != "restart" or not handle.is_up:
                await handle.end(grace=self._plan.grace)
                return handle
            self._ordered.clear()
            handle = await self._replace(handle)

    async def _bring_up(self, handle: ProcessHandle, *, hold: float, record: Record) -> None:
        """Let *handle* accept connections once it is up, after *hold* seconds at the latest, and record its start."""
        await handle.until(lambda one: one.status.state != "starting", seconds=hold)
        handle.accept()
        await handle.until(lambda one: one.status.state != "starting")
        if handle.is_up:
            self._enter_running(handle)
        elif handle.code is None:
            since = time.monotonic()
            reason = handle.status.problem or reason_of(FAILED_TO_LOAD, problem=None, last=self._last_line())
            self._enter(
                CurrentState(
                    state="crashed", since=since, pid=handle.pid, reason=reason, next_start=since + record.pause
                )
            )
            self._report(SupervisorEvent.APP_FAILED, app=self._app.slug, pid=handle.pid, log=str(self._app.log))

    async def _replace(self, old: ProcessHandle) -> ProcessHandle:
        """Start a process in the place of *old*; return the one that answers then: *old* if the new one fails."""
        try:
            new = self._start(Record(pause=0))
        except OSError as error:
            self._not_replaced(f"It could not be started: {error.strerror}.")
            return old
        self._current = replace(self._current, replacing=True)
        try:
            return await self._successor(old, new)
        finally:
            self._current = replace(self._current, replacing=False)

    async def _successor(self, old: ProcessHandle, new: ProcessHandle) -> ProcessHandle:
        """Wait for *new* to come up; return the process that answers from then on."""
        await self._order_or(self._outcome(new, old))
        if old.code is not None:  # better a page that says that it starts than no answer
            self._crashed(old, problem=None, restart=None)
            self._enter(CurrentState(state="starting", since=new.started, pid=new.pid))
            self._spawn(self._bring_up(new, hold=LONGEST_HOLD, record=Record()))
            return new
        if not new.is_up:
            reason = self._reason(new)
            await new.end(grace=self._plan.grace)
            if not self._ordered.is_set():  # otherwise a new order came meanwhile
                self._not_replaced(reason)
            return old
        await self._hand_over(old, new)
        return new

    async def _outcome(self, new: ProcessHandle, old: ProcessHandle) -> None:
        while new.code is None and new.status.state == "starting" and old.code is None:
            await new.until(lambda one: one.status.state != "starting", seconds=1)

    async def _hand_over(self, old: ProcessHandle, new: ProcessHandle) -> None:
        """Let *new* accept connections in the place of *old*, never both at the same time."""
        old.leave()
        if not await old.until(lambda one: not one.status.accepting, seconds=LET_GO) and old.code is None:
            old.end_with("It was replaced, and did not stop accepting connections.")
            await old.wait()
        new.send(Draining(old.status.listening))
        new.accept()
        self._enter_running(new)
        self._report(SupervisorEvent.APP_REPLACED, app=self._app.slug, pid=new.pid, before=old.pid)
        self._leaving.add(old)
        self._spawn(self._drain(old))

    async def _drain(self, old: ProcessHandle) -> None:
        """Tell the other processes which sessions *old* still serves, until it has ended."""
        since = time.monotonic()
        while old.code is None:
            sessions = tuple(sorted({one for handle in self._leaving for one in handle.status.listening}))
            for handle in self._handles - self._leaving:
                handle.send(Draining(sessions))
            await _next_status(old)
        self._leaving.discard(old)
        if not self._leaving:
            for handle in self._handles:
                handle.send(Draining(()))
        seconds = round(time.monotonic() - since, 1)
        self._report(SupervisorEvent.APP_LEFT, app=self._app.slug, pid=old.pid, seconds=seconds, problem=old.cause)

    def _start(self, record: Record) -> ProcessHandle:
        app = with_env_file(self._app)
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
                command=self._command or command_for(self._app.python),
                descendants=self._descendants,
            )
        finally:
            os.close(log)
        handle = ProcessHandle(
            child,
            app=self._app,
            report=self._report,
            on_session_ended=self._end_session_in_others,
            on_gone=self._handles.discard,
        )
        self._handles.add(handle)
        self._current = replace(self._current, starts=self._current.starts + 1)
        self._report(SupervisorEvent.APP_STARTED, app=self._app.slug, pid=child.pid, port=self._listening.port)
        return handle

    def _end_session_in_others(self, handle: ProcessHandle, session: str) -> None:
        for other in self._handles - {handle}:
            other.send(EndSession(session))

    def _enter_running(self, handle: ProcessHandle) -> None:
        self._last_start = round(time.monotonic() - handle.started, 1)
        if self._app.history is not None:
            remember_start(self._app.history, self._last_start)
        self._enter(CurrentState(state="running", since=time.monotonic(), pid=handle.pid))
        self._report(SupervisorEvent.APP_READY, app=self._app.slug, pid=handle.pid)

    def _crashed(self, handle: ProcessHandle | None, *, problem: str | None, restart: Restart | None) -> None:
        """Record that *handle* ended or did not start, and when the next one starts: now, without *restart*."""
        now, pause = time.monotonic(), 0.0 if restart is None else restart.wait
        code = None if handle is None else handle.code
        reason = reason_of(code, problem=problem, last=self._last_line()) if handle is None else self._reason(handle)
        self._report(
            SupervisorEvent.APP_CRASHED, app=self._app.slug, code=code, problem=problem, reason=reason, pause=pause
        )
        self._enter(CurrentState(state="crashed", since=now, reason=reason, next_start=now + pause))

    def _reason(self, handle: ProcessHandle) -> str:
        problem = handle.status.problem if handle.status.state == "failed" else ""
        code = FAILED_TO_LOAD if handle.code is None else handle.code
        return handle.cause or problem or reason_of(code, problem=None, last=self._last_line())

    def _not_replaced(self, reason: str) -> None:
        self._report(SupervisorEvent.APP_NOT_REPLACED, app=self._app.slug, reason=reason)
        failed = self._current.failed_replacements + 1
        self._current = replace(self._current, failed_replacements=failed, problem=reason)

    def _enter(self, state: CurrentState) -> None:
        """Take on *state*, keeping the counters; a process that is up clears an old problem."""
        old = self._current
        self._current = replace(
            state,
            starts=old.starts,
            failed_replacements=old.failed_replacements,
            problem=None if state.state == "running" else old.problem,
        )

    async def _order_or(self, something: Any) -> None:
        """Wait until *something* is done or an order arrives."""
        waiting = [asyncio.ensure_future(something), asyncio.ensure_future(self._ordered.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _end_all(self) -> None:
        """End every process of this app, and the tasks beside them."""
        await asyncio.gather(*(handle.end(grace=self._plan.grace) for handle in tuple(self._handles)))
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _usual(self) -> float | None:
        return None if self._app.history is None else usual_start(self._app.history)

    def _last_line(self) -> str:
        if not self._hidden:  # before the first start, the secrets are not known
            return ""
        return last_line_of(self._app.log, hidden=self._hidden)


async def _next_status(handle: ProcessHandle) -> None:
    """Wait for the next status of *handle*, a moment at most."""
    before = handle.status
    await handle.until(lambda one: one.status is not before, seconds=_STATUS_EVERY)
