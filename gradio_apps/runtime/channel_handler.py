"""The process's end of the channel to its supervisor: reports the app's status and handles commands."""

import asyncio
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Coroutine, MutableMapping
from contextlib import suppress
from typing import Any, Final, Protocol

from gradio_apps.runtime.channel import (
    MAX_LINE,
    Accept,
    Draining,
    EndSession,
    Leave,
    SessionEnded,
    State,
    Status,
    read_command,
)
from gradio_apps.runtime.guard import Guard

DESCRIPTOR: Final = "PORTAL_SUPERVISOR_FD"
"""Descriptor of the channel; not set where there is no supervisor."""
UNHEARD: Final = 3.0
"""Longest time that a leaving process waits for a moment without unfetched events, in seconds."""
LINGER: Final = 2.0
"""Seconds that idle connections stay open afterwards: their next request may be on its way."""
_LOOK_EVERY: Final = 0.1
_COUNT_EVERY: Final = 5
"""Checks between two reports that only change numbers."""
_QUIET_EVERY: Final = 0.01
_MOST_ENDED: Final = 1024
_FULL: Final = 64 * 1024
"""Unsent bytes after which nothing more is sent."""


class Server(Protocol):
    """The server that the commands act on."""

    stop_requested: bool

    @property
    def accepting(self) -> bool:
        """Whether it accepts connections."""

    @property
    def connected(self) -> bool:
        """Whether any connection is open."""

    async def listen(self) -> None:
        """Accept connections."""

    def stop_listening(self) -> None:
        """Accept no more."""

    async def settle(self) -> None:
        """Return once every accepted connection is open."""


class ChannelHandler:
    """Handles the commands that arrive on *channel*, in the event loop that serves *guard*."""

    def __init__(
        self, channel: socket.socket, *, guard: Guard, state: Callable[[], State], problem: Callable[[], str]
    ) -> None:
        self._channel = channel
        self._guard = guard
        self._state = state
        self._problem = problem
        self._ended: OrderedDict[str, None] = OrderedDict()
        """App sessions that both sides know to have ended."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def start(self, server: Server) -> None:
        """Handle commands for *server* from now on."""
        reader, self._writer = await asyncio.open_connection(sock=self._channel, limit=MAX_LINE)
        self._guard.report_ended(self._report_ended)
        self._spawn(self._listen(reader, server))
        self._spawn(self._report(server))

    async def _listen(self, reader: asyncio.StreamReader, server: Server) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                match read_command(line):
                    case Accept():
                        await server.listen()
                        self._send_status(server)
                    case Leave(seconds):
                        self._spawn(self._leave(server, seconds))
                    case Draining(sessions):
                        self._guard.work.set_draining(sessions)
                    case EndSession(session):
                        self._remember(session)
                        self._guard.end_session(session)
                    case None:
                        pass
        server.stop_requested = True  # the supervisor is gone: the next one starts the app again, at the same address

    async def _leave(self, server: Server, seconds: float) -> None:
        """Hand over to the next process, and end when nothing is left to do."""
        work = self._guard.work
        await _until(lambda: work.quiet, UNHEARD, every=_QUIET_EVERY)
        # Nothing happens between that check and the closing: one step of the loop.
        server.stop_listening()
        work.leave()
        self._send_status(server)
        await server.settle()
        await _until(lambda: not server.connected, LINGER)
        await _until(lambda: not work.busy, seconds)
        server.stop_requested = True

    async def _report(self, server: Server) -> None:
        """Report the status when it changes: numbers twice a second, the rest at once."""
        last, looks = None, 0
        while True:
            status = self._status(server)
            looks += 1
            is_new = last is None or (status.state, status.accepting) != (last.state, last.accepting)
            if is_new or (looks % _COUNT_EVERY == 0 and status != last):
                self._send(status.to_line())
                last = status
            await asyncio.sleep(_LOOK_EVERY)

    def _send_status(self, server: Server) -> None:
        self._send(self._status(server).to_line())

    def _status(self, server: Server) -> Status:
        work = self._guard.work
        return Status(
            state=self._state(),
            accepting=server.accepting,
            problem=self._problem(),
            open=work.open(),
            listening=work.listening,
        )

    def _report_ended(self, session: str) -> None:
        if session not in self._ended:
            self._remember(session)
            self._send(SessionEnded(session).to_line())

    def _remember(self, session: str) -> None:
        self._ended[session] = None
        while len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)

    def _send(self, line: bytes) -> None:
        writer = self._writer
        # A supervisor that does not read must not cost the app its memory.
        if writer is not None and not writer.is_closing() and writer.transport.get_write_buffer_size() < _FULL:
            writer.write(line)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def channel_from(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Return the channel of *environ*, and remove its variable; ``None`` where there is none."""
    descriptor = environ.pop(DESCRIPTOR, "")
    if not (descriptor.isascii() and descriptor.isdigit()):
        return None
    os.set_inheritable(int(descriptor), False)  # not for processes that the author's code starts
    channel = socket.socket(fileno=int(descriptor))
    channel.setblocking(False)
    return channel


async def _until(holds: Callable[[], bool], seconds: float, *, every: float = _LOOK_EVERY) -> None:
    """Wait until *holds*, but not longer than *seconds*."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while not holds() and loop.time() < until:  # noqa: ASYNC110  no event is set
        await asyncio.sleep(every)
