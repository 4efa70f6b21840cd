"""The operator's way to the supervisor: a Unix socket in the data folder, one JSON line each way.

A connection carries one request and one answer, each a JSON object on a line of its own:

    {"do": "list"}                           every app
    {"do": "restart", "app": "forecast"}     also "start" and "stop"; answered at once, done soon after

    {"ok": true, "apps": [ … ]}              of "list" all of them, of the others that one
    {"ok": false, "problem": "There is no app called 'forcast'."}

Members of an app: ``app``, ``title``, ``state`` (``starting``, ``running``, ``stopped``, ``crashed``),
``seconds`` (in this state), ``pid``, ``memory`` and ``memory_limit`` (bytes), ``restarts``, ``reason`` and
``pause`` (of ``crashed``: a sentence, and the seconds until the next start), ``usual_start`` (seconds),
``start_timeout`` (seconds), ``port``, ``last_line`` (of its log, secrets taken out).  What is not known
is null.  Readers pass over members they do not know.
"""

import asyncio
import json
import os
import socket
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast, get_args

from gradio_apps.runtime.supervisor.keeper import Keeper
from gradio_apps.runtime.supervisor.standing import Order

_LONGEST_LINE: Final = 4096
_PATIENCE: Final = 5.0
_BACKLOG: Final = 16
_CREDENTIALS: Final = struct.Struct("3i")
"""``struct ucred``: pid, uid, gid; see unix(7)."""


class ControlError(Exception):
    """The control socket cannot be opened; the message says why."""


class Control:
    """Answers operators, on one socket."""

    def __init__(self, keepers: Mapping[str, Keeper], *, uids: frozenset[int] | None = None) -> None:
        self._keepers = keepers
        self._uids = frozenset({0, os.geteuid()}) if uids is None else uids
        self._server: asyncio.Server | None = None
        self._folder = -1
        self._path = Path()

    async def open(self, path: Path) -> None:
        """Begin to answer at *path*.

        Raises:
            ControlError: the folder is not there, or another supervisor answers there.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            address = _address(path, self._folder)
            _clear(path, address)
            before = os.umask(0o177)  # from the first moment on, and not only after a chmod
            try:
                sock.bind(address)
            finally:
                os.umask(before)
            sock.listen(_BACKLOG)
        except (OSError, ControlError) as error:
            sock.close()
            await self.close()
            raise ControlError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        self._path = path
        self._server = await asyncio.start_server(self._answer, sock=sock, limit=_LONGEST_LINE)

    async def close(self) -> None:
        """Stop answering, and take the socket away."""
        if self._server is not None:
            self._server.close()
            self._server = None
            with suppress(OSError):
                self._path.unlink()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError, ValueError):  # ValueError: a line that has no end
                async with asyncio.timeout(_PATIENCE):
                    line = await reader.readline()
                    allowed = self._may_ask(writer.get_extra_info("socket"))
                    answer = self._done(line) if allowed else _refused("This is for the supervisor's own user.")
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    def _may_ask(self, connection: socket.socket) -> bool:
        # The mode of the socket says the same; this still holds if somebody has changed it.
        option = getattr(socket, "SO_PEERCRED", None)
        if option is None:
            return True
        _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
        return uid in self._uids

    def _done(self, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
        except ValueError:
            return _refused("Not a JSON object on one line.")
        if type(request) is not dict:
            return _refused("Not a JSON object on one line.")
        do, app = request.get("do"), request.get("app")
        if do == "list":
            return {"ok": True, "apps": [keeper.described() for keeper in self._keepers.values()]}
        if do not in get_args(Order):
            return _refused("Not something that can be done.")
        keeper = self._keepers.get(app) if type(app) is str else None
        if keeper is None:
            return _refused(f"There is no app called {str(app)[:64]!r}.")
        keeper.order(cast("Order", do))
        return {"ok": True, "apps": [keeper.described()]}


def _refused(problem: str) -> dict[str, object]:
    return {"ok": False, "problem": problem}


def _address(path: Path, folder: int) -> str:
    # The name of a Unix socket has room for about a hundred bytes, wherever a data folder may be.
    short = Path(f"/proc/self/fd/{folder}")
    return str(short / path.name) if short.exists() else str(path)


def _clear(path: Path, address: str) -> None:
    """Take away what a supervisor left behind that did not end well."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlError("is there already, and is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise ControlError("another supervisor answers there")
