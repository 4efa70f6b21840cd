"""One process of one app, from its start to its end."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gradio_apps.runtime.channel import MAX_LINE, Accept, Command, Leave, SessionEnded, Status, read_status
from gradio_apps.runtime.progress import spoken
from gradio_apps.runtime.supervisor.child import Child
from gradio_apps.runtime.supervisor.document import AppPlan
from gradio_apps.runtime.supervisor.events import Report, SupervisorEvent
from gradio_apps.runtime.supervisor.logs import note, rotate
from gradio_apps.runtime.supervisor.memory import exceeds
from gradio_apps.runtime.supervisor.reasons import size

MARGIN: Final = 5.0
"""Seconds past its start timeout that a process has to report the failure itself."""
LEAVE_MARGIN: Final = 20.0
"""Seconds past its drain timeout that a process has to end."""
OVERTIME: Final = 2.0
"""Seconds past the grace of running requests that a process has to end."""
_TICK: Final = 0.1
_ROTATE_EVERY: Final = 50
"""Ticks between two checks of the log's size."""
_MEMORY_EVERY: Final = 10
"""Ticks between two checks of the memory in use, where it is limited."""
_PATIENCE: Final = 2.0
"""Seconds that the system has to end a killed process, and those that it starts meanwhile."""
_PAUSE: Final = 0.001
_QUIET: Final = 2
"""Checks in a row that must find no process left."""
_FULL: Final = 1024 * 1024
"""Unsent bytes after which a process gets no more commands."""
_LAST_LINES: Final = 1.0
"""Seconds to read the last lines of a process that ended."""
_BETWEEN: Final = 0.01
"""Seconds between two lines read from a process, so that none can keep the supervisor busy."""


class ProcessHandle:
    """A process that runs or has ended."""

    def __init__(
        self,
        child: Child,
        *,
        app: AppPlan,
        report: Report,
        on_session_ended: Callable[["ProcessHandle", str], None],
        on_gone: Callable[["ProcessHandle"], None],
    ) -> None:
        self.child = child
        self.app = app
        """The app as planned now: its limits may change while the process runs."""
        self.started = time.monotonic()
        self.status = Status()
        self.cause: str | None = None
        """Why the supervisor ended the process."""
        self.code: int | None = None
        """Its exit code; ``None`` while it runs."""
        self.came_up = False
        self._report = report
        self._on_session_ended = on_session_ended
        self._on_gone = on_gone
        self._writer: asyncio.StreamWriter | None = None
        self._unsent: list[bytes] = []
        self._leaves_by: float | None = None
        self._killed_at: float | None = None
        """When it was killed."""
        self._task = asyncio.create_task(self._run())

    @property
    def pid(self) -> int:
        """Process id."""
        return self.child.pid

    @property
    def is_up(self) -> bool:
        """Whether it reports that the app runs."""
        return self.code is None and self.status.state == "running"

    def send(self, command: Command) -> None:
        """Send *command* to the process."""
        if self._writer is None:
            self._unsent.append(command.to_line())
        elif not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < _FULL:
            self._writer.write(command.to_line())  # a process that does not read must not use up memory here

    def accept(self) -> None:
        """Let it accept connections."""
        self.send(Accept())

    def leave(self) -> None:
        """Let it stop accepting connections, finish its running work, and end."""
        self._leaves_by = time.monotonic() + self.app.drain_timeout + LEAVE_MARGIN
        self.send(Leave(self.app.drain_timeout))

    async def until(self, holds: Callable[["ProcessHandle"], bool], *, seconds: float = float("inf")) -> bool:
        """Wait until *holds* or the process has ended, no longer than *seconds*; return whether *holds*."""
        until = time.monotonic() + seconds
        while not holds(self) and self.code is None and time.monotonic() < until:  # noqa: ASYNC110  an end sets no event
            await asyncio.sleep(_TICK / 2)
        return holds(self)

    async def wait(self) -> None:
        """Wait until it has ended."""
        await asyncio.shield(self._task)

    async def end(self, *, grace: int) -> None:
        """Ask the process to end, and kill it if it has not after *grace* seconds and a little more."""
        self.child.terminate()
        await self.until(lambda _: False, seconds=grace + OVERTIME)
        self.kill()
        await self.wait()

    def kill(self) -> None:
        """Kill the process and everything it started; :meth:`wait` returns when that is done."""
        if self._killed_at is None:
            self._killed_at = time.monotonic()
            self.child.kill()

    def end_with(self, cause: str) -> None:
        """Kill the process, and write *cause* to its log and status."""
        if self.cause is None:
            self.cause = cause
            with suppress(OSError):
                note(self.app.log, f"The supervisor ended the app. {cause}")
            self.kill()

    async def _run(self) -> None:
        listening, ticks, code = None, 0, None
        try:
            reader, self._writer = await asyncio.open_connection(sock=self.child.channel, limit=MAX_LINE)
            self._writer.writelines(self._unsent)
            listening = asyncio.create_task(self._listen(reader))
            while (code := self.child.ended()) is None and not self._is_stuck():
                await asyncio.sleep(_TICK if self._killed_at is None else _PAUSE)
                ticks += 1
                if ticks % _ROTATE_EVERY == 0:
                    with suppress(OSError):  # a full disk must not end the supervision of the app
                        rotate(self.app.log)
                if ticks % _MEMORY_EVERY == 0 and self._killed_at is None:
                    self._check_memory()
                self._check_time()
            await asyncio.wait([listening], timeout=_LAST_LINES)
            code = -signal.SIGKILL if code is None else code
        finally:
            if listening is not None:
                listening.cancel()
            if self._writer is not None:
                self._writer.close()
            await self._clear_up()  # including what it started
            self.code = code
            self._on_gone(self)

    def _is_stuck(self) -> bool:
        """Say whether the process was killed and still exists: it waits for a device or a network share.

        Its code does not run any more, so the app can be started again.
        """
        return self._killed_at is not None and time.monotonic() > self._killed_at + _PATIENCE

    async def _clear_up(self) -> None:
        """Kill what is left until there is nothing: a process may start others unseen meanwhile.

        What cannot be killed is reported and left alone.
        """
        self.kill()
        until, quiet = time.monotonic() + _PATIENCE, 0
        while quiet < _QUIET and (quiet or time.monotonic() < until):
            quiet = quiet + 1 if self.child.kill() else 0
            await asyncio.sleep(_PAUSE)
        if quiet < _QUIET:
            self._report(SupervisorEvent.APP_NOT_ENDED, app=self.app.slug, problem="some of its processes are left")
        self.child.release()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ValueError, OSError):  # ValueError: a line without end; nothing more is read
            while line := await reader.readline():
                message = read_status(line)
                if isinstance(message, SessionEnded):
                    self._on_session_ended(self, message.session)
                elif message is not None:
                    self.status = message
                    self.came_up = self.came_up or message.state == "running"
                await asyncio.sleep(_BETWEEN)

    def _check_memory(self) -> None:
        """Kill the process if it uses more memory than its limit."""
        limit = self.app.memory
        used = None if limit is None else exceeds(self.child.members(), limit)
        if used is None or limit is None:
            return
        self._report(SupervisorEvent.APP_OVER_MEMORY, app=self.app.slug, pid=self.pid, used=used, limit=limit)
        self.end_with(f"It used {size(used)} of memory, more than its limit of {size(limit)}.")

    def _check_time(self) -> None:
        """Kill the process if it is past its time to come up or to leave, and is too stuck to notice."""
        now, allowed = time.monotonic(), self.app.start_timeout
        if self.status.state == "starting" and not self.came_up and now - self.started > allowed + MARGIN:
            self.end_with(f"It did not come up within {spoken(allowed)}.")
        if self._leaves_by is not None and now > self._leaves_by:
            self.end_with(f"It did not end within {spoken(self.app.drain_timeout)} after it was replaced.")
