"""The listening sockets, opened before any app starts and kept across crashes.

Any process with a descriptor of a socket can accept on it, and a process that an app started may still have one.  So
when an app stops, its socket is exchanged for a new one, on which only the supervisor listens.
"""

import os
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from gradio_apps.runtime.supervisor.document import AppPlan
from portal.contract.privileges import as_root

BACKLOG: Final = 512
"""Connections that may wait while no process accepts them; the system may allow fewer."""


_ROOT: Final = 0
_NOBODY: Final = 65534
Connections: TypeAlias = tuple[socket.socket, ...]


class PortTaken(Exception):
    """Another process listens on an app's address, or the address cannot be used."""

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
        """The port; chosen by the system if the plan has 0."""
        port: int = self.socket.getsockname()[1]
        return port

    def exchanged(self) -> tuple["Listening", Connections]:
        """Return this with a new socket, and the connections that waited on the old one, which is closed for everyone.

        The new socket listens before the old one stops, so that no other process can take the address.  (Linux;
        elsewhere the socket stays the same.)

        Raises:
            OSError: a process that holds the old socket prevents it; the old one is unchanged.
        """
        if sys.platform != "linux":  # pragma: no cover - elsewhere, a socket that others hold cannot be closed
            return self, ()
        old, new = self.socket, _unbound(self.app)
        try:
            for one in (old, new):  # both must set it and belong to one user
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
        """Let no process accept connections on this socket any more, even if it holds the socket (Linux)."""
        other = _NOBODY if os.geteuid() == 0 else _ROOT
        with suppress(OSError), as_root():  # only root can
            # Owned by another user than its successor, it cannot listen beside it again.
            os.fchown(self.socket.fileno(), other, -1)
        with suppress(OSError):  # already shut down
            self.socket.shutdown(socket.SHUT_RD)


def listen(apps: Iterable[AppPlan]) -> tuple[Listening, ...]:
    """Open a socket for each of *apps*.

    Raises:
        PortTaken: names the first that cannot be opened; those opened before are closed.
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
    # Otherwise, connections of a portal that just ended would block the port for a minute.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock


def _waiting_at(listening: socket.socket) -> Connections:
    connections: list[socket.socket] = []
    listening.setblocking(False)
    with suppress(OSError):  # that was the last one
        while len(connections) <= BACKLOG:
            connections.append(listening.accept()[0])
    return tuple(connections)
