"""What ``portal serve`` does while it stays: reloads, and a supervisor that ended is started again."""

import json
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
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

MOST_REVIVALS: Final = 5
"""How often the supervisor is started again within :data:`REVIVALS_WITHIN` seconds before everything ends."""
REVIVALS_WITHIN: Final = 60.0
REVIVAL_PAUSE: Final = 1.0
"""Seconds before it is: its apps' last connections have to go."""
_LONGEST_LINE: Final = 4096
_PATIENCE: Final = 2.0


def reload_socket(settings: Settings) -> Path:
    """Return where ``portal serve`` listens for ``portal reload``."""
    return settings.data_dir / "serve.sock"


def require_first(settings: Settings) -> None:
    """Look whether another ``portal serve`` runs with the same data folder.

    Raises:
        CommandFailed: one does.
    """
    path = reload_socket(settings)
    try:
        connect_to(path, timeout=_PATIENCE).close()
    except OSError:  # nobody is there; what else may be wrong with the folder shows when it is used
        return
    raise CommandFailed(
        f"A portal serve runs already with the data folder {path.parent}. `portal reload` takes up what was changed; "
        "to start it anew, end that one first.",
        exit_code=ENDED,
    )


class Serving:
    """One ``portal serve`` that runs."""

    def __init__(self, processes: Processes, launch: Launch, *, configure: Callable[[], Launch]) -> None:
        self._processes = processes
        self._launch = launch
        self._configure = configure
        self._door: socket.socket | None = None
        self._hung_up = False
        self._reload: Reload | None = None
        self._asked_by: socket.socket | None = None
        self._next: Launch | None = None
        self._revivals: deque[float] = deque(maxlen=MOST_REVIVALS)

    def open(self) -> None:
        """Begin to listen for ``portal reload``.

        Raises:
            CommandFailed: another one listens there.
        """
        path = reload_socket(self._launch.settings)
        try:
            self._door = listen_at(path)
        except SocketTaken as error:
            raise CommandFailed(f"{path}: {error}. Does another portal serve run with this data folder?") from error
        except OSError as error:
            raise CommandFailed(f"{path} cannot be opened: {error.strerror}.") from error
        self._door.setblocking(False)

    def close(self) -> None:
        """Stop listening."""
        if self._door is not None:
            self._door.close()
            with suppress(OSError):
                reload_socket(self._launch.settings).unlink()

    def hang_up(self) -> None:
        """Ask for a reload; may be called from a signal handler."""
        self._hung_up = True

    def step(self) -> None:
        """Go on with a reload, or see whether somebody wants one; short, because a signal waits meanwhile."""
        if self._reload is not None:
            outcome = self._reload.look()
            if outcome is not None:
                if self._next is not None:
                    self._launch = self._next
                self._finish(outcome)
        elif self._hung_up:
            self._hung_up = False
            self._begin(every_app=False)
        elif self._door is not None:
            with suppress(BlockingIOError):
                connection, _ = self._door.accept()
                self._hear(connection)

    def revived(self, ended: Ended) -> bool:
        """Start the supervisor again, if it is that which *ended* and it did not just now; say whether."""
        now = monotonic()
        often = len(self._revivals) == MOST_REVIVALS and now - self._revivals[0] < REVIVALS_WITHIN
        if ended.name != SUPERVISOR or often:
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

    def _hear(self, connection: socket.socket) -> None:
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
        self._asked_by = connection
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
        """Tell who asked, else the terminal or the journal."""
        self._reload, self._next = None, None
        asked_by, self._asked_by = self._asked_by, None
        if asked_by is None:
            print("\n".join((f"Reload (exit code {outcome.exit_code}):", *outcome.lines)), flush=True)
            return
        answer = json.dumps({"lines": outcome.lines, "exit_code": outcome.exit_code}).encode() + b"\n"
        with asked_by, suppress(OSError):  # who asked has gone
            asked_by.sendall(answer)
