"""Checks that the data folder and its files belong to the portal's user alone.

A file of this user that is open to others is closed, with a line in the log.  A file of another user is refused:
that user could read, replace or open it again at any time.
"""

import logging
import os
import pwd
import stat
from enum import Enum, auto
from pathlib import Path
from typing import Final

from portal.errors import StoreUnusable

_log: Final = logging.getLogger("portal.files")
_OTHERS: Final = 0o077
"""Permissions of group and others."""
_PORTAL_FILES: Final = frozenset({"portal.db", "running.lock"})
"""In every folder that a portal has used before."""
_NEW_FILE_SYSTEM: Final = frozenset({"lost+found"})
"""In every new file system."""


class Protection(Enum):
    """The owner of a file or folder, and for whom it is open.  Keep alphabetized."""

    FOREIGN = auto()
    """Another user's."""
    OPEN = auto()
    """This user's, and open to group or others."""
    PRIVATE = auto()
    """This user's, and closed to all others."""
    SHARED = auto()
    """For all users, like ``/tmp``: must stay open."""


def protection_of(*, mode: int, owner: int, me: int) -> Protection:
    """Return the protection of a file or folder with *mode* and *owner*, from ``stat``, for the user *me*."""
    if owner != me:
        return Protection.FOREIGN
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return Protection.SHARED
    return Protection.OPEN if mode & _OTHERS else Protection.PRIVATE


def make_private_folder(folder: Path) -> None:
    """Make sure that *folder* exists, belongs to this user, and is closed to all others.

    A link to a folder is followed if it is this user's or root's: another owner could point it elsewhere.

    Raises:
        StoreUnusable: it is not a folder, is another user's or for all users, or is open and has other files; the
            message says how to fix it.
        OSError: it cannot be made or read.
    """
    if os.path.lexists(folder) and not folder.is_dir():  # a link to nothing included
        raise StoreUnusable(_not_a_folder(folder))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    me = os.geteuid()
    if folder.is_symlink() and (owner := folder.lstat().st_uid) not in {0, me}:
        raise StoreUnusable(f"the data folder {folder} is a link that belongs to {user(owner)}; name the folder itself")
    # By a descriptor, so that the folder that was checked is the one that is closed.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        match protection_of(mode=status.st_mode, owner=status.st_uid, me=me):
            case Protection.FOREIGN:
                raise StoreUnusable(
                    f"the data folder {folder} belongs to {user(status.st_uid)}, but this runs as {user(me)}; run "
                    "it as that user, chown the folder to this one, or name a new folder inside it"
                )
            case Protection.SHARED:
                raise StoreUnusable(_open_to_all(folder))
            case Protection.OPEN if _is_used_otherwise(descriptor):
                raise StoreUnusable(_used_otherwise(folder, status))
            case Protection.OPEN:
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_OTHERS)
                _log.warning("the data folder %s was open to others (%s) and has been closed", folder, _octal(status))
    finally:
        os.close(descriptor)


def close_to_others(file: Path) -> None:
    """Make sure that *file*, if it exists, is open to its owner alone.

    The file is not opened: closing a database's file would drop SQLite's locks on it.

    Raises:
        StoreUnusable: it belongs to another user and is open to more than that user.
        OSError: its status cannot be read.
    """
    try:
        status = file.stat()
    except FileNotFoundError:
        return
    if not status.st_mode & _OTHERS:
        return
    if status.st_uid != os.geteuid():
        raise StoreUnusable(
            f"{file} belongs to {user(status.st_uid)} and is open to others ({_octal(status)}); chmod 600 it, and give "
            "it to the portal's user with chown"
        )
    file.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)
    _log.warning("%s was open to others (%s) and has been closed", file, _octal(status))


def refusal(folder: Path, *, runs_as: int | None) -> str | None:
    """Return why a portal of the user *runs_as* would not start with the data folder *folder*; ``None`` if it would.

    ``None`` for *runs_as* means the owner of the folder.  Nothing is changed; what this process may not read is
    skipped.
    """
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            return _not_a_folder(folder)
        status = folder.stat()
        match protection_of(mode=status.st_mode, owner=status.st_uid, me=status.st_uid if runs_as is None else runs_as):
            case Protection.FOREIGN:
                return (
                    f"the data folder {folder} belongs to {user(status.st_uid)}, but the portal runs as "
                    f"{user(runs_as or 0)}; chown the folder to that user, or name another"
                )
            case Protection.SHARED:
                return _open_to_all(folder)
            case Protection.OPEN if _is_used_otherwise(folder):
                return _used_otherwise(folder, status)
    except OSError:
        pass
    return None


def describe_folder(folder: Path, *, runs_as: int | None) -> str:
    """Return the state of a data folder without a :func:`refusal`, in words for ``portal check``."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return "does not exist yet: the portal makes it, open to its own user alone"
    except OSError as error:
        return f"cannot be read by {user(os.geteuid())}: {error.strerror}"
    owner, mode = user(status.st_uid), _octal(status)
    me = os.geteuid() if runs_as is None else runs_as
    match protection_of(mode=status.st_mode, owner=status.st_uid, me=me):
        case Protection.FOREIGN:
            return f"belongs to {owner}, mode {mode}: only a portal that runs as {owner} can use it"
        case Protection.OPEN:
            return f"open to others, mode {mode}: the portal closes it when it starts"
        case _:
            return f"open to {owner} alone"


def _not_a_folder(folder: Path) -> str:
    return f"the data folder {folder} is not a folder; name another"


def _open_to_all(folder: Path) -> str:
    return f"the data folder {folder} is open to all users; name a new folder inside it"


def _is_used_otherwise(folder: int | Path) -> bool:
    """Return whether *folder*, a path or a descriptor, has other files and none of a portal's.

    Hidden files do not count, such as the ``.gitignore`` of an empty folder.
    """
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries if not entry.name.startswith(".")} - _NEW_FILE_SYSTEM
    return bool(names) and names.isdisjoint(_PORTAL_FILES)


def _used_otherwise(folder: Path, status: os.stat_result) -> str:
    return (
        f"the data folder {folder} is open to others ({_octal(status)}) and has other files than a portal's: "
        "closing it would lock other users out of them; name a folder for the portal alone, such as a new one inside it"
    )


def user(uid: int) -> str:
    """Return the name of the user *uid*."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _octal(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
