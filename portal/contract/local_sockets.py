"""Unix sockets that only their owner may use, with paths of any length.

The path of a Unix socket has room for about a hundred bytes (unix(7)); on Linux a descriptor of the folder
replaces its path.
"""

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_BACKLOG: Final = 16
_CREDENTIALS: Final = struct.Struct("3i")
"""``struct ucred``: pid, uid, gid; see unix(7)."""


class SocketTaken(Exception):
    """The path is taken; ``str(error)`` says by what."""


def listen_at(path: Path) -> socket.socket:
    """Return a socket that listens at *path*, mode 0600; the socket of a process that has ended is removed.

    Raises:
        SocketTaken: another process answers there, or a file is in the way.
        OSError: the folder does not exist or cannot be used.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(path) as address:
            _clear(path, address)
            usual = os.umask(0o177)  # closed to others from the first moment, not only after a chmod
            try:
                sock.bind(address)
            finally:
                os.umask(usual)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def connect_to(path: Path, *, timeout: float) -> socket.socket:
    """Return a connection to the socket *path*; each operation on it takes at most *timeout* seconds.

    Raises:
        OSError: no process listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def peer_of(connection: socket.socket) -> int | None:
    """Return the user id at the other end; ``None`` on systems other than Linux."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    uid: int = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))[1]
    return uid


@contextmanager
def _address(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = Path(f"/proc/self/fd/{folder}")
        yield str(short / path.name) if short.exists() else str(path)
    finally:
        os.close(folder)


def _clear(path: Path, address: str) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketTaken("is there already and is not a socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise SocketTaken("another process answers there")
