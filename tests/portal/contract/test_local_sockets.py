"""Unix sockets in a folder: private, whatever the length of the name, and never in somebody else's way."""

import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.contract.local_sockets import SocketTaken, connect_to, listen_at, peer_of


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name leaves room for the name of a Unix socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("depth", [0, 3])
def test_it_accepts_connections_and_is_open_to_its_owner_alone(folder: Path, depth: int) -> None:
    if depth and sys.platform != "linux":
        pytest.skip("only Linux has a way around the length of a socket's name")
    for _ in range(depth):
        folder /= "x" * 100
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "a.sock"
    before = os.umask(0)
    try:
        listening = listen_at(path)
    finally:
        os.umask(before)
    with listening, connect_to(path, timeout=10) as connection:
        accepted, _ = listening.accept()
        with accepted:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert peer_of(accepted) in {None, os.geteuid()}
            assert connection.gettimeout() == 10


def test_the_socket_of_an_ended_process_is_removed(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "s"))
    with listen_at(folder / "s"), connect_to(folder / "s", timeout=10):
        pass


def test_a_socket_that_answers_is_not_removed(folder: Path) -> None:
    with listen_at(folder / "s"):
        with pytest.raises(SocketTaken, match="answers there"):
            listen_at(folder / "s")
        with connect_to(folder / "s", timeout=10):
            pass


def test_a_file_is_not_removed(folder: Path) -> None:
    (folder / "s").write_text("kept")
    with pytest.raises(SocketTaken, match="not a socket"):
        listen_at(folder / "s")
    assert (folder / "s").read_text() == "kept"


def test_without_a_listener_it_is_an_error(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect_to(folder / "s", timeout=10)
    with pytest.raises(FileNotFoundError):
        listen_at(folder / "nowhere" / "s")
