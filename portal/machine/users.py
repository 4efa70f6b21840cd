"""The users of this machine that portal and apps run as, and why some are not allowed.

``accounts_of`` uses a :class:`UserDirectory` and nothing else of the system.
"""

import grp
import os
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from portal.configuration.app_users import DYNAMIC, NOBODY
from portal.errors import Problem
from portal.rules.catalogue import AppSpec
from portal.settings import Settings

_ROOT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this machine."""

    uid: int
    gid: int
    """Group of its processes."""
    groups: frozenset[int] = field(default=frozenset(), compare=False)
    """Other groups that it is in: units start apps with them, and newgrp(1) gives them to any process."""
    name: str | None = None
    """``None`` if no user of this machine has the number."""
    home: str = "/"

    def is_number(self, uid: int) -> bool:
        """Return whether this user has the number *uid*, or may get it."""
        return uid == self.uid or (self == UNKNOWN_USER and uid in DYNAMIC and uid != NOBODY)

    def __str__(self) -> str:
        if self == UNKNOWN_USER:
            return "a user that systemd creates"
        return f"user {self.uid}" if self.name is None else f"{self.name} ({self.uid})"


ROOT: Final = Account(uid=_ROOT, gid=_ROOT, name="root", home="/root")
UNKNOWN_USER: Final = Account(uid=-1, gid=-1)
"""A user that systemd creates, or that does not exist yet: it is in no group of this machine."""


class UserDirectory(Protocol):
    """The users and groups of a machine."""

    def by_name(self, name: str) -> Account | None:
        """Return the user called *name*."""

    def by_uid(self, uid: int) -> Account | None:
        """Return the user with the number *uid*."""

    def has_group(self, gid: int) -> bool:
        """Return whether there is a group with the number *gid*."""


class SystemUsers:
    """Users and groups of the system's name service."""

    def by_name(self, name: str) -> Account | None:
        """Return the user called *name*."""
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            return None

    def by_uid(self, uid: int) -> Account | None:
        """Return the user with the number *uid*."""
        try:
            return _account(pwd.getpwuid(uid))
        except KeyError:
            return None

    def has_group(self, gid: int) -> bool:
        """Return whether there is a group with the number *gid*."""
        try:
            grp.getgrgid(gid)
        except KeyError:
            return False
        return True


def _account(entry: pwd.struct_passwd) -> Account:
    groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)) - {entry.pw_gid}
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, groups=groups, name=entry.pw_name, home=entry.pw_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The users of portal and apps."""

    portal: Account | None
    """``None``: the user who starts it."""
    apps: Mapping[str, Account] = field(default_factory=dict)
    """By slug; only apps that have a user of their own."""


def accounts_of(settings: Settings, *, place: str, directory: UserDirectory) -> tuple[Accounts, tuple[Problem, ...]]:
    """Return the users in *settings*, and every problem with them; *place* is the configuration file, for problems."""
    portal = None if settings.user is None else _known(settings.user, directory)
    found = {app: _for_app(app.user, settings, directory) for app in settings.catalogue if app.user is not None}
    apps = {app.slug: account for app, account in found.items() if account is not None}
    noted = [("portal.user", *problem) for problem in _problems_of_portal(settings, portal, apps=bool(found))]
    for app, account in found.items():
        key = f"apps.{app.slug}.user"
        if account is None:
            noted.append((key, f"names {app.user!r}, which is not a user of this machine.", _useradd(app.user or "")))
        else:
            own = _problems_of_app(app, account, settings=settings, portal=portal, directory=directory)
            noted += [(key, *problem) for problem in own]
    noted += [(f"apps.{slug}.user", *problem) for slug, problem in _shared_ids(settings, apps)]
    problems = tuple(Problem(place=place, key=key, what=what, fix=fix) for key, what, fix in noted)
    return Accounts(portal=portal, apps=apps), problems


def _problems_of_portal(settings: Settings, portal: Account | None, *, apps: bool) -> Iterator[tuple[str, str]]:
    if settings.user is None:
        if apps and settings.apps_run_by == "portal":
            yield (
                "is missing although apps have users of their own: the portal would run as root.",
                'Create a user for the portal with useradd --system, and write user = "gradio-portal".',
            )
    elif portal is None:
        yield f"names {settings.user!r}, which is not a user of this machine.", _useradd(settings.user)
    elif _ROOT in {portal.uid, portal.gid}:
        yield "must not be root or in root's group.", "Create a user for the portal with useradd --system."


def _known(user: str, directory: UserDirectory) -> Account | None:
    return directory.by_uid(int(user)) if user.isdigit() else directory.by_name(user)


def _for_app(user: str, settings: Settings, directory: UserDirectory) -> Account | None:
    if user.isdigit() and settings.app_uids is not None and int(user) in settings.app_uids:
        return Account(uid=int(user), gid=int(user))
    return _known(user, directory)


def _problems_of_app(
    app: AppSpec, account: Account, *, settings: Settings, portal: Account | None, directory: UserDirectory
) -> Iterator[tuple[str, str]]:
    own = "Create a user for it with useradd --system."
    if _ROOT in {account.uid, account.gid}:
        yield "must not be root or in root's group: root can read everything.", own
    elif NOBODY in {account.uid, account.gid}:
        yield "must not be nobody: other programs run as that user too.", own
    elif portal is not None and account.uid == portal.uid:
        yield "must not be the portal's user: the app could read the portal's database, keys and environment.", own
    elif portal is not None and account.gid == portal.gid:
        yield "must not be in the portal's group: the app could read what that group may read.", own
    if account.name is not None or settings.app_uids is None or account.uid not in settings.app_uids:
        return
    taken = directory.by_uid(account.uid)
    if taken is not None or directory.has_group(account.gid):
        owner = f"the user {taken.name}" if taken is not None else "a group"
        yield (
            f"is {account.uid} of portal.app_uids, but {owner} has that number. Numbers of the range must be free.",
            f"Write another range, or a user for {app.slug}.",
        )


def _shared_ids(settings: Settings, apps: Mapping[str, Account]) -> Iterator[tuple[str, tuple[str, str]]]:
    written = {app.slug: app.user for app in settings.catalogue}
    for at, (slug, account) in enumerate(apps.items()):
        for other, its in list(apps.items())[:at]:
            # One name for two apps is checked elsewhere; these are different names with the same number.
            if written[slug] != written[other] and (account.uid == its.uid or account.gid == its.gid):
                yield (
                    slug,
                    (
                        f"has the number or the group of the user of {other}: each app could read the other's files.",
                        "Give it a user and a group of its own.",
                    ),
                )
                break


def _useradd(user: str) -> str:
    if user.isdigit():
        return "Write the name or number of an existing user, or include it in portal.app_uids."
    return f"Create the user: useradd --system {user}"
