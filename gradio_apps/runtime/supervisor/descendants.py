"""Everything that descends from this supervisor, and which process of an app it belongs to (Linux).

The supervisor takes the place of a parent that ends below it (``PR_SET_CHILD_SUBREAPER``), so descent is exact,
whatever session, user and environment a process has: a process cannot choose its parent.  What does not descend from
this supervisor is never touched, though it may run as an app's user: another supervisor's, or what cron started.
"""

import ctypes
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from gradio_apps.runtime.supervisor.cgroups import Cgroups
from gradio_apps.runtime.supervisor.processes import (
    Process,
    descendants_of,
    look_at,
    mark_of,
    uid_of,
    with_descendants,
)

_PR_SET_CHILD_SUBREAPER: Final = 36
_FRESH: Final = 0.5
"""Seconds that a look at all processes holds for those who only weigh or list."""


class Started(Protocol):
    """A process of an app that was started and has not been ended with all that belongs to it."""

    @property
    def pid(self) -> int:
        """Its number; also of its session."""

    @property
    def uid(self) -> int:
        """Its user."""

    @property
    def mark(self) -> str:
        """What it carries in its environment, and no other does."""

    def grouped(self) -> frozenset[int]:
        """Return the processes in its cgroup."""


class Descendants:
    """The processes that descend from this one; *cgroups* hold them, where those may be made."""

    def __init__(self, cgroups: Cgroups | None = None) -> None:
        self.cgroups = cgroups
        self._started: set[Started] = set()
        self._given_up: frozenset[Process] = frozenset()
        """What the system could not end."""
        self._last: tuple[float, Mapping[Started, frozenset[Process]]] = (-_FRESH, {})

    def add(self, started: Started) -> None:
        """Note that *started* was started."""
        self._started.add(started)

    def discard(self, started: Started) -> None:
        """Note that nothing of *started* is to run any more."""
        self._started.discard(started)

    def give_up(self, started: Started) -> None:
        """Note that the system cannot end what is left of *started*: it belongs to no other from now on."""
        self._given_up |= self.of(started)
        self.discard(started)

    def lately_of(self, started: Started) -> frozenset[Process]:
        """Return what belonged to *started* a moment ago: one look is for all that are asked for in that moment."""
        now = time.monotonic()
        if now - self._last[0] > _FRESH or started not in self._last[1]:
            self._last = (now, self._looked())
        return self._last[1].get(started, frozenset())

    def of(self, started: Started) -> frozenset[Process]:
        """Return what belongs to *started*, itself included.

        That is what is in its cgroup and in its session, what carries its mark, and what descends from these; and what
        none of those that were started can be seen to have started, if no other runs as its user.
        """
        return self._looked().get(started, frozenset())

    def _looked(self) -> Mapping[Started, frozenset[Process]]:
        here = look_at(os.getpid())
        if here is None or not self._started:
            return {}
        seen = descendants_of(here)
        self._given_up &= seen  # the others have ended after all
        found, others = _shared_out(seen - self._given_up, self._started)
        users = Counter(one.uid for one in self._started)
        alone = {one.uid: one for one in self._started if users[one.uid] == 1}
        for process in others:
            uid = uid_of(process)
            if uid in alone:
                found[alone[uid]] |= {process}
        return found

    def reap(self) -> None:
        """Have the system forget those that were adopted and have ended; how the others ended is still to be asked."""
        known = {one.pid for one in self._started}
        if sys.platform == "linux":
            with suppress(ChildProcessError):
                while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                    if ended.si_pid in known:
                        break
                    os.waitpid(ended.si_pid, 0)


def adopt_orphans() -> None:
    """Have what loses its parent below this process become its child (prctl(2)), not the system's first process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _shared_out(
    processes: frozenset[Process], started: set[Started]
) -> tuple[dict[Started, frozenset[Process]], frozenset[Process]]:
    """Return which of *processes* belong to each of *started*, and those of which nothing says so."""
    found: dict[Started, frozenset[Process]] = {}
    for one in started:
        inside = one.grouped() | {one.pid}
        first = (process for process in processes if process.pid in inside or process.session == one.pid)
        found[one] = with_descendants(first, processes)
    others = processes.difference(*found.values())
    marks = {one.mark: one for one in started}
    for process in others:
        owner = marks.get(mark_of(process) or "")
        if owner is not None:
            found[owner] |= with_descendants([process], others)
    return found, others.difference(*found.values())
