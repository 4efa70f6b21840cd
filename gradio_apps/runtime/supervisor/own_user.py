"""An app that runs as a user of its own: its folder, and what its process gives up before any code of the app's runs.

Only a supervisor that root started may do this.  It is never root itself but for these steps
(:mod:`portal.contract.privileges`).
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract import privileges
from portal.contract.privileges import taken_up

TEMPORARY: Final = "tmp"
UPLOADS: Final = "uploads"
UMASK: Final = 0o077
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class HomeUnusable(OSError):
    """The folder of an app cannot be its own; ``strerror`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(None, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnUser:
    """The user an app runs as."""

    uid: int
    gid: int
    """Its one group: it has no others."""
    home: Path | None = None
    """Its folder: ``HOME``, and in it what is temporary and what was uploaded; ``None`` for the portal's own user."""


def make_home(home: Path, *, uid: int, gid: int) -> None:
    """See to it that *home* is there, the user *uid*'s, and closed to everybody else when it is made.

    The folder around it is root's, so that nobody can exchange it meanwhile.

    Raises:
        HomeUnusable: somebody else owns the one or could write to the other.
        OSError: it cannot be made or looked at.
    """
    around = home.parent
    with taken_up():
        if not around.exists():
            around.mkdir(parents=True)
            around.chmod(0o755)
        folder = os.open(around, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(folder)
            if status.st_uid != 0 or status.st_mode & _WRITABLE_BY_OTHERS:
                raise HomeUnusable(f"the folder {around} must be root's, and nobody else may write to it")
            with suppress(FileExistsError):
                os.mkdir(home.name, 0o700, dir_fd=folder)
                os.chown(home.name, uid, gid, dir_fd=folder, follow_symlinks=False)
            status = os.stat(home.name, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise HomeUnusable(f"{home} is there and is no folder")
    if status.st_uid != uid:
        raise HomeUnusable(
            f"the folder {home} belongs to the user {status.st_uid}, and the app runs as {uid}; give it over with "
            f"chown -R {uid}:{gid}, or take it away"
        )


def becoming(user: OwnUser) -> Callable[[], None]:
    """Return what makes a process *user*'s between fork and exec, for good and with no way to more rights."""
    home = user.home
    folders = () if home is None else (home / TEMPORARY, home / UPLOADS)
    give_up_rights = privileges.giving_up()

    def become() -> None:
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        os.umask(UMASK)
        give_up_rights()
        for folder in folders:
            with suppress(OSError):  # it is theirs: they may have put something else there
                folder.mkdir(mode=0o700)

    return become
