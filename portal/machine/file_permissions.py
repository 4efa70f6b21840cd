"""Who may read, change or replace a file, by the owners and modes of the file and of every folder on its path.

The decisions are pure, over the results of ``stat`` and the groups of a user: a mode bit is not a problem by itself,
only if one of the given accounts has it.  What cannot be read is skipped, and so are access control lists.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from portal.machine.users import Account

_MOST_LINKS: Final = 40
"""The system follows no more links (path_resolution(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One name that is looked up in a folder while a path is resolved."""

    folder: Path
    """Where it is looked up; its path contains no links."""
    folder_status: os.stat_result
    entry_status: os.stat_result | None
    """Of the entry with that name, links not followed; ``None`` if there is none."""


def status_of(path: Path, *, follow_symlinks: bool = True) -> os.stat_result | None:
    """Return the ``stat`` of *path*; ``None`` if it does not exist or this user may not read it."""
    try:
        return path.stat(follow_symlinks=follow_symlinks)
    except OSError:
        return None


def steps_to(path: Path) -> tuple[PathStep, ...]:
    """Return every step of resolving the absolute *path*, links included, as far as this user may read."""
    steps: list[PathStep] = []
    pending = list(reversed(path.parts[1:]))
    at, links = Path(path.anchor), 0
    while pending:
        name = pending.pop()
        if name == "..":
            at = at.parent
            continue
        entry = at / name
        folder_status = status_of(at)
        if folder_status is None:
            break
        steps.append(
            PathStep(folder=at, folder_status=folder_status, entry_status=status_of(entry, follow_symlinks=False))
        )
        target = _link_target(entry)
        if target is None:
            at = entry
            continue
        links += 1
        if links > _MOST_LINKS:
            break
        at = Path(target.anchor) if target.is_absolute() else at
        pending += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return tuple(steps)


def may_write(status: os.stat_result, account: Account) -> bool:
    """Return whether *account* may write to the file of *status*; its owner may, because it can change the mode."""
    return _may(status, account, stat.S_IWGRP, stat.S_IWOTH)


def may_read(status: os.stat_result, account: Account) -> bool:
    """Return whether *account* may read the file of *status*; its owner may, because it can change the mode."""
    return _may(status, account, stat.S_IRGRP, stat.S_IROTH)


def may_replace(step: PathStep, account: Account) -> bool:
    """Return whether *account* may replace the entry that *step* looks up.

    In a folder with the sticky bit, only the owner of the folder or of the entry may; if there is no entry, everyone
    who may write.
    """
    if not may_write(step.folder_status, account):
        return False
    if step.entry_status is None or not step.folder_status.st_mode & stat.S_ISVTX:
        return True
    return account.is_number(step.folder_status.st_uid) or account.is_number(step.entry_status.st_uid)


def may_traverse(steps: tuple[PathStep, ...], account: Account) -> bool:
    """Return whether *account* may enter all folders of *steps*, or change their mode to do so."""
    return all(_may(step.folder_status, account, stat.S_IXGRP, stat.S_IXOTH) for step in steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPath:
    """A path that others must not change, with its current modes: read once, for any number of accounts."""

    path: Path
    status: os.stat_result | None
    """Links followed; ``None`` if it does not exist."""
    steps: tuple[PathStep, ...] = ()
    adding: bool = False
    """Whether it is a folder to which nothing may be added either."""

    def changeable_by(self, account: Account) -> Path | None:
        """Return what *account* may change: this path or a folder on the way; ``None`` if nothing."""
        if self.status is not None and may_write(self.status, account) and (self.adding or not self._is_sticky()):
            return self.path
        return self.replaceable_by(account)

    def replaceable_by(self, account: Account) -> Path | None:
        """Return the first folder on the way in which *account* may replace the next entry, or ``None``."""
        return next((step.folder for step in self.steps if may_replace(step, account)), None)

    def readable_by(self, account: Account) -> bool:
        """Return whether *account* may read it."""
        return self.status is not None and may_read(self.status, account) and may_traverse(self.steps, account)

    def _is_sticky(self) -> bool:
        # Adding to such a folder changes nothing in it.
        return (
            self.status is not None and stat.S_ISDIR(self.status.st_mode) and bool(self.status.st_mode & stat.S_ISVTX)
        )


def guarded_path(path: Path, *, adding: bool = False) -> GuardedPath:
    """Return the absolute *path* with its current modes, as far as this user may read them."""
    return GuardedPath(path=path, status=status_of(path), steps=steps_to(path), adding=adding)


def first_changeable(
    paths: Iterable[GuardedPath], accounts: Iterable[tuple[str, Account]]
) -> tuple[str, Account, Path] | None:
    """Return the first of *accounts* that may change one of *paths*: its slug, itself and what; or ``None``."""
    known = tuple(paths)
    for slug, account in accounts:
        for path in known:
            changeable = path.changeable_by(account)
            if changeable is not None:
                return slug, account, changeable
    return None


def _may(status: os.stat_result, account: Account, group: int, others: int) -> bool:
    if account.is_number(status.st_uid):
        return True
    if status.st_gid == account.gid:
        return bool(status.st_mode & group)
    return bool(status.st_mode & (others | group if status.st_gid in account.groups else others))


def _link_target(entry: Path) -> PurePath | None:
    try:
        return PurePath(entry.readlink())
    except OSError:  # not a link, or nothing
        return None
