"""A running ``portal serve``: it reloads, and starts a supervisor that ended again."""

import json
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from portal.contract.local_sockets import SocketTaken, connect_to, listen_at, peer_of
from portal.errors import StoreUnavailable
from portal.machine import startup
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.processes import Ended, Processes
from portal.machine.programs import SUPERVISOR
from portal.machine.reloading import Outcome, Reload
from portal.machine.startup import Launch
from portal.settings import Settings
from portal.supervisor_socket import reload_socket

MOST_REVIVALS: Final = 5
"""How often the supervisor is started again within :data:`REVIVALS_WITHIN` seconds; then everything ends."""
REVIVALS_WITHIN: Final = 60.0
REVIVAL_PAUSE: Final = 1.0
"""Seconds before each such start: its apps' last connections must close first."""
_LONGEST_LINE: Final = 4096
_PATIENCE: Final = 2.0


def require_first(settings: Settings) -> None:
    """Check that no other ``portal serve`` runs with the same data folder.

    Raises:
        CommandFailed: one does.
    """
    path = reload_socket(settings)
    try:
        connect_to(path, timeout=_PATIENCE).close()
    except OSError:  # not running; other problems with the folder show when it is used
        return
    raise CommandFailed(
        f"portal serve is already running with the data folder {path.parent}. `portal reload` applies changes; "
        "to start it again, end that one first.",
        exit_code=ENDED,
    )


class Serving:
    """One running ``portal serve``."""

    def __init__(self, processes: Processes, launch: Launch, *, configure: Callable[[], Launch]) -> None:
        self._processes = processes
        self._launch = launch
        self._configure = configure
        self._listener: socket.socket | None = None
        self._reload_requested = False
        self._reload: Reload | None = None
        self._client: socket.socket | None = None
        self._next: Launch | None = None
        self._revivals: deque[float] = deque(maxlen=MOST_REVIVALS)

    def open(self) -> None:
        """Start listening for ``portal reload``.

        Raises:
            CommandFailed: another process listens there, or the socket cannot be created.
        """
        path = reload_socket(self._launch.settings)
        try:
            self._listener = listen_at(path)
        except SocketTaken as error:
            raise CommandFailed(f"{path}: {error}. Does another portal serve run with this data folder?") from error
        except OSError as error:
            raise CommandFailed(f"{path} cannot be opened: {error.strerror}.") from error
        self._listener.setblocking(False)

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
            with suppress(OSError):
                reload_socket(self._launch.settings).unlink()

    def request_reload(self) -> None:
        """Request a reload; may be called from a signal handler."""
        self._reload_requested = True

    def step(self) -> None:
        """Continue a reload, or start one that was requested; short, because signals wait for it."""
        if self._reload is not None:
            outcome = self._reload.look()
            if outcome is not None:
                if self._next is not None:
                    self._launch = self._next
                self._finish(outcome)
        elif self._reload_requested:
            self._reload_requested = False
            self._begin(every_app=False)
        elif self._listener is not None:
            with suppress(BlockingIOError):
                connection, _ = self._listener.accept()
                self._read_request(connection)

    def restart_supervisor(self, ended: Ended) -> bool:
        """Start the supervisor again if that is what *ended*, and not too often; return whether it was started."""
        now = monotonic()
        too_often = len(self._revivals) == MOST_REVIVALS and now - self._revivals[0] < REVIVALS_WITHIN
        if ended.name != SUPERVISOR or too_often:
            return False
        self._revivals.append(now)
        print(f"The apps' supervisor ended by itself (exit code {ended.code}) and is started again.", flush=True)
        self._processes.forget(SUPERVISOR)
        if self._processes.stopping.wait(REVIVAL_PAUSE):
            return True
        launch = self._launch if self._next is None else self._next
        try:
            document = startup.document_of(launch)
        except StoreUnavailable as error:
            print(f"The apps cannot be started: {error}", flush=True)
            return False
        self._processes.start(startup.supervisor_of(launch, document))
        return True

    def _read_request(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE)
        try:
            with connection.makefile("rb") as reader:
                request = json.loads(reader.readline(_LONGEST_LINE))
            peer = peer_of(connection)
            is_ours = peer is None or peer in {0, os.geteuid(), os.getuid()}
            every_app = request["every_app"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            connection.close()
            return
        if not is_ours or type(every_app) is not bool:
            connection.close()
            return
        self._client = connection
        self._begin(every_app=every_app)

    def _begin(self, *, every_app: bool) -> None:
        try:
            new = self._configure()
            reload = Reload(self._processes, old=self._launch, new=new, every_app=every_app)
            reload.begin()
        except CommandFailed as failure:
            self._finish(Outcome(lines=(str(failure),), exit_code=failure.exit_code))
        else:
            self._reload, self._next = reload, new

    def _finish(self, outcome: Outcome) -> None:
        """Send the result to ``portal reload``, or else print it."""
        self._reload, self._next = None, None
        client, self._client = self._client, None
        if client is None:
            print("\n".join((f"Reload (exit code {outcome.exit_code}):", *outcome.lines)), flush=True)
            return
        answer = json.dumps({"lines": outcome.lines, "exit_code": outcome.exit_code}).encode() + b"\n"
        with client, suppress(OSError):  # it has gone
            client.sendall(answer)
