"""One process of one app, seen from its start to its end."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gradio_apps.runtime.channel import MAX_LINE, Accept, Ended, Leave, Status, Told, read_said
from gradio_apps.runtime.progress import spoken
from gradio_apps.runtime.supervisor.child import Child
from gradio_apps.runtime.supervisor.document import AppPlan
from gradio_apps.runtime.supervisor.events import Event, Report
from gradio_apps.runtime.supervisor.logs import note, rotate
from gradio_apps.runtime.supervisor.memory import exceeds
from gradio_apps.runtime.supervisor.reasons import size

MARGIN: Final = 5.0
"""Seconds past its time to come up that a process has to say so itself."""
LEAVE_MARGIN: Final = 20.0
"""Seconds past its time to finish that a process has to end: for the moments before and after."""
OVERTIME: Final = 2.0
"""Seconds past what running requests get that a process has to end."""
_TICK: Final = 0.1
_ROTATE_EVERY: Final = 50
"""Ticks between two looks at the size of the log."""
_WEIGH_EVERY: Final = 10
"""Ticks between two looks at the memory in use, where it is limited."""
_PATIENCE: Final = 2.0
"""Seconds that the system has to end a process that was killed, and those that start others meanwhile."""
_PAUSE: Final = 0.001
_QUIET: Final = 2
"""Looks in a row that find nothing before it is believed."""
_FULL: Final = 1024 * 1024
"""Bytes that may wait for a process before nothing more is said to it."""
_LAST_WORDS: Final = 1.0
"""Seconds that what an ended process has said is still heard."""
_BETWEEN: Final = 0.01
"""Seconds between two lines that are read of a process, so that none keeps the supervisor busy."""


class ProcessHandle:
    """A process that runs, or ran."""

    def __init__(
        self,
        child: Child,
        *,
        app: AppPlan,
        report: Report,
        on_ended: Callable[["ProcessHandle", str], None],
        on_gone: Callable[["ProcessHandle"], None],
    ) -> None:
        self.child = child
        self.app = app
        """What holds for it now: limits may change while it lives."""
        self.begun = time.monotonic()
        self.said = Status()
        self.cause: str | None = None
        """Why we ended the process ourselves."""
        self.code: int | None = None
        """How it ended; ``None`` while it runs."""
        self.came_up = False
        self._report = report
        self._on_ended = on_ended
        self._on_gone = on_gone
        self._writer: asyncio.StreamWriter | None = None
        self._unsaid: list[bytes] = []
        self._leaves_by: float | None = None
        self._struck: float | None = None
        """When the system was asked to end it."""
        self._seeing = asyncio.create_task(self._see_through())

    @property
    def pid(self) -> int:
        """Process id."""
        return self.child.pid

    @property
    def is_up(self) -> bool:
        """Whether it says that the app runs."""
        return self.code is None and self.said.state == "running"

    def tell(self, told: Told) -> None:
        """Say *told* to the process."""
        if self._writer is None:
            self._unsaid.append(told.to_line())
        elif not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < _FULL:
            self._writer.write(told.to_line())  # one that does not read must not cost the supervisor its memory

    def accept(self) -> None:
        """Let it take connections."""
        self.tell(Accept())

    def leave(self) -> None:
        """Let it take no more connections, finish what runs, and end."""
        self._leaves_by = time.monotonic() + self.app.drain_timeout + LEAVE_MARGIN
        self.tell(Leave(self.app.drain_timeout))

    async def until(self, holds: Callable[["ProcessHandle"], bool], *, seconds: float = float("inf")) -> bool:
        """Wait until *holds* or the process has ended, no longer than *seconds*; return whether *holds*."""
        until = time.monotonic() + seconds
        while not holds(self) and self.code is None and time.monotonic() < until:  # noqa: ASYNC110  an end sets no event
            await asyncio.sleep(_TICK / 2)
        return holds(self)

    async def wait(self) -> None:
        """Wait for its end."""
        await asyncio.shield(self._seeing)

    async def end(self, *, grace: int) -> None:
        """Ask the process to end, and make it where it does not within what running requests get and a little more."""
        self.child.terminate()
        await self.until(lambda _: False, seconds=grace + OVERTIME)
        self.kill()
        await self.wait()

    def kill(self) -> None:
        """Have the system end the process and what it started, at once; :meth:`wait` says when that is done."""
        if self._struck is None:
            self._struck = time.monotonic()
            self.child.strike()

    def end_with(self, cause: str) -> None:
        """End the process at once, for a reason that its log and its status tell."""
        if self.cause is None:
            self.cause = cause
            with suppress(OSError):
                note(self.app.log, f"The supervisor ended the app. {cause}")
            self.kill()

    async def _see_through(self) -> None:
        listening, ticks, code = None, 0, None
        try:
            reader, self._writer = await asyncio.open_connection(sock=self.child.channel, limit=MAX_LINE)
            self._writer.writelines(self._unsaid)
            listening = asyncio.create_task(self._listen(reader))
            while (code := self.child.ended()) is None and not self._is_stuck():
                await asyncio.sleep(_TICK if self._struck is None else _PAUSE)
                ticks += 1
                if ticks % _ROTATE_EVERY == 0:
                    with suppress(OSError):  # a full disk must not cost the app its keeper
                        rotate(self.app.log)
                if ticks % _WEIGH_EVERY == 0 and self._struck is None:
                    self._weigh()
                self._hurry()
            await asyncio.wait([listening], timeout=_LAST_WORDS)
            code = -signal.SIGKILL if code is None else code
        finally:
            if listening is not None:
                listening.cancel()
            if self._writer is not None:
                self._writer.close()
            await self._clear_up()  # what it started goes with it
            self.code = code
            self._on_gone(self)

    def _is_stuck(self) -> bool:
        """Say whether the system was to end the process, and has not in good time: it waits for a device, or a share.

        No code of it runs any more, so the app can be started again without it.
        """
        return self._struck is not None and time.monotonic() > self._struck + _PATIENCE

    async def _clear_up(self) -> None:
        """End what is left, again and again until there is nothing: one may start others meanwhile, unseen at one look.

        What cannot be ended is said and let be.
        """
        self.kill()
        until, quiet = time.monotonic() + _PATIENCE, 0
        while quiet < _QUIET and (quiet or time.monotonic() < until):
            quiet = quiet + 1 if self.child.strike() else 0
            await asyncio.sleep(_PAUSE)
        if quiet < _QUIET:
            self._report(Event.APP_NOT_ENDED, app=self.app.slug, problem="some of its processes are left")
        self.child.bury()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ValueError, OSError):  # ValueError: a line that has no end; it is not heard any more
            while line := await reader.readline():
                said = read_said(line)
                if isinstance(said, Ended):
                    self._on_ended(self, said.session)
                elif said is not None:
                    self.said = said
                    self.came_up = self.came_up or said.state == "running"
                await asyncio.sleep(_BETWEEN)

    def _weigh(self) -> None:
        """End the process if it uses more memory than it may; at once, for the machine's sake."""
        limit = self.app.memory
        used = None if limit is None else exceeds(self.child.members(), limit)
        if used is None or limit is None:
            return
        self._report(Event.APP_OVER_MEMORY, app=self.app.slug, pid=self.pid, used=used, limit=limit)
        self.end_with(f"It used {size(used)} of memory, more than its limit of {size(limit)}.")

    def _hurry(self) -> None:
        """End the process if its time to come up, or to leave, is over and it was too stuck to notice."""
        now, allowed = time.monotonic(), self.app.start_timeout
        if self.said.state == "starting" and not self.came_up and now - self.begun > allowed + MARGIN:
            self.end_with(f"It did not come up within {spoken(allowed)}.")
        if self._leaves_by is not None and now > self._leaves_by:
            self.end_with(f"It did not end within {spoken(self.app.drain_timeout)} after it was replaced.")
