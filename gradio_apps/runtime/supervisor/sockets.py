"""The listening sockets, opened before any app starts and kept across their crashes.

A socket is whoever's that holds a descriptor of it, and what an app started may go on holding it.  So it is exchanged
for another one where the app is to be away for good: no one but the supervisor listens there then.
"""

import os
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from gradio_apps.runtime.supervisor.document import AppPlan
from portal.contract.privileges import taken_up

BACKLOG: Final = 512
"""Connections that may wait while an app is not there to take them; the system may allow fewer."""


_ROOT: Final = 0
_NOBODY: Final = 65534
Connections: TypeAlias = tuple[socket.socket, ...]


class PortTaken(Exception):
    """Somebody else listens where an app is to be reached, or the address cannot be listened on."""

    def __init__(self, app: AppPlan, reason: str) -> None:
        super().__init__(f"{app.slug}: {app.host}:{app.port}: {reason}")
        self.app = app
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Listening:
    """An app and its socket."""

    app: AppPlan
    socket: socket.socket

    @property
    def port(self) -> int:
        """The port, chosen by the system where the plan left it open."""
        port: int = self.socket.getsockname()[1]
        return port

    def exchanged(self) -> tuple["Listening", Connections]:
        """Return this with another socket, and the connections that waited at the old one, which is closed for all.

        The address is somebody's at every moment: the new one listens before the old one ceases to.  (Linux; elsewhere
        it stays the same.)

        Raises:
            OSError: somebody who holds the old one keeps the new one out; then the old one is as it was.
        """
        if sys.platform != "linux":  # pragma: no cover - elsewhere nothing ends a socket that others hold
            return self, ()
        old, new = self.socket, _unbound(self.app)
        try:
            for one in (old, new):  # two may listen if both say so, and one user made them
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            new.bind(old.getsockname())
            new.listen(BACKLOG)
            new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        except OSError:
            new.close()
            raise
        waiting = _waiting_at(old)
        self.shut()
        old.close()
        return Listening(self.app, new), waiting

    def shut(self) -> None:
        """Let nobody take a connection here any more, whoever else holds the socket (Linux)."""
        other = _NOBODY if os.geteuid() == 0 else _ROOT
        with suppress(OSError), taken_up():  # only root can
            # No longer of one user with the one in its place, it cannot listen beside it again.
            os.fchown(self.socket.fileno(), other, -1)
        with suppress(OSError):  # it is shut
            self.socket.shutdown(socket.SHUT_RD)


def listen(apps: Iterable[AppPlan]) -> tuple[Listening, ...]:
    """Open a socket for each of *apps*.

    Raises:
        PortTaken: for the first that cannot be opened; those opened before are closed.
    """
    opened: list[Listening] = []
    for app in apps:
        sock = _unbound(app)
        opened.append(Listening(app, sock))
        try:
            sock.bind((app.host, app.port))
            sock.listen(BACKLOG)
        except OSError as error:
            for one in opened:
                one.socket.close()
            raise PortTaken(app, error.strerror or "cannot be used") from error
    return tuple(opened)


def _unbound(app: AppPlan) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in app.host else socket.AF_INET, socket.SOCK_STREAM)
    # Without it, connections of a portal that just ended would hold the port for a minute.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock


def _waiting_at(listening: socket.socket) -> Connections:
    found: list[socket.socket] = []
    listening.setblocking(False)
    with suppress(OSError):  # that was the last one
        while len(found) <= BACKLOG:
            found.append(listening.accept()[0])
    return tuple(found)
