"""The data folder is private: closed if it was open, refused if it is another user's."""

import logging
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from portal.errors import StoreUnavailable, StoreUnusable
from portal.settings import Secret
from portal.storage.database import Database
from portal.storage.instance_lock import exclusive_lock, shared_lock
from portal.storage.private_files import (
    Protection,
    close_to_others,
    describe_folder,
    make_private_folder,
    protection_of,
    refusal,
    user,
)

FOLDER, FILE = stat.S_IFDIR, stat.S_IFREG
STRANGER = 65534


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def given_away(path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    return path


@pytest.fixture(autouse=True)
def no_umask_helps() -> None:
    os.umask(0o022)


@pytest.mark.parametrize(
    ("mode", "owner", "expected"),
    [
        (FOLDER | 0o700, 7, Protection.PRIVATE),
        (FOLDER | 0o500, 7, Protection.PRIVATE),
        (FOLDER | 0o2700, 7, Protection.PRIVATE),
        (FILE | 0o600, 7, Protection.PRIVATE),
        (FOLDER | 0o750, 7, Protection.OPEN),
        (FOLDER | 0o710, 7, Protection.OPEN),
        (FOLDER | 0o701, 7, Protection.OPEN),
        (FOLDER | 0o2770, 7, Protection.OPEN),
        (FOLDER | 0o777, 7, Protection.OPEN),
        (FILE | 0o640, 7, Protection.OPEN),
        (FILE | 0o602, 7, Protection.OPEN),
        (FOLDER | 0o1777, 7, Protection.SHARED),
        (FOLDER | 0o1700, 7, Protection.SHARED),
        # Somebody else's is somebody else's, however closed; root's too.
        (FOLDER | 0o700, 8, Protection.FOREIGN),
        (FOLDER | 0o777, 8, Protection.FOREIGN),
        (FOLDER | 0o1777, 0, Protection.FOREIGN),
        (FILE | 0o600, 0, Protection.FOREIGN),
    ],
)
def test_how_files_stand(mode: int, owner: int, expected: Protection) -> None:
    assert protection_of(mode=mode, owner=owner, me=7) is expected


class TestTheDataFolder:
    def test_a_missing_folder_is_made_private(self, tmp_path: Path) -> None:
        make_private_folder(tmp_path / "a" / "data")

        assert mode_of(tmp_path / "a" / "data") == 0o700

    def test_an_open_folder_is_closed_and_logged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data").chmod(0o2775)
        with caplog.at_level(logging.WARNING, "portal.files"):
            make_private_folder(tmp_path / "data")
            make_private_folder(tmp_path / "data")

        assert mode_of(tmp_path / "data") & 0o777 == 0o700
        assert len(caplog.messages) == 1
        assert "was open to others (2775)" in caplog.messages[0]

    def test_a_folder_of_another_user_is_refused_and_unchanged(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data").chmod(0o777)
        given_away(tmp_path / "data")

        with pytest.raises(StoreUnusable, match=rf"belongs to {user(STRANGER)}.*chown.*name a new folder"):
            make_private_folder(tmp_path / "data")
        assert mode_of(tmp_path / "data") == 0o777

    def test_a_folder_for_all_users_is_neither_used_nor_closed(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data").chmod(0o1777)

        with pytest.raises(StoreUnusable, match="open to all users"):
            make_private_folder(tmp_path / "data")
        assert mode_of(tmp_path / "data") == 0o1777

    def test_a_link_of_this_user_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        (tmp_path / "there").chmod(0o755)
        (tmp_path / "data").symlink_to(tmp_path / "there")
        make_private_folder(tmp_path / "data")

        assert mode_of(tmp_path / "there") == 0o700

    def test_a_link_of_another_user_is_not(self, tmp_path: Path) -> None:
        """Its owner could lead it elsewhere at any moment."""
        (tmp_path / "there").mkdir(mode=0o700)
        (tmp_path / "data").symlink_to(tmp_path / "there")
        given_away(tmp_path / "data")

        with pytest.raises(StoreUnusable, match="is a link that belongs to"):
            make_private_folder(tmp_path / "data")

    def test_a_link_to_a_folder_of_another_user_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir(mode=0o700)
        (tmp_path / "data").symlink_to(given_away(tmp_path / "there"))

        with pytest.raises(StoreUnusable, match="belongs to"):
            make_private_folder(tmp_path / "data")

    @pytest.mark.parametrize("there", ["somebodys.txt", "lost+found/", ".gitignore", "running.lock", "portal.db"])
    def test_a_folder_with_other_files_is_not_closed(self, tmp_path: Path, there: str) -> None:
        data = tmp_path / "data"
        data.mkdir(mode=0o755)
        (data / there).mkdir() if there.endswith("/") else (data / there).touch()
        if there != "somebodys.txt":
            assert refusal(data, runs_as=None) is None
            make_private_folder(data)
            assert mode_of(data) == 0o700
            return

        with pytest.raises(StoreUnusable, match=r"has other files than a portal's.*name a folder"):
            make_private_folder(data)
        assert mode_of(data) == 0o755
        assert "has other files" in str(refusal(data, runs_as=os.geteuid()))
        data.chmod(0o700)  # as somebody chose it
        make_private_folder(data)

    @pytest.mark.parametrize("kind", ["file", "dangling"])
    def test_a_file_in_place_of_the_folder_is_refused(self, tmp_path: Path, kind: str) -> None:
        if kind == "file":
            (tmp_path / "data").write_text("")
        else:
            (tmp_path / "data").symlink_to(tmp_path / "nowhere")

        with pytest.raises(StoreUnavailable, match=r"data folder .* is not a folder; name another"):
            shared_lock(tmp_path / "data")
        assert "is not a folder; name another" in str(refusal(tmp_path / "data", runs_as=None))

    def test_the_folder_is_checked_before_a_lock_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        given_away(tmp_path / "data")

        with pytest.raises(StoreUnusable, match="belongs to"):
            shared_lock(tmp_path / "data")
        with pytest.raises(StoreUnusable, match="belongs to"), exclusive_lock(tmp_path / "data"):
            pass


class TestTheFiles:
    def test_a_database_that_was_open_is_closed_with_what_belongs_to_it(self, tmp_path: Path) -> None:
        path = tmp_path / "portal.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("CREATE TABLE t (x)")
            for file in tmp_path.iterdir():
                file.chmod(0o666)
            database = Database(Secret(f"sqlite:///{path}"))
            database.upgrade()

            assert {file.name: mode_of(file) for file in tmp_path.iterdir()} == dict.fromkeys(
                ("portal.db", "portal.db-wal", "portal.db-shm", "portal.db.lock"), 0o600
            )
            database.close()

    def test_a_database_of_another_user_that_is_open_to_all_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "portal.db"
        path.touch()
        path.chmod(0o666)
        given_away(path)
        database = Database(Secret(f"sqlite:///{path}"))

        with pytest.raises(StoreUnusable, match=r"belongs to .* chmod 600"):
            database.upgrade()
        assert mode_of(path) == 0o666

    def test_root_may_look_after_the_closed_file_of_the_portals_user(self, tmp_path: Path) -> None:
        (tmp_path / "portal.db").touch(mode=0o600)
        close_to_others(given_away(tmp_path / "portal.db"))

        assert (tmp_path / "portal.db").stat().st_uid == STRANGER

    def test_a_missing_file_is_not_an_error(self, tmp_path: Path) -> None:
        close_to_others(tmp_path / "portal.db")

        assert not (tmp_path / "portal.db").exists()


class TestWhatCheckSays:
    def test_the_state_of_a_missing_folder(self, tmp_path: Path) -> None:
        assert "does not exist yet" in describe_folder(tmp_path / "data", runs_as=None)
        assert refusal(tmp_path / "data", runs_as=None) is None
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize(
        ("mode", "said"), [(0o700, "alone"), (0o755, "mode 0755: the portal closes"), (0o1777, "open to all users")]
    )
    def test_the_state_of_a_folder_of_this_user(self, tmp_path: Path, mode: int, said: str) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data").chmod(mode)

        assert said in (refusal(tmp_path / "data", runs_as=None) or describe_folder(tmp_path / "data", runs_as=None))
        assert mode_of(tmp_path / "data") == mode

    def test_the_state_of_a_folder_of_another_user(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir(mode=0o700)
        given_away(tmp_path / "data")

        assert f"belongs to {user(STRANGER)}" in describe_folder(tmp_path / "data", runs_as=None)
        assert refusal(tmp_path / "data", runs_as=None) is None  # whoever starts it may be that user

    def test_the_state_of_the_folder_of_the_portals_user(self, tmp_path: Path) -> None:
        """Where root asks about a portal that runs as somebody else."""
        (tmp_path / "data").mkdir(mode=0o700)
        given_away(tmp_path / "data")

        assert describe_folder(tmp_path / "data", runs_as=STRANGER) == f"open to {user(STRANGER)} alone"
        assert refusal(tmp_path / "data", runs_as=STRANGER) is None
        assert f"the portal runs as {user(STRANGER + 1)}" in str(refusal(tmp_path / "data", runs_as=STRANGER + 1))

    def test_the_state_of_a_folder_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("")

        assert refusal(tmp_path / "data" / "deeper", runs_as=None) is None
        assert "cannot be read by" in describe_folder(tmp_path / "data" / "deeper", runs_as=None)


def test_a_user_without_a_name_has_a_number() -> None:
    assert user(4_000_000_001) == "user 4000000001"
