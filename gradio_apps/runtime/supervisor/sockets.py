"""The listening sockets, opened before any app starts and kept across their crashes."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gradio_apps.runtime.supervisor.document import AppPlan

BACKLOG: Final = 512
"""Connections that may wait while an app is not there to take them; the system may allow fewer."""


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


def listen(apps: Iterable[AppPlan]) -> tuple[Listening, ...]:
    """Open a socket for each of *apps*.

    Raises:
        PortTaken: for the first that cannot be opened; those opened before are closed.
    """
    opened: list[Listening] = []
    for app in apps:
        sock = socket.socket(socket.AF_INET6 if ":" in app.host else socket.AF_INET, socket.SOCK_STREAM)
        opened.append(Listening(app, sock))
        try:
            # Without it, connections of a portal that just ended would hold the port for a minute.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((app.host, app.port))
            sock.listen(BACKLOG)
        except OSError as error:
            for one in opened:
                one.socket.close()
            raise PortTaken(app, error.strerror or "cannot be used") from error
    return tuple(opened)
