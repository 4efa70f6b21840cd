"""One run of the tests: whatever it starts and writes is gone when it ends, however it ends (Linux).

pytest goes on in a child process.  Between it and the process that started it stands a custodian: in a session of its
own, so that no signal to a process group reaches it, and the subreaper (prctl(2)) of everything below, so that no
process leaves the run by losing its parent or making a session.  The custodian ends all of them when pytest has ended,
or when the process that was started as pytest has: by ``kill -9``, too.
"""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

RUN: Final = "PORTAL_TEST_RUN"
"""Variable with the folder of the run, in pytest and what it starts."""
_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STARTER_GONE: Final = signal.SIGUSR1
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_GRACE: Final = 5.0
"""Seconds for what ends by itself after pytest."""
_PAUSE: Final = 0.05
_LEFT_BEHIND: Final = 1


def begin() -> None:
    """Make this a run of its own; what runs inside one stays in it."""
    if RUN in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="gp-")
    os.chmod(folder, 0o711)  # noqa: PTH101, S103 - other users pass through to what tests give them
    os.environ[RUN] = os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    if sys.platform == "linux":
        _divide(Path(folder))


def folder() -> Path:
    """Return the folder of the run, which other users can pass through."""
    return Path(os.environ[RUN])


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder *name* of this run, which *make* fills once, whichever worker asks first."""
    import fcntl

    made, done = folder() / name, folder() / f"{name}.made"
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(made, ignore_errors=True)  # of an attempt that failed
            made.mkdir(mode=0o755)
            made.chmod(0o755)
            make(made)
            done.touch()
    return made


def _divide(folder: Path) -> None:
    starter = os.getpid()
    custodian = os.fork()
    if custodian:
        _stand_for(custodian)
    os.setsid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    gone = []
    signal.signal(_STARTER_GONE, lambda *_: gone.append(True))
    _prctl(_PR_SET_PDEATHSIG, _STARTER_GONE)
    if os.getppid() != starter:
        os._exit(_LEFT_BEHIND)
    pytest = os.fork()
    if pytest:
        _keep(pytest, folder, gone)
    signal.signal(_STARTER_GONE, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stand_for(custodian: int) -> NoReturn:
    """Be what was started as pytest: pass signals on, and end as it does."""
    for number in _PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(custodian, number))
    _, status = os.waitpid(custodian, 0)
    os._exit(_code(status))


def _keep(pytest: int, folder: Path, gone: list[bool]) -> NoReturn:
    """Wait for *pytest*, then end whatever it left behind and remove *folder*."""

    def pass_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(pytest, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    code = None
    while code is None and not gone:
        code = _reap(pytest)
        time.sleep(_PAUSE if code is None else 0)
    until = time.monotonic() + (_GRACE if code == 0 else 0)
    while time.monotonic() < until and not gone and any(_below(os.getpid())):
        _reap(None)
        time.sleep(_PAUSE)
    left = [] if code is None else [f"{pid}: {_command(pid)}" for pid in _below(os.getpid())]
    until = time.monotonic() + _GRACE
    while any(_below(os.getpid())) and time.monotonic() < until:
        for pid in _below(os.getpid()):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reap(None)
        time.sleep(_PAUSE)
    _remove(folder)
    if left and code == 0:
        code = _LEFT_BEHIND
        os.write(2, ("The tests left processes behind:\n" + "\n".join(left) + "\n").encode())
    os._exit(_LEFT_BEHIND if code is None else code)


def _reap(awaited: int | None) -> int | None:
    """Take note of every child that has ended; return the exit code of *awaited*, once it has."""
    found = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == awaited:
                found = _code(status)
    return found


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _below(top: int) -> Iterator[int]:
    """Yield every process that descends from *top* and has not ended, the nearest first."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                state, parent = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    children.setdefault(int(parent), []).append(int(entry.name))
    waiting = children.get(top, [])
    while waiting:
        pid = waiting.pop(0)
        yield pid
        waiting += children.get(pid, [])


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return "(ended)"


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path, folders, _ in os.walk(folder):  # from the top: each is opened before it is looked into
        for inner in (Path(path, name) for name in folders):
            if not inner.is_symlink():
                with suppress(OSError):
                    inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _prctl(option: int, argument: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
