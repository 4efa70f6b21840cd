"""What one app has running, all its processes taken together: counted, and ended when the last of them has gone."""

import os
from collections.abc import Callable, Collection
from typing import Protocol

from gradio_apps.runtime.supervisor.ending import end_everything_of
from gradio_apps.runtime.supervisor.own_user import OwnUser
from gradio_apps.runtime.supervisor.processes import Process, of_user


class Started(Protocol):
    """What was started for an app."""

    def members(self, processes: Collection[Process]) -> frozenset[Process]:
        """Return those of *processes* that belong to it."""


class Users:
    """The users that an app was started as and may still run as.

    *is_alone* says whether everything that runs as one of them is this app's.
    """

    def __init__(self, is_alone: Callable[[OwnUser], bool]) -> None:
        self._is_alone = is_alone
        self._users: set[OwnUser] = set()

    @property
    def uids(self) -> frozenset[int]:
        """Their numbers."""
        return frozenset(user.uid for user in self._users)

    def add(self, user: OwnUser | None) -> None:
        """Note that the app runs as *user*."""
        if user is not None:
            self._users.add(user)

    def end_everything(self) -> tuple[int, ...]:
        """End what runs as any of them, and return those of whom something is left.

        Nothing of the app is to run any more.  A user that is not this app's alone is let be.
        """
        users, self._users = self._users, set()
        return tuple(user.uid for user in users if self._is_alone(user) and not end_everything_of(user))

    def members_of(
        self, one: Started, among: Collection[Started], processes: Collection[Process]
    ) -> frozenset[Process]:
        """Return those of *processes* that *one* answers for.

        For what none *among* those that run seems to have started, each does.
        """
        known = frozenset[Process]().union(*(other.members(processes) for other in among))
        alone = [user.uid for user in self._users if self._is_alone(user)]
        everything = frozenset[Process]().union(*(of_user(uid, processes, supervisor=os.getpid())[0] for uid in alone))
        return one.members(processes) | (everything - known)
