"""Ending what belongs to an app, until nothing of it is left (Linux)."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from gradio_apps.runtime.supervisor.apart import held_back, stand_apart
from gradio_apps.runtime.supervisor.own_user import OwnUser
from gradio_apps.runtime.supervisor.processes import Process, look_at, of_user, running
from portal.contract.privileges import taken_up

_ROUNDS: Final = 100
"""Most looks for what was started while others were ended."""
_TRIES: Final = 20
_PATIENCE: Final = 0.2
"""Seconds for one try: whoever does it runs as the app's user, and the app could get at it meanwhile."""
_PAUSE: Final = 0.001


def end_all(members: Callable[[], Iterable[Process]]) -> bool:
    """End *members*, and look again until there are none that were not there before: one may start others meanwhile.

    Return whether that was so in the end.
    """
    ended: set[Process] = set()
    for _ in range(_ROUNDS):
        new = set(members()) - ended
        if not new:
            return True
        for one in new:
            end(one)
        ended |= new
    return False


def end(process: Process) -> None:
    """End *process*, and never another that was given its number."""
    try:
        handle = os.pidfd_open(process.pid)
    except (OSError, AttributeError):  # it ended; or this system has no such handles, and nothing in /proc either
        return
    try:
        now = look_at(process.pid)
        if now is not None and (now.begun, now.uid) == (process.begun, process.uid):
            with suppress(OSError), taken_up():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


def end_everything_of(user: OwnUser) -> bool:
    """End every process of *user*, all at once, but for what root started besides; say whether that was done.

    One call of the system's (kill(2) with -1), made by a process that has become that user: no process can fork itself
    out of its way, as it could while somebody counts them one by one.  And it is the system that says whose they are.
    Only where something is to be spared they are counted.
    """

    def found() -> tuple[frozenset[Process], frozenset[Process]]:
        return of_user(user.uid, running(), supervisor=os.getpid())

    strays, spared = found()
    if spared:
        return end_all(lambda: found()[0])
    if not strays:
        return True
    try:
        return any(_tried(user) for _ in range(_TRIES))
    except OSError:  # no room for one more process
        return False


def _tried(user: OwnUser) -> bool:
    with held_back():
        helper = os.fork()
        if helper == 0:
            _become_and_end(user)
    until = time.monotonic() + _PATIENCE
    while True:
        ended, status = os.waitpid(helper, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        if time.monotonic() > until:  # the app stopped it
            with suppress(OSError), taken_up():
                os.kill(helper, signal.SIGKILL)
            os.waitpid(helper, 0)
            return False
        time.sleep(_PAUSE)


def _become_and_end(user: OwnUser) -> None:  # pragma: no cover - a process of its own, which ends here
    code = 1
    try:
        stand_apart()
        os.seteuid(0)
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        if user.uid > 0 and os.getresuid() == (user.uid,) * 3:  # nobody else's, whatever came before
            with suppress(ProcessLookupError):  # none was left
                os.kill(-1, signal.SIGKILL)
            code = 0
    finally:
        os._exit(code)
