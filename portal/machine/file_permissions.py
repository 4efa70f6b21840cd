"""Who may read, change or exchange what is at a path, by the owners and modes of all that looking it up passes.

What decides is pure, over what ``stat`` says of a file and the system of a user: a mode bit is no problem by itself,
only where somebody who counts has it.  What cannot be looked at is passed over, and so are access control lists.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from portal.machine.users import Account

_MOST_LINKS: Final = 40
"""After as many links the system gives up (path_resolution(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One name that is looked up in a folder on the way to a path."""

    folder: Path
    """Where it is looked up; no link in it is left to follow."""
    of_folder: os.stat_result
    of_entry: os.stat_result | None
    """Of what is there by that name, a link itself; ``None`` where nothing is."""


def status_of(path: Path) -> os.stat_result | None:
    """Return what ``stat`` says of *path*; ``None`` where it is not there, or this user may not look."""
    try:
        return path.stat()
    except OSError:
        return None


def steps_to(path: Path) -> tuple[PathStep, ...]:
    """Return every step on the way to the absolute *path*, also of links in it; as far as this user may look."""
    steps: list[PathStep] = []
    pending = list(reversed(path.parts[1:]))
    at, links = Path(path.anchor), 0
    while pending:
        name = pending.pop()
        if name == "..":
            at = at.parent
            continue
        entry = at / name
        of_folder = status_of(at)
        if of_folder is None:
            break
        steps.append(PathStep(folder=at, of_folder=of_folder, of_entry=_itself(entry)))
        target = _leads_to(entry)
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
    """Say whether *account* could write to what *status* is of, or let itself: its owner can."""
    return _may(status, account, stat.S_IWGRP, stat.S_IWOTH)


def may_read(status: os.stat_result, account: Account) -> bool:
    """Say whether *account* could read what *status* is of, or let itself: its owner can."""
    return _may(status, account, stat.S_IRGRP, stat.S_IROTH)


def may_exchange(step: PathStep, account: Account) -> bool:
    """Say whether *account* could put something else in the place of what is looked up in *step*.

    In a folder with the sticky bit that is the owner of the folder and of what is there; where nothing is, whoever
    may write.
    """
    if not may_write(step.of_folder, account):
        return False
    if step.of_entry is None or not step.of_folder.st_mode & stat.S_ISVTX:
        return True
    return account.is_number(step.of_folder.st_uid) or account.is_number(step.of_entry.st_uid)


def reaches(steps: tuple[PathStep, ...], account: Account) -> bool:
    """Say whether *account* could get through all folders of *steps*, or let itself."""
    return all(_may(step.of_folder, account, stat.S_IXGRP, stat.S_IXOTH) for step in steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPath:
    """Something that others must not change, as it is now: for as many accounts as there are, looked at once."""

    path: Path
    status: os.stat_result | None
    """Of what is there, links followed."""
    steps: tuple[PathStep, ...] = ()
    adding: bool = False
    """Whether it is a folder where something more would count too."""

    def open_to(self, account: Account) -> Path | None:
        """Return what *account* could change: this, or a folder on the way; ``None`` where nothing."""
        if self.status is not None and may_write(self.status, account) and (self.adding or not self._is_sticky()):
            return self.path
        return self.exchanged_by(account)

    def exchanged_by(self, account: Account) -> Path | None:
        """Return the first folder on the way where *account* could exchange something, or ``None``."""
        return next((step.folder for step in self.steps if may_exchange(step, account)), None)

    def read_by(self, account: Account) -> bool:
        """Say whether *account* could read it."""
        return self.status is not None and may_read(self.status, account) and reaches(self.steps, account)

    def _is_sticky(self) -> bool:
        # Who may add to such a folder changes nothing of what is in it.
        return (
            self.status is not None and stat.S_ISDIR(self.status.st_mode) and bool(self.status.st_mode & stat.S_ISVTX)
        )


def place_of(path: Path, *, adding: bool = False) -> GuardedPath:
    """Look at the absolute *path*; as far as this user may."""
    return GuardedPath(path=path, status=status_of(path), steps=steps_to(path), adding=adding)


def first_open(
    places: Iterable[GuardedPath], accounts: Iterable[tuple[str, Account]]
) -> tuple[str, Account, Path] | None:
    """Return the first of *accounts*, by slug, that could change something of *places*, and what; or ``None``."""
    known = tuple(places)
    for slug, account in accounts:
        for place in known:
            named = place.open_to(account)
            if named is not None:
                return slug, account, named
    return None


def _may(status: os.stat_result, account: Account, group: int, others: int) -> bool:
    if account.is_number(status.st_uid):
        return True
    if status.st_gid == account.gid:
        return bool(status.st_mode & group)
    return bool(status.st_mode & (others | group if status.st_gid in account.groups else others))


def _itself(entry: Path) -> os.stat_result | None:
    try:
        return entry.lstat()
    except OSError:
        return None


def _leads_to(entry: Path) -> PurePath | None:
    try:
        return PurePath(entry.readlink())
    except OSError:  # no link, or nothing
        return None
