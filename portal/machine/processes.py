"""Processes that run together: started in order, ended within five seconds, never left behind.

Each child leads a process group of its own, so Ctrl-C reaches only this process, which ends them in order.  On Linux,
the kernel ends a child when this process dies.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final

from portal.contract.privileges import as_root
from portal.machine.terminal import plain
from portal.machine.users import Account

GRACE: Final = 3.5
"""Default seconds that a child has to end after SIGTERM."""
_PR_SET_PDEATHSIG: Final = 1
_PAUSE: Final = 0.2
"""Seconds between two steps of :meth:`Processes.watch`."""
_TAIL: Final = 4096
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process to start."""

    name: str
    """For messages."""
    argv: Sequence[str]
    environ: Mapping[str, str]
    cwd: Path | None = None
    document: str | None = None
    """Written to its standard input, which is then closed."""
    log: Path | None = None
    """File for its output; ``None``: this process's output."""
    account: Account | None = None
    """Its user; ``None``: the effective user of this process."""
    grace: float = GRACE
    """Seconds it has to end after SIGTERM."""
    groups: tuple[int, ...] = ()
    """Supplementary groups of :attr:`account`."""

    @property
    def change_of_user(self) -> dict[str, Any]:
        """Arguments of ``subprocess.Popen``; rights that this process put aside are not inherited."""
        if self.account is not None:
            return {"user": self.account.uid, "group": self.account.gid, "extra_groups": self.groups}
        if os.getuid() == os.geteuid():
            return {}
        return {"user": os.geteuid(), "group": os.getegid(), "extra_groups": os.getgroups()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that ended by itself."""

    name: str
    code: int
    log: Path | None

    def log_tail(self) -> str:
        """Return the last lines of its log, or an empty text."""
        return "" if self.log is None else tail_of(self.log)


def tail_of(log: Path) -> str:
    """Return the last lines of *log*, escaped for a terminal; empty if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return plain("\n".join(lines[-25:]))


class Processes:
    """The processes of one command."""

    def __init__(self) -> None:
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []
        self.stopping = threading.Event()
        """Set by the first signal to stop."""

    @contextmanager
    def until_stopped(self, *, on_hangup: Callable[[], None] | None = None) -> Iterator["Processes"]:
        """Handle SIGINT, SIGTERM and SIGHUP within the block; end all processes when it is left.

        A second signal kills them at once.  With *on_hangup*, SIGHUP calls that instead, from a signal handler.
        """

        def handle(number: int, frame: FrameType | None) -> None:
            del frame
            if number == signal.SIGHUP and on_hangup is not None:
                on_hangup()
                return
            if self.stopping.is_set():
                self._kill()
            self.stopping.set()

        # A signal that is ignored, as by nohup, stays ignored.
        handled = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in handled}
        try:
            yield self
        finally:
            self.stopping.set()
            self.end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, program: Program) -> None:
        """Start *program*, unless a signal to stop has arrived."""
        if self.stopping.is_set():
            return
        output: IO[bytes] | None = None
        if program.log is not None:
            output = os.fdopen(os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        change_of_user = program.change_of_user
        try:
            with as_root():
                process = subprocess.Popen(  # noqa: S603 - our own command lines, without a shell
                    program.argv,
                    env=dict(program.environ),
                    cwd=program.cwd,
                    stdin=subprocess.PIPE if program.document is not None else subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if output is not None else None,
                    process_group=0,
                    preexec_fn=_end_with_parent(os.getpid()),  # noqa: PLW1509 - no thread has been started yet
                    **change_of_user,
                )
        finally:
            if output is not None:
                output.close()
        self._running.append((program, process))
        if process.stdin is not None and program.document is not None:
            with suppress(BrokenPipeError), process.stdin:  # it ended at once: see its exit code
                process.stdin.write(program.document.encode())

    def ended(self) -> Ended | None:
        """Return the first process that has ended by itself, or ``None``."""
        for program, process in self._running:
            code = process.poll()
            if code is not None:
                return Ended(name=program.name, code=code, log=program.log)
        return None

    def forget(self, name: str) -> None:
        """Drop the processes called *name* that have ended."""
        self._running = [(one, process) for one, process in self._running if one.name != name or process.poll() is None]

    def pid_of(self, name: str) -> int | None:
        """Return the process id of the running process called *name*, or ``None``."""
        running = (process for program, process in self._running if program.name == name and process.poll() is None)
        return next((process.pid for process in running), None)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send the signal *number* to the processes called *name*, but not to their children."""
        for program, process in self._running:
            if program.name == name and process.poll() is None:
                with suppress(ProcessLookupError), as_root():
                    process.send_signal(number)

    def watch(self, *, step: Callable[[], None]) -> Ended | None:
        """Call *step* repeatedly until a signal to stop (``None``), or until a process ends by itself."""
        while not self.stopping.wait(_PAUSE):
            ended = self.ended()
            if ended is not None:
                # A terminal may send Ctrl-C to all processes: let our own handler run first.
                return None if self.stopping.wait(0.1) else ended
            step()
        return None

    def end(self) -> None:
        """End every process: SIGTERM first, SIGKILL after its grace."""
        for _, process in self._running:
            if process.poll() is None:
                with suppress(ProcessLookupError), as_root():
                    process.terminate()
        began = time.monotonic()
        for program, process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, began + program.grace - time.monotonic()))
        self._kill()
        for _, process in self._running:
            process.wait()

    def _kill(self) -> None:
        for _, process in self._running:
            # The whole group, with what a child left behind.
            with suppress(ProcessLookupError, PermissionError), as_root():
                os.killpg(process.pid, signal.SIGKILL)


def _end_with_parent(parent: int) -> Callable[[], None] | None:
    """Return a function by which a child gets SIGTERM when *parent* dies; Linux only (prctl(2))."""
    if sys.platform != "linux":  # pragma: no cover - other systems have no such signal
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: between fork and exec nothing should be imported

    def arrange() -> None:  # pragma: no cover - runs between fork and exec, where nothing is measured
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it has died already
            os._exit(1)

    return arrange
