"""Giving a folder that another user filled to root, so that this user can no longer change it.

That user's processes may still run.  So the transfer goes from the top down: a folder is given to root and closed to
writing before it is read, and from then on nothing in it can be replaced.  Links are never followed.  A file is checked
and given by one descriptor, and only if it belongs to that user and has a single name: a hard link may be another
user's file, or stay writable under its other name.  The mode also limits access control lists (acl(5)).
"""

import os
import stat
from pathlib import Path
from typing import Final

_ROOT: Final = 0
_FOLDER: Final = 0o755
_PROGRAM: Final = 0o755
_FILE: Final = 0o644
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class TransferRefused(Exception):
    """The folder contains something that must not be given to root; the text says what."""


def give_to_root(folder: Path, *, uid: int) -> None:
    """Give *folder*, which the user *uid* filled, to root; everyone may read it.

    That user must not be able to replace anything in the parent folder.

    Raises:
        TransferRefused: it contains something that must not be given; a part may already be root's.
        OSError: a file cannot be given.
    """
    descriptor = os.open(folder, _OPEN | os.O_DIRECTORY)
    try:
        device = os.fstat(descriptor).st_dev
        _give(descriptor, folder, uid=uid, device=device)
    finally:
        os.close(descriptor)


def _give(descriptor: int, path: Path, *, uid: int, device: int) -> None:
    """Give the folder *descriptor* to root, then everything in it."""
    status = os.fstat(descriptor)
    _require(status, path, uid=uid, device=device)
    os.fchown(descriptor, _ROOT, _ROOT)
    os.fchmod(descriptor, _FOLDER)
    for name in sorted(os.listdir(descriptor)):  # only root can change the entries now
        inside = path / name
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        _require(status, inside, uid=uid, device=device)
        if stat.S_ISLNK(status.st_mode):
            os.chown(name, _ROOT, _ROOT, dir_fd=descriptor, follow_symlinks=False)
        elif stat.S_ISDIR(status.st_mode):
            entry = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=descriptor)
            try:
                _give(entry, inside, uid=uid, device=device)
            finally:
                os.close(entry)
        elif stat.S_ISREG(status.st_mode):
            entry = os.open(name, _OPEN, dir_fd=descriptor)
            try:
                os.fchown(entry, _ROOT, _ROOT)
                os.fchmod(entry, _PROGRAM if status.st_mode & stat.S_IXUSR else _FILE)
            finally:
                os.close(entry)
        else:
            raise TransferRefused(f"{inside} is not a file, folder or link")


def _require(status: os.stat_result, path: Path, *, uid: int, device: int) -> None:
    if status.st_uid != uid or status.st_dev != device:
        raise TransferRefused(f"{path} belongs to another user ({status.st_uid}) or is a mount")
    if not stat.S_ISDIR(status.st_mode) and status.st_nlink != 1:
        raise TransferRefused(f"{path} has a hard link")
