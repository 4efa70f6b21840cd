"""The control socket: a Unix socket in the data folder where the operator's commands arrive.

Each connection carries one command and one answer of :mod:`portal.contract.supervisor_messages`.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from gradio_apps.runtime.supervisor.document import DocumentError, plan_of
from gradio_apps.runtime.supervisor.registry import OwnerChanged, Registry
from gradio_apps.runtime.supervisor.sockets import PortTaken
from portal.contract.local_sockets import SocketTaken, listen_at, peer_of
from portal.contract.supervisor_messages import (
    MAX_LINE,
    CommandAccepted,
    CommandRefused,
    ControlApp,
    InvalidMessage,
    ListApps,
    ReloadApps,
    read_command,
)

_PATIENCE: Final = 5.0


class ControlError(Exception):
    """The control socket cannot be opened; the message says why."""


class Control:
    """Answers operators on one socket."""

    def __init__(self, registry: Registry, *, uids: frozenset[int] | None = None) -> None:
        self._registry = registry
        self._uids = frozenset({0, os.geteuid()}) if uids is None else uids
        self._server: asyncio.Server | None = None
        self._path = Path()

    async def open(self, path: Path) -> None:
        """Begin to answer at *path*.

        Raises:
            ControlError: the folder is missing, or another supervisor answers there.
        """
        try:
            sock = listen_at(path)
        except (OSError, SocketTaken) as error:
            raise ControlError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        self._path = path
        self._server = await asyncio.start_server(self._serve, sock=sock, limit=MAX_LINE)

    async def close(self) -> None:
        """Stop answering, and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
            with suppress(OSError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError, ValueError):  # ValueError: a line without end
                async with asyncio.timeout(_PATIENCE):
                    line = await reader.readline()
                    writer.write(self._answer(line, peer_of(writer.get_extra_info("socket"))).to_line())
                    await writer.drain()
        finally:
            writer.close()

    def _answer(self, line: bytes, uid: int | None) -> CommandAccepted | CommandRefused:
        """Do what the command in *line* says, for the user *uid* at the other end."""
        # The mode of the socket keeps others out already; this also holds if someone changes it.
        if uid is not None and uid not in self._uids:
            return CommandRefused("Only the supervisor's own user may send commands.")
        try:
            command = read_command(line)
        except InvalidMessage as error:
            return CommandRefused(str(error))
        match command:
            case ListApps():
                return self._all()
            case ControlApp(action, slug):
                manager = self._registry.find(slug)
                if manager is None:
                    return CommandRefused(f"There is no app called {slug[:64]!r}.")
                manager.order(action)
                return CommandAccepted((manager.status(),))
            case ReloadApps():
                # A document says which user runs which app. Where root decides that, the portal's user may not.
                if os.getuid() != os.geteuid() and uid != os.getuid():
                    return CommandRefused("Apps have users of their own here: only root may reload them.")
                return self._reload(command)

    def _all(self) -> CommandAccepted:
        return CommandAccepted(tuple(manager.status() for manager in self._registry))

    def _reload(self, command: ReloadApps) -> CommandAccepted | CommandRefused:
        try:
            plan = plan_of(command.document)
            changes = self._registry.change(plan, every_app=command.every_app)
        except DocumentError as error:
            return CommandRefused(str(error))
        except OwnerChanged:
            return CommandRefused(
                "The users of the portal and its apps change only when portal serve is started again."
            )
        except PortTaken as error:
            return CommandRefused(
                f"Port {error.app.port}, for the app {error.app.slug}, cannot be used: {error.reason}."
            )
        return CommandAccepted(self._all().apps, changes)
