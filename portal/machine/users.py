"""The users of this machine that portal and apps run as: who they are, and why they may not be that.

``accounts_of`` decides over what a :class:`UserDirectory` says; it asks nothing else.
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
    """One user."""

    uid: int
    gid: int
    """The group that its processes are started with."""
    groups: frozenset[int] = field(default=frozenset(), compare=False)
    """Other groups that the system has it in: units start an app with them, and newgrp(1) gives them to any process."""
    name: str | None = None
    """``None`` where nobody here has the number."""
    home: str = "/"

    def is_number(self, uid: int) -> bool:
        """Say whether this user has the number *uid*, or may be given it."""
        return uid == self.uid or (self == NOT_YET and uid in DYNAMIC and uid != NOBODY)

    def __str__(self) -> str:
        if self == NOT_YET:
            return "a user that is made for it"
        return f"user {self.uid}" if self.name is None else f"{self.name} ({self.uid})"


ROOT: Final = Account(uid=_ROOT, gid=_ROOT, name="root", home="/root")
NOT_YET: Final = Account(uid=-1, gid=-1)
"""Stands for a user that systemd makes, or that somebody has yet to make: it is in no group of this machine."""


class UserDirectory(Protocol):
    """Whom this machine knows."""

    def by_name(self, name: str) -> Account | None:
        """Return the user called *name*."""

    def by_uid(self, uid: int) -> Account | None:
        """Return the user with the number *uid*."""

    def has_group(self, gid: int) -> bool:
        """Say whether there is a group with the number *gid*."""


class SystemUsers:
    """The users that the system's name service knows."""

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
        """Say whether there is a group with the number *gid*."""
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
    """Who runs what."""

    portal: Account | None
    """``None``: whoever starts it."""
    apps: Mapping[str, Account] = field(default_factory=dict)
    """By slug: the apps that have a user of their own."""


def accounts_of(settings: Settings, *, place: str, directory: UserDirectory) -> tuple[Accounts, tuple[Problem, ...]]:
    """Return who runs what by *settings*, and every problem with that; *place* is the file, for problems."""
    portal = None if settings.user is None else _known(settings.user, directory)
    found = {app: _for_app(app.user, settings, directory) for app in settings.catalogue if app.user is not None}
    apps = {app.slug: account for app, account in found.items() if account is not None}
    noted = [("portal.user", *fault) for fault in _faults_of_portal(settings, portal, apps=bool(found))]
    for app, account in found.items():
        key = f"apps.{app.slug}.user"
        if account is None:
            noted.append((key, f"names {app.user!r}, whom this machine does not know.", _useradd(app.user or "")))
        else:
            faults = _faults(app, account, settings=settings, portal=portal, directory=directory)
            noted += [(key, *fault) for fault in faults]
    noted += [(f"apps.{slug}.user", *fault) for slug, fault in _same(settings, apps)]
    problems = tuple(Problem(place=place, key=key, what=what, fix=fix) for key, what, fix in noted)
    return Accounts(portal=portal, apps=apps), problems


def _faults_of_portal(settings: Settings, portal: Account | None, *, apps: bool) -> Iterator[tuple[str, str]]:
    if settings.user is None:
        if apps and settings.apps_run_by == "portal":
            yield (
                "is missing, and apps have users of their own: the portal would be root's beside them.",
                'Make a user for the portal, with useradd --system, and write user = "gradio-portal".',
            )
    elif portal is None:
        yield f"names {settings.user!r}, whom this machine does not know.", _useradd(settings.user)
    elif _ROOT in {portal.uid, portal.gid}:
        yield "is root, or of root's group.", "Make a user for the portal, with useradd --system."


def _known(user: str, directory: UserDirectory) -> Account | None:
    return directory.by_uid(int(user)) if user.isdigit() else directory.by_name(user)


def _for_app(user: str, settings: Settings, directory: UserDirectory) -> Account | None:
    if user.isdigit() and settings.app_uids is not None and int(user) in settings.app_uids:
        return Account(uid=int(user), gid=int(user))
    return _known(user, directory)


def _faults(
    app: AppSpec, account: Account, *, settings: Settings, portal: Account | None, directory: UserDirectory
) -> Iterator[tuple[str, str]]:
    own = "Give it a user of its own, with useradd --system."
    if _ROOT in {account.uid, account.gid}:
        yield "is root, or of root's group: nothing is kept from it.", own
    elif NOBODY in {account.uid, account.gid}:
        yield "is nobody, as whom other programs run, too.", own
    elif portal is not None and account.uid == portal.uid:
        yield "is the portal's own user: it could read the portal's database, keys and environment.", own
    elif portal is not None and account.gid == portal.gid:
        yield "has the portal's group: it could read what the portal may read by that.", own
    if account.name is not None or settings.app_uids is None or account.uid not in settings.app_uids:
        return
    taken = directory.by_uid(account.uid)
    if taken is not None or directory.has_group(account.gid):
        whose = f"{taken.name}'s" if taken is not None else "that of a group"
        yield (
            f"is {account.uid} of portal.app_uids, and {whose} on this machine: numbers of that range must be free.",
            f"Write another range, or a user for {app.slug}.",
        )


def _same(settings: Settings, apps: Mapping[str, Account]) -> Iterator[tuple[str, tuple[str, str]]]:
    written = {app.slug: app.user for app in settings.catalogue}
    for at, (slug, account) in enumerate(apps.items()):
        for other, its in list(apps.items())[:at]:
            # One user for two apps is noted, or accepted, by its name; here is what the names do not tell.
            if written[slug] != written[other] and (account.uid == its.uid or account.gid == its.gid):
                yield (
                    slug,
                    (
                        f"has the number, or the group, of the user of {other}: each could read what is the other's.",
                        "Give it a user, and a group, of its own.",
                    ),
                )
                break


def _useradd(user: str) -> str:
    if user.isdigit():
        return "Write the name or number of a user there is, or take it into portal.app_uids."
    return f"Make the user: useradd --system {user}"
