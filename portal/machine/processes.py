"""Processes that live and die together: started in order, ended within five seconds, never left behind.

Each child leads a process group of its own, so that Ctrl-C reaches this process alone and
the end is orderly; and on Linux the kernel ends it when this process dies without a word.
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

from portal.contract.privileges import taken_up
from portal.machine.terminal import plain
from portal.machine.users import Account

GRACE: Final = 3.5
"""Seconds children have to end by themselves, where nobody says otherwise."""
_PR_SET_PDEATHSIG: Final = 1
_TAIL: Final = 4096
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process to start."""

    name: str
    """What it is, for a message."""
    argv: Sequence[str]
    environ: Mapping[str, str]
    cwd: Path | None = None
    document: str | None = None
    """Written to its standard input, which is then closed."""
    log: Path | None = None
    """Where its output goes; ``None``: to this process's own."""
    account: Account | None = None
    """Whom it runs as; ``None``: as this process acts."""
    grace: float = GRACE
    """Seconds it has to end by itself."""
    groups: tuple[int, ...] = ()
    """Groups of :attr:`account` besides its own."""

    @property
    def change_of_user(self) -> dict[str, Any]:
        """Arguments of ``subprocess.Popen``; a right that was put aside is never inherited unasked."""
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

    def last_words(self) -> str:
        """Return the end of its log."""
        return "" if self.log is None else tail_of(self.log)


def tail_of(log: Path) -> str:
    """Return the last lines of *log*, fit for a terminal, or nothing."""
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
        """Set once somebody asked for the end."""

    @contextmanager
    def until_told(self, *, hung_up: Callable[[], None] | None = None) -> Iterator["Processes"]:
        """Listen to SIGINT, SIGTERM and SIGHUP; in the end, end everything, however the block is left.

        Asked a second time, it does not wait for anybody.  With *hung_up* SIGHUP is not the end, but calls that, from
        a signal handler.
        """

        def asked(number: int, frame: FrameType | None) -> None:
            del frame
            if number == signal.SIGHUP and hung_up is not None:
                hung_up()
                return
            if self.stopping.is_set():
                self._kill()
            self.stopping.set()

        # What was ignored from outside stays ignored: nohup means it.
        ours = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, asked) for number in ours}
        try:
            yield self
        finally:
            self.stopping.set()
            self.end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, program: Program) -> None:
        """Start *program*; nothing once the end was asked for."""
        if self.stopping.is_set():
            return
        output: IO[bytes] | None = None
        if program.log is not None:
            output = os.fdopen(os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        change_of_user = program.change_of_user
        try:
            with taken_up():
                process = subprocess.Popen(  # noqa: S603 - our own command lines, without a shell
                    program.argv,
                    env=dict(program.environ),
                    cwd=program.cwd,
                    stdin=subprocess.PIPE if program.document is not None else subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if output is not None else None,
                    process_group=0,
                    preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509 - no thread has been started yet
                    **change_of_user,
                )
        finally:
            if output is not None:
                output.close()
        self._running.append((program, process))
        if process.stdin is not None and program.document is not None:
            with suppress(BrokenPipeError), process.stdin:  # it ended at once: its exit code will say why
                process.stdin.write(program.document.encode())

    def ended(self) -> Ended | None:
        """Return the first process found to have ended by itself, or ``None``."""
        for program, process in self._running:
            code = process.poll()
            if code is not None:
                return Ended(name=program.name, code=code, log=program.log)
        return None

    def forget(self, name: str) -> None:
        """Forget the processes called *name* that have ended."""
        self._running = [(one, process) for one, process in self._running if one.name != name or process.poll() is None]

    def pid_of(self, name: str) -> int | None:
        """Return the process id of the process called *name*, or ``None`` if there is none that runs."""
        running = (process for program, process in self._running if program.name == name and process.poll() is None)
        return next((process.pid for process in running), None)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send the signal *number* to the processes called *name*, and not to what they started."""
        for program, process in self._running:
            if program.name == name and process.poll() is None:
                with suppress(ProcessLookupError), taken_up():
                    process.send_signal(number)

    def watch(self, *, step: Callable[[], None], pause: float = 0.2) -> Ended | None:
        """Call *step* again and again until somebody asks for the end (``None``) or a process ends by itself."""
        while not self.stopping.wait(pause):
            ended = self.ended()
            if ended is not None:
                # Ctrl-C in a terminal that sends it to everybody: let our own handler run first.
                return None if self.stopping.wait(0.1) else ended
            step()
        return None

    def end(self) -> None:
        """End every process: first asked, then after its time made to."""
        for _, process in self._running:
            if process.poll() is None:
                with suppress(ProcessLookupError), taken_up():
                    process.terminate()
        asked = time.monotonic()
        for program, process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, asked + program.grace - time.monotonic()))
        self._kill()
        for _, process in self._running:
            process.wait()

    def _kill(self) -> None:
        for _, process in self._running:
            # The whole group: what a child left behind goes too.
            with suppress(ProcessLookupError, PermissionError), taken_up():
                os.killpg(process.pid, signal.SIGKILL)


def _dying_with(parent: int) -> Callable[[], None] | None:
    """Return what a child runs to be sent SIGTERM when *parent* dies; Linux only (prctl(2))."""
    if sys.platform != "linux":  # pragma: no cover - elsewhere the end of a killed command is not noticed
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: between fork and exec nothing should be imported

    def arrange() -> None:  # pragma: no cover - runs between fork and exec, where nothing is measured
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return arrange
