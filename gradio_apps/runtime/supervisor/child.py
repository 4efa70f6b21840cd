"""Starting and ending one app's process."""

import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from gradio_apps.runtime.supervisor import own_interpreter
from gradio_apps.runtime.supervisor.cgroups import Cgroup
from gradio_apps.runtime.supervisor.descendants import Descendants
from gradio_apps.runtime.supervisor.document import AppPlan
from gradio_apps.runtime.supervisor.environment import CHANNEL_DESCRIPTOR, SECRET_DESCRIPTOR
from gradio_apps.runtime.supervisor.own_user import becoming, make_home
from gradio_apps.runtime.supervisor.processes import MARK, Process, end
from portal.contract.privileges import taken_up

SOCKET_DESCRIPTOR: Final = 3
"""Where ``sd_listen_fds(3)`` has the first socket."""
_ABOVE: Final = 10
"""Descriptors below are being put in order."""
_PR_SET_PDEATHSIG: Final = 1
_WITH_OWN_PID: Final = 'LISTEN_PID=$$ exec "$@"'
"""The protocol wants the pid of the process that gets the socket; only after the fork is it known."""


class Child:
    """One process of one app; the leader of a session and a process group of its own."""

    def __init__(
        self,
        app: AppPlan,
        *,
        sock: socket.socket,
        log: int,
        environment: Mapping[str, str],
        command: tuple[str, ...],
        descendants: Descendants,
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
        self.uid = os.getuid() if app.user is None else app.user.uid
        self.mark = secrets.token_hex(16)
        self._descendants = descendants
        self._struck = self._over = False
        secret = _pipe_with(app.secret)
        self.channel, theirs = socket.socketpair()
        """What the process and its supervisor say to each other goes here."""
        self._cgroup = None if descendants.cgroups is None else descendants.cgroups.make(app.slug)
        become = None if app.user is None else becoming(app.user)
        try:
            with taken_up():
                self._process = subprocess.Popen(  # noqa: S603  the command is ours
                    ["/bin/sh", "-c", _WITH_OWN_PID, "sh", *command, app.source],
                    cwd=app.cwd or home,
                    env={**environment, MARK: self.mark},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a Ctrl-C at the terminal is the supervisor's to pass on
                    pass_fds=(SOCKET_DESCRIPTOR, SECRET_DESCRIPTOR, CHANNEL_DESCRIPTOR),
                    preexec_fn=_arrange(  # noqa: PLW1509  no threads run here
                        (sock.fileno(), secret, theirs.fileno()), os.getpid(), become, self._cgroup
                    ),
                )
        except BaseException as error:
            self.channel.close()
            if self._cgroup is not None:
                self._cgroup.end()
            if isinstance(error, subprocess.SubprocessError):
                raise OSError(None, f"it could not become the user {self.uid}") from error
            raise
        finally:
            os.close(secret)
            theirs.close()
        descendants.add(self)

    @property
    def pid(self) -> int:
        """Process id; also of its group."""
        return self._process.pid

    def ended(self) -> int | None:
        """Return how the process ended, as ``subprocess`` says it, or ``None`` while it runs.

        On Linux its number stays its own until :meth:`bury`, and so does the number of its group.
        """
        if sys.platform == "linux" and self._process.returncode is None:
            with suppress(ChildProcessError):  # SIGCHLD is ignored here: the system keeps no exit codes
                ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None:
                    return None
                return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        return self._process.poll()

    def grouped(self) -> frozenset[int]:
        """Return the processes in its cgroup; none where it has none."""
        return frozenset() if self._cgroup is None else self._cgroup.pids()

    def members(self) -> frozenset[Process]:
        """Return what belonged to it a moment ago, itself included."""
        return self._descendants.lately_of(self)

    def terminate(self) -> None:
        """Ask the process to end; it asks what it started."""
        if self.ended() is None:
            with suppress(ProcessLookupError), taken_up():
                os.kill(self.pid, signal.SIGTERM)

    def strike(self) -> bool:
        """Have the system end the process and what belongs to it; say whether nothing of it was left any more.

        Nothing is waited for: the system may take its time, or be unable to end a process that is stuck in it.
        """
        if self._over:  # its number may be another's by now
            return True
        if not self._struck:
            self._struck = True
            with suppress(ProcessLookupError, PermissionError), taken_up():  # all there is where there is no /proc
                os.killpg(self.pid, signal.SIGKILL)
        emptied = self._cgroup is None or self._cgroup.strike()
        left = self._descendants.of(self)
        for one in left:
            end(one)
        return emptied and not left and self.ended() is not None

    def bury(self) -> None:
        """Let go of its number, once it has been struck until nothing was left, or for good."""
        if self._over:
            return
        self._over = True
        if self.ended() is None:
            self._descendants.give_up(self)
            self._process.returncode = -signal.SIGKILL  # it is asked for with the orphans, should it ever end
        else:
            self._process.wait()
            self._descendants.discard(self)


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
    descriptors: tuple[int, int, int], parent: int, become: Callable[[], None] | None, cgroup: Cgroup | None
) -> Callable[[], None]:
    """Return what runs between fork and exec; *descriptors* are of the socket, the secret and the channel."""

    def arrange() -> None:
        # The supervisor would take what is signalled to this process for its own.  Still root's, it cannot yet be
        # signalled by other processes of the app's user.
        signal.set_wakeup_fd(-1)
        if cgroup is not None:
            cgroup.enter()
        if become is not None:
            become()
        end_with_parent(parent)  # the system forgets it when the user changes, so not before
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _ABOVE) for descriptor in descriptors]
        for one, wanted in zip(high, (SOCKET_DESCRIPTOR, SECRET_DESCRIPTOR, CHANNEL_DESCRIPTOR), strict=True):
            os.dup2(one, wanted)

    return arrange
