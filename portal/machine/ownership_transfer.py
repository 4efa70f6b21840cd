"""Giving a folder that somebody else filled to root: they cannot change it any more, and nothing of others' goes along.

They may still be at work in it.  So it goes from the top down: a folder is root's and closed to writing before it is
read, and from then on nothing in it can be exchanged.  Links are never followed; a file is looked at and given by one
descriptor, and only where it is theirs by one name alone: another name may be somebody else's file, or stay in their
hands.  What an access control list gives besides is cut off by the mode (acl(5)).
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
    """There is something that is not theirs alone to give; the text says what."""


def give_to_root(folder: Path, *, uid: int) -> None:
    """Give *folder*, which the user *uid* filled, to root, open to everybody to read.

    That user must not be able to exchange something in the folder around it.

    Raises:
        NotGiven: what is there must not be given; some of it may be.
        OSError: it cannot be done.
    """
    descriptor = os.open(folder, _OPEN | os.O_DIRECTORY)
    try:
        device = os.fstat(descriptor).st_dev
        _take(descriptor, folder, uid=uid, device=device)
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, *, uid: int, device: int) -> None:
    """Take the folder *descriptor*, then all in it."""
    status = os.fstat(descriptor)
    _require(status, path, uid=uid, device=device)
    os.fchown(descriptor, _ROOT, _ROOT)
    os.fchmod(descriptor, _FOLDER)
    for name in sorted(os.listdir(descriptor)):  # nobody but root can change what is there now
        inside = path / name
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        _require(status, inside, uid=uid, device=device)
        if stat.S_ISLNK(status.st_mode):
            os.chown(name, _ROOT, _ROOT, dir_fd=descriptor, follow_symlinks=False)
        elif stat.S_ISDIR(status.st_mode):
            entry = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=descriptor)
            try:
                _take(entry, inside, uid=uid, device=device)
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
            raise TransferRefused(f"{inside} is no file, folder or link")


def _require(status: os.stat_result, path: Path, *, uid: int, device: int) -> None:
    if status.st_uid != uid or status.st_dev != device:
        raise TransferRefused(f"{path} belongs to somebody else (user {status.st_uid}), or is mounted there")
    if not stat.S_ISDIR(status.st_mode) and status.st_nlink != 1:
        raise TransferRefused(f"{path} has another name, a hard link")
