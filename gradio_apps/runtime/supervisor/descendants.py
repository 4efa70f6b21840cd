"""All descendants of this supervisor, and the process of an app that each belongs to (Linux).

The supervisor adopts orphans below it (``PR_SET_CHILD_SUBREAPER``), so descent is exact, whatever session, user and
environment a process has.  Other processes are never touched, even if they run as an app's user, such as those of
another supervisor or of cron.
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
"""Seconds for which the list of processes may be reused for memory checks and listings."""


class Started(Protocol):
    """A process of an app that was started and not yet released."""

    @property
    def pid(self) -> int:
        """Its number; also that of its session."""

    @property
    def uid(self) -> int:
        """Its user."""

    @property
    def mark(self) -> str:
        """The unique mark in its environment."""

    def grouped(self) -> frozenset[int]:
        """Return the processes in its cgroup."""


class Descendants:
    """The descendants of this process; in *cgroups*, if those can be created."""

    def __init__(self, cgroups: Cgroups | None = None) -> None:
        self.cgroups = cgroups
        self._started: set[Started] = set()
        self._given_up: frozenset[Process] = frozenset()
        """Processes that the system could not end."""
        self._last: tuple[float, Mapping[Started, frozenset[Process]]] = (-_FRESH, {})

    def add(self, started: Started) -> None:
        """Note that *started* was started."""
        self._started.add(started)

    def discard(self, started: Started) -> None:
        """Note that nothing of *started* runs any more."""
        self._started.discard(started)

    def give_up(self, started: Started) -> None:
        """Note that the system cannot end the rest of *started*, so that it is not assigned to another."""
        self._given_up |= self.of(started)
        self.discard(started)

    def lately_of(self, started: Started) -> frozenset[Process]:
        """Return what belonged to *started* a moment ago, from a list that all callers share."""
        now = time.monotonic()
        if now - self._last[0] > _FRESH or started not in self._last[1]:
            self._last = (now, self._by_owner())
        return self._last[1].get(started, frozenset())

    def of(self, started: Started) -> frozenset[Process]:
        """Return the processes that belong to *started*, itself included.

        These are the processes in its cgroup and session, those with its mark, and their descendants; and those of its
        user that cannot be assigned otherwise, if no other app has that user.
        """
        return self._by_owner().get(started, frozenset())

    def _by_owner(self) -> Mapping[Started, frozenset[Process]]:
        here = look_at(os.getpid())
        if here is None or not self._started:
            return {}
        current = descendants_of(here)
        self._given_up &= current  # the others have ended
        members, others = _assign(current - self._given_up, self._started)
        users = Counter(one.uid for one in self._started)
        alone = {one.uid: one for one in self._started if users[one.uid] == 1}
        for process in others:
            uid = uid_of(process)
            if uid in alone:
                members[alone[uid]] |= {process}
        return members

    def reap(self) -> None:
        """Reap adopted processes that have ended; the exit codes of started ones stay available."""
        known = {one.pid for one in self._started}
        if sys.platform == "linux":
            with suppress(ChildProcessError):
                while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                    if ended.si_pid in known:
                        break
                    os.waitpid(ended.si_pid, 0)


def adopt_orphans() -> None:
    """Make this process the parent of orphaned descendants, instead of the system's first process (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _assign(
    processes: frozenset[Process], started: set[Started]
) -> tuple[dict[Started, frozenset[Process]], frozenset[Process]]:
    """Return the *processes* of each of *started*, and those that cannot be assigned."""
    members: dict[Started, frozenset[Process]] = {}
    for one in started:
        inside = one.grouped() | {one.pid}
        first = (process for process in processes if process.pid in inside or process.session == one.pid)
        members[one] = with_descendants(first, processes)
    others = processes.difference(*members.values())
    marks = {one.mark: one for one in started}
    for process in others:
        owner = marks.get(mark_of(process) or "")
        if owner is not None:
            members[owner] |= with_descendants([process], others)
    return members, others.difference(*members.values())
