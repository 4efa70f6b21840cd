"""Starts and ends one process of an app."""

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
from gradio_apps.runtime.supervisor.own_user import make_home, switch_user_function
from gradio_apps.runtime.supervisor.processes import MARK, Process, end
from portal.contract.privileges import as_root

SOCKET_DESCRIPTOR: Final = 3
"""Descriptor of the first socket in ``sd_listen_fds(3)``."""
_ABOVE: Final = 10
"""Temporary descriptors are at least this, while those below are arranged."""
_PR_SET_PDEATHSIG: Final = 1
_WITH_OWN_PID: Final = 'LISTEN_PID=$$ exec "$@"'
"""The protocol needs the pid of the process that gets the socket, which is known only after the fork."""


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
            raise OSError(None, f"{app.python} does not exist; create it with `portal apps install {app.slug}`")
        home = None if app.user is None else app.user.home
        if app.user is None and os.getuid() != os.geteuid():  # it could regain root
            raise OSError(None, "it has no user")
        if app.user is None or home is None:
            app.temp.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            make_home(home, uid=app.user.uid, gid=app.user.gid)
        self.uid = os.getuid() if app.user is None else app.user.uid
        self.mark = secrets.token_hex(16)
        self._descendants = descendants
        self._killed = self._released = False
        secret = _pipe_with(app.secret)
        self.channel, theirs = socket.socketpair()
        """The channel between the process and the supervisor."""
        self._cgroup = None if descendants.cgroups is None else descendants.cgroups.make(app.slug)
        become = None if app.user is None else switch_user_function(app.user)
        try:
            with as_root():
                self._process = subprocess.Popen(  # noqa: S603  the command is ours
                    ["/bin/sh", "-c", _WITH_OWN_PID, "sh", *command, app.source],
                    cwd=app.cwd or home,
                    env={**environment, MARK: self.mark},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # the supervisor handles a Ctrl-C at the terminal
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
        """Process id; also that of its process group."""
        return self._process.pid

    def ended(self) -> int | None:
        """Return the exit code as in ``subprocess``, or ``None`` while the process runs.

        On Linux, its number and that of its group are not reused before :meth:`release`.
        """
        if sys.platform == "linux" and self._process.returncode is None:
            with suppress(ChildProcessError):  # SIGCHLD is ignored here: the system does not keep exit codes
                ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None:
                    return None
                return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        return self._process.poll()

    def grouped(self) -> frozenset[int]:
        """Return the processes in its cgroup; none without one."""
        return frozenset() if self._cgroup is None else self._cgroup.pids()

    def members(self) -> frozenset[Process]:
        """Return the processes that belonged to it a moment ago, itself included."""
        return self._descendants.lately_of(self)

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM)."""
        if self.ended() is None:
            with suppress(ProcessLookupError), as_root():
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> bool:
        """Kill the process and everything that belongs to it; say whether nothing was left.

        This does not wait: the system may need time, or be unable to end a stuck process.
        """
        if self._released:  # its number may be reused by now
            return True
        if not self._killed:
            self._killed = True
            with suppress(ProcessLookupError, PermissionError), as_root():  # the only means without /proc
                os.killpg(self.pid, signal.SIGKILL)
        emptied = self._cgroup is None or self._cgroup.kill()
        left = self._descendants.of(self)
        for one in left:
            end(one)
        return emptied and not left and self.ended() is not None

    def release(self) -> None:
        """Release its process number, after :meth:`kill` left nothing, or could not."""
        if self._released:
            return
        self._released = True
        if self.ended() is None:
            self._descendants.give_up(self)
            self._process.returncode = -signal.SIGKILL  # it is reaped with the orphans, should it ever end
        else:
            self._process.wait()
            self._descendants.discard(self)


def command_for(python: str | None) -> tuple[str, ...]:
    """Return the command that serves a source, by the interpreter *python* or by this one."""
    if python is not None:
        return (python, str(Path(own_interpreter.__file__)))
    return (sys.executable, "-P", "-m", "gradio_apps.serve")  # -P: its working directory is not on sys.path


def end_with_parent(parent: int) -> None:
    """Make the system kill this process when *parent* ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)


def _pipe_with(secret: str) -> int:
    reading, writing = os.pipe()
    # A client secret fits into the pipe's buffer, so this does not block.
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(secret.encode())
    return reading


def _arrange(
    descriptors: tuple[int, int, int], parent: int, become: Callable[[], None] | None, cgroup: Cgroup | None
) -> Callable[[], None]:
    """Return a function for between fork and exec; *descriptors*: socket, secret and channel."""

    def arrange() -> None:
        # Otherwise the supervisor would handle signals to this process as its own.  While it is root's, other
        # processes of the app's user cannot signal it.
        signal.set_wakeup_fd(-1)
        if cgroup is not None:
            cgroup.enter()
        if become is not None:
            become()
        end_with_parent(parent)  # after the change of user, which resets it
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _ABOVE) for descriptor in descriptors]
        for one, target in zip(high, (SOCKET_DESCRIPTOR, SECRET_DESCRIPTOR, CHANNEL_DESCRIPTOR), strict=True):
            os.dup2(one, target)

    return arrange
