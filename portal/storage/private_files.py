"""The data folder and the files in it belong to the portal's user alone: looked at before they are used.

What is ours and open to others is closed, and said so in the log.  What is somebody else's is refused: they
could read it, exchange it or open it again whatever we do to it.
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
"""What group and others may do."""
_OURS: Final = frozenset({"portal.db", "running.lock"})
"""What every folder has that a portal has used before."""
_NOBODYS: Final = frozenset({"lost+found"})
"""What a new file system begins with."""


class Protection(Enum):
    """Whose a file or folder is, and for whom it is open.  Keep alphabetized."""

    FOREIGN = auto()
    """Somebody else's."""
    OPEN = auto()
    """Ours, and open to group or others."""
    PRIVATE = auto()
    """Ours, and nobody else's business."""
    SHARED = auto()
    """Everybody's, like ``/tmp``: not to be closed."""


def protection_of(*, mode: int, owner: int, me: int) -> Protection:
    """Return how a file or folder of *mode* and *owner* stands to the user *me*, all as ``stat`` has them."""
    if owner != me:
        return Protection.FOREIGN
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return Protection.SHARED
    return Protection.OPEN if mode & _OTHERS else Protection.PRIVATE


def make_private_folder(folder: Path) -> None:
    """See to it that *folder* is there, ours, and closed to everybody else.

    A link to a folder is followed if it is ours or root's: whoever else made it could lead it elsewhere.

    Raises:
        StoreUnusable: it is no folder, somebody else's, everybody's, or open and full of other things; the text says
            how to fix it.
        OSError: it cannot be made or looked at.
    """
    if os.path.lexists(folder) and not folder.is_dir():  # or a link that leads nowhere
        raise StoreUnusable(_no_folder(folder))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    me = os.geteuid()
    if folder.is_symlink() and (owner := folder.lstat().st_uid) not in {0, me}:
        raise StoreUnusable(f"the data folder {folder} is a link of {user(owner)}'s; name the folder itself")
    # By a descriptor, so that what is closed is what was looked at.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        match protection_of(mode=status.st_mode, owner=status.st_uid, me=me):
            case Protection.FOREIGN:
                raise StoreUnusable(
                    f"the data folder {folder} belongs to {user(status.st_uid)}, and this runs as {user(me)}; run "
                    "it as that user, chown the folder to this one, or name a folder in it, which is then made"
                )
            case Protection.SHARED:
                raise StoreUnusable(_everybodys(folder))
            case Protection.OPEN if _is_used_otherwise(descriptor):
                raise StoreUnusable(_used_otherwise(folder, status))
            case Protection.OPEN:
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_OTHERS)
                _log.warning("the data folder %s was open to others (%s) and is closed now", folder, _octal(status))
    finally:
        os.close(descriptor)


def close_to_others(file: Path) -> None:
    """See to it that *file*, if it is there, is open to nobody but its owner.

    It is not opened: closing a database's file would drop SQLite's locks on it.

    Raises:
        StoreUnusable: it is somebody else's and open to more than them.
        OSError: it cannot be looked at.
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
    _log.warning("%s was open to others (%s) and is closed now", file, _octal(status))


def refusal(folder: Path, *, runs_as: int | None) -> str | None:
    """Return why a portal of the user *runs_as* would not start with the data folder *folder*; ``None`` if it would.

    ``None`` for *runs_as*: of whoever the folder belongs to.  Nothing is changed, and what this process cannot look
    at is passed over.
    """
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            return _no_folder(folder)
        status = folder.stat()
        match protection_of(mode=status.st_mode, owner=status.st_uid, me=status.st_uid if runs_as is None else runs_as):
            case Protection.FOREIGN:
                return (
                    f"the data folder {folder} belongs to {user(status.st_uid)}, and the portal runs as "
                    f"{user(runs_as or 0)}; chown the folder to that user, or name another"
                )
            case Protection.SHARED:
                return _everybodys(folder)
            case Protection.OPEN if _is_used_otherwise(folder):
                return _used_otherwise(folder, status)
    except OSError:
        pass
    return None


def told(folder: Path, *, runs_as: int | None) -> str:
    """Return how the data folder, for which there is no :func:`refusal`, stands, in words for ``portal check``."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return "made at the start, for the portal's user alone"
    except OSError as error:
        return f"cannot be looked at by {user(os.geteuid())}: {error.strerror}"
    owner, mode = user(status.st_uid), _octal(status)
    me = os.geteuid() if runs_as is None else runs_as
    match protection_of(mode=status.st_mode, owner=status.st_uid, me=me):
        case Protection.FOREIGN:
            return f"belongs to {owner}, mode {mode}: it is for a portal that runs as {owner}"
        case Protection.OPEN:
            return f"open to others, mode {mode}: the portal closes it when it starts"
        case _:
            return f"open to {owner} alone"


def _no_folder(folder: Path) -> str:
    return f"the data folder {folder} is no folder; name another"


def _everybodys(folder: Path) -> str:
    return f"the data folder {folder} is everybody's; name a folder in it, which is then made"


def _is_used_otherwise(folder: int | Path) -> bool:
    """Return whether *folder*, a path or a descriptor, holds other things, and nothing of a portal.

    What is hidden, such as the ``.gitignore`` that keeps an empty folder, is nothing that others come for.
    """
    with os.scandir(folder) as entries:
        found = {entry.name for entry in entries if not entry.name.startswith(".")} - _NOBODYS
    return bool(found) and found.isdisjoint(_OURS)


def _used_otherwise(folder: Path, status: os.stat_result) -> str:
    return (
        f"the data folder {folder} is open to others ({_octal(status)}) and holds other things than a portal's: "
        "closing it would bar the way to them; name a folder of the portal's own, such as one in it, which is then made"
    )


def user(uid: int) -> str:
    """Return what people call the user *uid*."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _octal(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
