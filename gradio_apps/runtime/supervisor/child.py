"""Starting and ending one app's process."""

import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gradio_apps.runtime.supervisor import own_interpreter
from gradio_apps.runtime.supervisor.apart import held_back, stand_apart
from gradio_apps.runtime.supervisor.document import AppPlan
from gradio_apps.runtime.supervisor.ending import end_all
from gradio_apps.runtime.supervisor.environment import CHANNEL_DESCRIPTOR, SECRET_DESCRIPTOR
from gradio_apps.runtime.supervisor.own_user import change_to, giving_up, make_home
from gradio_apps.runtime.supervisor.processes import MARK, Process, carries, running, started_by
from portal.contract.privileges import taken_up

SOCKET_DESCRIPTOR: Final = 3
"""Where ``sd_listen_fds(3)`` has the first socket."""
_ABOVE: Final = 10
"""Descriptors below are being put in order."""
_PR_SET_PDEATHSIG: Final = 1
_WITH_OWN_PID: Final = 'LISTEN_PID=$$ exec "$@"'
"""The protocol wants the pid of the process that gets the socket; only after the fork is it known."""


class Child:
    """One process of one app; the leader of a process group of its own."""

    def __init__(
        self, app: AppPlan, *, sock: socket.socket, log: int, environment: Mapping[str, str], command: tuple[str, ...]
    ) -> None:
        if app.python is not None and not Path(app.python).exists():
            raise OSError(None, f"{app.python} is not there; `portal apps install {app.slug}` makes it")
        home = None if app.user is None else app.user.home
        if app.user is None and os.getuid() != os.geteuid():  # it could take up what was put aside
            raise OSError(None, "no user is said for it")
        if app.user is None or home is None:
            app.temp.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            make_home(home, uid=app.user.uid, gid=app.user.gid)
        self._uid = os.getuid() if app.user is None else app.user.uid
        self._mark = secrets.token_hex(16)
        self._known: frozenset[Process] = frozenset()
        """What belonged to it when it was told to end: its children lose their descent with it."""
        self._over = False
        secret = _pipe_with(app.secret)
        self.channel, theirs = socket.socketpair()
        """What the process and its supervisor say to each other goes here."""
        try:
            user: dict[str, Any] = {} if app.user is None else change_to(app.user)
            give_up = None if app.user is None else giving_up(app.user)
            with taken_up(), held_back():
                self._process = subprocess.Popen(  # noqa: S603  the command is ours
                    ["/bin/sh", "-c", _WITH_OWN_PID, "sh", *command, app.source],
                    cwd=app.cwd or home,
                    env={**environment, MARK: self._mark},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a Ctrl-C at the terminal is the supervisor's to pass on
                    pass_fds=(SOCKET_DESCRIPTOR, SECRET_DESCRIPTOR, CHANNEL_DESCRIPTOR),
                    preexec_fn=_arrange(sock.fileno(), secret, theirs.fileno(), os.getpid(), give_up),  # noqa: PLW1509  no threads run here
                    **user,
                )
        except BaseException:
            self.channel.close()
            raise
        finally:
            os.close(secret)
            theirs.close()

    @property
    def pid(self) -> int:
        """Process id; also of its group."""
        return self._process.pid

    def ended(self) -> int | None:
        """Return how the process ended, as ``subprocess`` says it, or ``None`` while it runs."""
        return self._process.poll()

    def members(self, processes: Iterable[Process]) -> frozenset[Process]:
        """Return those of *processes* that belong to this one, itself included."""
        return started_by(self.pid, processes, uid=self._uid, is_marked=carries(self._mark))

    def terminate(self) -> None:
        """Ask the process to end; it asks what it started."""
        if self.ended() is None:
            self._known = self.members(running())
            with taken_up():
                self._process.terminate()

    def kill(self) -> None:
        """End the process and what belongs to it, at once."""
        if self._over:  # its number may be another's by now
            return
        end_all(lambda: self.members(running()) | self._known)
        with suppress(ProcessLookupError, PermissionError), taken_up():  # all there is where there is no /proc
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._over = True


def command_for(python: str | None) -> tuple[str, ...]:
    """Return the command that serves a source, by the interpreter *python* or by this one."""
    if python is not None:
        return (python, str(Path(own_interpreter.__file__)))
    return (sys.executable, "-P", "-m", "gradio_apps.serve")  # -P: the folder it starts in is not on the path


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when *parent* is gone (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went before we asked
            os._exit(1)


def _pipe_with(secret: str) -> int:
    reading, writing = os.pipe()
    # A client secret is far smaller than what a pipe holds, so this does not block.
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(secret.encode())
    return reading


def _arrange(
    sock: int, secret: int, channel: int, parent: int, give_up: Callable[[], None] | None
) -> Callable[[], None]:
    def arrange() -> None:
        stand_apart()
        if give_up is not None:
            give_up()
        end_with_parent(parent)  # the system forgets it when the user changes, so not before
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _ABOVE) for descriptor in (sock, secret, channel)]
        os.dup2(high[0], SOCKET_DESCRIPTOR)
        os.dup2(high[1], SECRET_DESCRIPTOR)
        os.dup2(high[2], CHANNEL_DESCRIPTOR)

    return arrange
