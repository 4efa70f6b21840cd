"""The process's end of the channel to its supervisor: says how the app is, and does what is asked."""

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
"""Number of the descriptor where the supervisor is; absent where nobody steers the process."""
UNHEARD: Final = 3.0
"""Seconds that a leaving process waits, at most, for a moment when nobody is about to fetch an answer."""
LINGER: Final = 2.0
"""Seconds that connections without a request stay open after it: the next request may be on its way."""
_LOOK_EVERY: Final = 0.1
_COUNT_EVERY: Final = 5
"""Looks between two reports of nothing but other numbers."""
_QUIET_EVERY: Final = 0.01
_MOST_ENDED: Final = 1024
_FULL: Final = 64 * 1024
"""Bytes that may wait to be written before nothing more is said."""


class Server(Protocol):
    """What is steered: a server that people reach."""

    stop_requested: bool

    @property
    def accepting(self) -> bool:
        """Whether it takes connections."""

    @property
    def connected(self) -> bool:
        """Whether any connection is open."""

    async def listen(self) -> None:
        """Take connections."""

    def stop_listening(self) -> None:
        """Take no more."""

    async def settle(self) -> None:
        """Return once what was taken before is open."""


class ChannelHandler:
    """Obeys the supervisor at the other end of *channel*; lives in the loop that serves *guard*."""

    def __init__(
        self, channel: socket.socket, *, guard: Guard, state: Callable[[], State], problem: Callable[[], str]
    ) -> None:
        self._channel = channel
        self._guard = guard
        self._state = state
        self._problem = problem
        self._ended: OrderedDict[str, None] = OrderedDict()
        """App sessions whose end both sides know."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def start(self, server: Server) -> None:
        """Begin to listen to the supervisor, for *server*."""
        reader, self._writer = await asyncio.open_connection(sock=self._channel, limit=MAX_LINE)
        self._guard.tell_ended(self._tell_ended)
        self._go_on(self._listen(reader, server))
        self._go_on(self._tell(server))

    async def _listen(self, reader: asyncio.StreamReader, server: Server) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                match read_command(line):
                    case Accept():
                        await server.listen()
                        self._say(server)
                    case Leave(seconds):
                        self._go_on(self._leave(server, seconds))
                    case Draining(sessions):
                        self._guard.work.elsewhere(sessions)
                    case EndSession(session):
                        self._remember(session)
                        self._guard.end_session(session)
                    case None:
                        pass
        server.stop_requested = True  # the supervisor is gone: the next one starts the app anew, at the same address

    async def _leave(self, server: Server, seconds: float) -> None:
        """Hand over to the process that follows, and end when nothing is left to do."""
        work = self._guard.work
        await _until(lambda: work.quiet, UNHEARD, every=_QUIET_EVERY)
        # Nothing comes between that look and the closing: one step of the loop.
        server.stop_listening()
        work.leave()
        self._say(server)
        await server.settle()
        await _until(lambda: not server.connected, LINGER)
        await _until(lambda: not work.busy, seconds)
        server.stop_requested = True

    async def _tell(self, server: Server) -> None:
        """Say how things are whenever that has changed: numbers twice a second, the rest at once."""
        last, looks = None, 0
        while True:
            said = self._said(server)
            looks += 1
            news = last is None or (said.state, said.accepting) != (last.state, last.accepting)
            if news or (looks % _COUNT_EVERY == 0 and said != last):
                self._send(said.to_line())
                last = said
            await asyncio.sleep(_LOOK_EVERY)

    def _say(self, server: Server) -> None:
        self._send(self._said(server).to_line())

    def _said(self, server: Server) -> Status:
        work = self._guard.work
        return Status(
            state=self._state(),
            accepting=server.accepting,
            problem=self._problem(),
            open=work.open(),
            listening=work.listening,
        )

    def _tell_ended(self, session: str) -> None:
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

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def channel_from(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Return the channel that *environ* names, taking its name out, or ``None`` where there is none."""
    descriptor = environ.pop(DESCRIPTOR, "")
    if not (descriptor.isascii() and descriptor.isdigit()):
        return None
    os.set_inheritable(int(descriptor), False)  # what the author's code starts has no say here
    channel = socket.socket(fileno=int(descriptor))
    channel.setblocking(False)
    return channel


async def _until(holds: Callable[[], bool], seconds: float, *, every: float = _LOOK_EVERY) -> None:
    """Wait until *holds*, but no longer than *seconds*."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while not holds() and loop.time() < until:  # noqa: ASYNC110  what is waited for sets no event
        await asyncio.sleep(every)
