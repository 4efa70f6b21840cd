"""Unix sockets in a folder, for those who run the portal: open to their owner alone, and however long their name is.

The name of a Unix socket has room for about a hundred bytes (unix(7)), wherever a data folder may be; on Linux
the folder's descriptor stands in for it.
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
    """Something is there already; ``str(error)`` says what."""


def listening_at(path: Path) -> socket.socket:
    """Return a socket that listens at *path*, mode 0600; what somebody left there who ended is taken away.

    Raises:
        SocketTaken: somebody answers there, or a file is in the way.
        OSError: the folder is not there, or cannot be used.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(path) as address:
            _clear(path, address)
            before = os.umask(0o177)  # from the first moment on, and not only after a chmod
            try:
                sock.bind(address)
            finally:
                os.umask(before)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def connected(path: Path, *, patience: float) -> socket.socket:
    """Return a connection to the socket *path*, whose operations take *patience* seconds at most.

    Raises:
        OSError: nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(patience)
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def peer_of(connection: socket.socket) -> int | None:
    """Return the user at the other end, or ``None`` where the system does not tell: elsewhere than on Linux."""
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
            raise SocketTaken("is there already, and is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise SocketTaken("another one answers there")
