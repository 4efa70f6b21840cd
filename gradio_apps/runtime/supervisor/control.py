"""The operator's way to the supervisor: a Unix socket in the data folder, one JSON line each way.

A connection carries one request and one answer, each a JSON object on a line of its own:

    {"do": "list"}                           every app
    {"do": "restart", "app": "forecast"}     also "restart-now", "start" and "stop"; answered at once, done soon after
    {"do": "reload", "document": { … }, "every_app": false}
                                             follow another document, as the one on standard input was; likewise

    {"ok": true, "apps": [ … ]}              of "list" and "reload" all of them, of the others that one
    {"ok": true, "apps": [ … ], "changes": {"forecast": "replaced"}}
                                             of "reload": see gradio_apps/runtime/supervisor/changes.py
    {"ok": false, "problem": "There is no app called 'forcast'."}

Members of an app: ``app``, ``title``, ``state`` (``starting``, ``running``, ``stopped``, ``crashed``),
``seconds`` (in this state), ``pid``, ``memory`` and ``memory_limit`` (bytes), ``restarts``, ``reason`` and
``pause`` (of ``crashed``: a sentence, and the seconds until the next start), ``replacing`` (whether a new
process comes up beside the one that answers), ``leaving`` (how many old ones finish what runs in them),
``failed_replacements`` and ``problem`` (how often a new one did not come up, and why the last did not),
``open`` (what is under way, by kind: see :mod:`gradio_apps.runtime.channel`), ``last_start`` and
``usual_start`` (seconds), ``start_timeout`` and ``drain_timeout`` (seconds), ``port``, ``last_line`` (of its
log, secrets taken out).  What is not known is null.  Readers pass over members they do not know.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast, get_args

from gradio_apps.runtime.supervisor.app_status import Order
from gradio_apps.runtime.supervisor.document import DocumentError, read_plan
from gradio_apps.runtime.supervisor.registry import OwnerChanged, Registry
from gradio_apps.runtime.supervisor.sockets import PortTaken
from portal.contract.local_sockets import SocketTaken, listening_at, peer_of

_LONGEST_LINE: Final = 4 * 1024 * 1024
_PATIENCE: Final = 5.0


class ControlError(Exception):
    """The control socket cannot be opened; the message says why."""


class Control:
    """Answers operators, on one socket."""

    def __init__(self, registry: Registry, *, uids: frozenset[int] | None = None) -> None:
        self._roster = registry
        self._uids = frozenset({0, os.geteuid()}) if uids is None else uids
        self._server: asyncio.Server | None = None
        self._path = Path()

    async def open(self, path: Path) -> None:
        """Begin to answer at *path*.

        Raises:
            ControlError: the folder is not there, or another supervisor answers there.
        """
        try:
            sock = listening_at(path)
        except (OSError, SocketTaken) as error:
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

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError, ValueError):  # ValueError: a line that has no end
                async with asyncio.timeout(_PATIENCE):
                    line = await reader.readline()
                    # The mode of the socket says the same; this still holds if somebody has changed it.
                    uid = peer_of(writer.get_extra_info("socket"))
                    allowed = uid is None or uid in self._uids
                    answer = self._done(line, uid) if allowed else _refused("This is for the supervisor's own user.")
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    def _done(self, line: bytes, uid: int | None) -> dict[str, object]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _refused("Not a JSON object on one line.")
        if type(request) is not dict:
            return _refused("Not a JSON object on one line.")
        do, app = request.get("do"), request.get("app")
        if do == "list":
            return self._listed()
        if do == "reload":
            # A document says who runs what as whom. Where that is root's to say, the portal's user has no say in it.
            if os.getuid() != os.geteuid() and uid != os.getuid():
                return _refused("Apps have users of their own here: only root may have them reloaded.")
            return self._reloaded(request)
        if do not in get_args(Order):
            return _refused("Not something that can be done.")
        manager = self._roster.find(app) if type(app) is str else None
        if manager is None:
            return _refused(f"There is no app called {str(app)[:64]!r}.")
        manager.order(cast("Order", do))
        return {"ok": True, "apps": [manager.described()]}

    def _listed(self) -> dict[str, object]:
        return {"ok": True, "apps": [manager.described() for manager in self._roster]}

    def _reloaded(self, request: Mapping[str, object]) -> dict[str, object]:
        try:
            plan = read_plan(json.dumps(request.get("document")))
            changes = self._roster.change(plan, every_app=request.get("every_app") is True)
        except DocumentError as error:
            return _refused(str(error))
        except OwnerChanged:
            return _refused("Whom the portal and its apps run as changes only when everything is started anew.")
        except PortTaken as error:
            return _refused(f"Port {error.app.port}, for the app {error.app.slug}, cannot be used: {error.reason}.")
        return {**self._listed(), "changes": changes}


def _refused(problem: str) -> dict[str, object]:
    return {"ok": False, "problem": problem}
