"""Apps with their own user: their folder, and the privileges that their process drops before the app's code runs.

This needs a supervisor that root started, which acts as root only in these steps (:mod:`portal.contract.privileges`).
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract import privileges
from portal.contract.privileges import as_root

TEMPORARY: Final = "tmp"
UPLOADS: Final = "uploads"
UMASK: Final = 0o077
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class HomeUnusable(OSError):
    """An app's home folder cannot be used; ``strerror`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(None, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnUser:
    """The user an app runs as."""

    uid: int
    gid: int
    """Its only group."""
    home: Path | None = None
    """Its home folder, with temporary files and uploads; ``None`` for the portal's own user."""


def make_home(home: Path, *, uid: int, gid: int) -> None:
    """Make sure that *home* exists and belongs to *uid*; it is created with mode 0700.

    Its parent folder belongs to root, so that nobody can replace *home* meanwhile.

    Raises:
        HomeUnusable: another user owns *home*, or could write to its parent.
        OSError: it cannot be created or read.
    """
    around = home.parent
    with as_root():
        if not around.exists():
            around.mkdir(parents=True)
            around.chmod(0o755)
        folder = os.open(around, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(folder)
            if status.st_uid != 0 or status.st_mode & _WRITABLE_BY_OTHERS:
                raise HomeUnusable(f"the folder {around} must belong to root, and nobody else may write to it")
            with suppress(FileExistsError):
                os.mkdir(home.name, 0o700, dir_fd=folder)
                os.chown(home.name, uid, gid, dir_fd=folder, follow_symlinks=False)
            status = os.stat(home.name, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise HomeUnusable(f"{home} exists and is not a folder")
    if status.st_uid != uid:
        raise HomeUnusable(
            f"the folder {home} belongs to the user {status.st_uid}, and the app runs as {uid}; change that with "
            f"chown -R {uid}:{gid}, or remove it"
        )


def switch_user_function(user: OwnUser) -> Callable[[], None]:
    """Return a function for between fork and exec: the process becomes *user*'s, and cannot regain privileges."""
    home = user.home
    folders = () if home is None else (home / TEMPORARY, home / UPLOADS)
    give_up_rights = privileges.no_new_privileges()

    def become() -> None:
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        os.umask(UMASK)
        give_up_rights()
        for folder in folders:
            with suppress(OSError):  # the app may have put something else there
                folder.mkdir(mode=0o700)

    return become
