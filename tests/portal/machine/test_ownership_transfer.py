"""A folder that another user filled is given to root, but nothing that belongs to others."""

import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.machine.ownership_transfer import TransferRefused, give_to_root

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root gives files to other users")
THEIRS = 70001


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that somebody filled, beside one of root's."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        (place / "roots").write_text("root's")
        (place / "roots").chmod(0o600)
        filled = place / "filled"
        (filled / "bin").mkdir(parents=True)
        (filled / "bin" / "program").touch()
        (filled / "bin" / "text").write_text("text")
        (filled / "link").symlink_to("../roots")
        (filled / "nowhere").symlink_to("/nonexistent")
        for path in (filled, *filled.rglob("*")):
            os.chown(path, THEIRS, THEIRS, follow_symlinks=False)
        (filled / "bin" / "program").chmod(0o6777)
        (filled / "bin" / "text").chmod(0o666)
        (filled / "bin").chmod(0o2777)
        yield filled


def test_all_of_it_belongs_to_root_who_alone_may_write(folder: Path) -> None:
    give_to_root(folder, uid=THEIRS)

    for path in (folder, *folder.rglob("*")):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (0, 0), path
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in (".", "bin", "bin/program", "bin/text")}
    assert modes == {".": 0o755, "bin": 0o755, "bin/program": 0o755, "bin/text": 0o644}
    assert stat.S_IMODE((folder.parent / "roots").stat().st_mode) == 0o600, "a link was followed"


def a_hard_link_to_roots(folder: Path) -> None:
    os.link(folder.parent / "roots", folder / "bin" / "mine")


def a_hard_link_of_their_own(folder: Path) -> None:
    os.link(folder / "bin" / "text", folder.parent / "kept")


def a_file_of_roots(folder: Path) -> None:
    (folder / "bin" / "mine").touch()


def a_folder_of_roots(folder: Path) -> None:
    (folder / "mine").mkdir()


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    os.chown(folder / "pipe", THEIRS, THEIRS)


def a_socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "socket"))
    os.chown(folder / "socket", THEIRS, THEIRS)


def a_link_in_its_place(folder: Path) -> None:
    folder.rename(folder.with_name("aside"))
    folder.symlink_to("aside")


@pytest.mark.parametrize(
    "attack",
    [
        a_hard_link_to_roots,
        a_hard_link_of_their_own,
        a_file_of_roots,
        a_folder_of_roots,
        a_pipe,
        a_socket,
        a_link_in_its_place,
    ],
)
def test_files_of_others_and_hard_links_are_refused(folder: Path, attack: Callable[[Path], None]) -> None:
    attack(folder)
    roots = folder.parent / "roots"
    before = roots.stat().st_mode
    with pytest.raises((TransferRefused, OSError)):
        give_to_root(folder, uid=THEIRS)

    assert roots.stat().st_mode == before
