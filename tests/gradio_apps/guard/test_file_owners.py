"""The record of who owns which file: shared by an app's processes, bounded, and closed to others."""

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from gradio_apps.runtime.guard.bindings import Owner
from gradio_apps.runtime.guard.file_owners import FOLDER, RETENTION, FileOwners

ANA, BEN = Owner("ana", "acme"), Owner("ben", "acme")
SECOND = 1_000_000_000


class Clock:
    """Time that stands still until it is moved; a nanosecond passes with each look."""

    def __init__(self) -> None:
        self.now = 2_000_000_000 * SECOND

    def __call__(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def owners(cache: Path, clock: Clock, *, limit: int = 10) -> FileOwners:
    return FileOwners(lambda: str(cache), limit=limit, clock=clock)


def test_all_processes_of_an_app_agree_at_once(tmp_path: Path, clock: Clock) -> None:
    """
    A process that is replaced still names files, while its successor serves them.
    """
    old, new = owners(tmp_path, clock), owners(tmp_path, clock)
    assert not new.owns(ANA, "/a")
    old.add(ANA, "/a")

    assert new.owns(ANA, "/a")
    assert new.is_owned("/a")
    assert not new.owns(BEN, "/a")
    assert not new.is_owned("/b")


@pytest.mark.usefixtures("processes")
def test_a_process_that_is_killed_has_lost_nothing(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, sys
        from gradio_apps.runtime.guard.bindings import Owner
        from gradio_apps.runtime.guard.file_owners import FileOwners
        FileOwners(lambda: sys.argv[1]).add(Owner("ana", "acme"), "/a")
        os.kill(os.getpid(), 9)
        """
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)

    assert FileOwners(lambda: str(tmp_path)).owns(ANA, "/a")


@pytest.mark.parametrize("path", ["/ünï/ö.txt", "/\udcff\udc80", "/with\nbreak", '/"', "/x" * 2000])
def test_any_path_of_the_file_system_is_itself(tmp_path: Path, clock: Clock, path: str) -> None:
    held = owners(tmp_path, clock)
    held.add(ANA, path)

    assert held.owns(ANA, path)
    assert not held.owns(ANA, path + "x")


def test_a_tenant_without_a_name_is_not_the_tenant_named_none(tmp_path: Path, clock: Clock) -> None:
    held = owners(tmp_path, clock)
    held.add(Owner("ana", None), "/a")

    for other in (Owner("ana", "None"), Owner("ana", "null"), Owner("ana", ""), Owner('ana", null', None)):
        assert not held.owns(other, "/a")


def test_a_flood_forgets_the_least_recently_used_of_that_person(tmp_path: Path, clock: Clock) -> None:
    held = owners(tmp_path, clock, limit=3)
    held.add(BEN, "/ben")
    for name in ("/a", "/b", "/c"):
        held.add(ANA, name)
    clock.now += 61 * SECOND
    assert held.owns(ANA, "/a")
    held.add(ANA, "/d")

    assert [name for name in ("/a", "/b", "/c", "/d") if held.owns(ANA, name)] == ["/a", "/c", "/d"]
    assert held.owns(BEN, "/ben")


def test_what_is_not_used_for_long_is_forgotten_when_the_app_starts(tmp_path: Path, clock: Clock) -> None:
    held = owners(tmp_path, clock)
    held.add(ANA, "/unused")
    held.add(ANA, "/used")
    clock.now += (RETENTION - 1) * SECOND
    assert held.owns(ANA, "/used")
    clock.now += 2 * SECOND
    held.close()

    assert held.owns(ANA, "/used")
    assert not held.owns(ANA, "/unused")


def test_a_clock_that_was_wrong_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    held = owners(tmp_path, clock)
    held.add(ANA, "/a")
    clock.now -= 20 * RETENTION * SECOND
    held.close()
    assert held.owns(ANA, "/a")
    clock.now += RETENTION // 2 * SECOND
    held.close()

    assert held.owns(ANA, "/a")


class TestWithoutARecord:
    """No file has an owner then, and none counts as unowned."""

    def check(self, held: FileOwners, caplog: pytest.LogCaptureFixture) -> None:
        held.add(ANA, "/a")
        assert not held.owns(ANA, "/a")
        assert held.is_owned("/a")
        assert len(caplog.messages) == 1, "said once"
        assert "cannot be used" in caplog.messages[0]

    def test_where_the_folder_is_a_link(self, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        (tmp_path / FOLDER).symlink_to(tmp_path / "elsewhere")

        self.check(owners(tmp_path, clock), caplog)
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_where_others_may_write(self, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / FOLDER).mkdir()
        (tmp_path / FOLDER).chmod(0o777)

        self.check(owners(tmp_path, clock), caplog)

    def test_where_there_can_be_no_folder(self, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").touch()

        self.check(owners(tmp_path / "file", clock), caplog)


def test_a_process_that_does_not_let_go(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradio_apps.runtime.guard.file_owners._PATIENCE", 0.01)
    held = owners(tmp_path, clock)
    held.add(ANA, "/before")
    held.close()
    clock.now += 61 * SECOND
    with closing(sqlite3.connect(tmp_path / FOLDER / "owners.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert held.owns(ANA, "/before"), "what only reads goes on"
        assert caplog.messages == []
        held.add(ANA, "/a")
        assert not held.owns(ANA, "/a")
        assert [message.partition(": ")[2] for message in caplog.messages] == ["database is locked"]

    held.add(ANA, "/a")
    assert held.owns(ANA, "/a")


def test_a_damaged_record_is_made_anew(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    held = owners(tmp_path, clock)
    held.add(ANA, "/a")
    held.close()
    (tmp_path / FOLDER / "owners.db").write_bytes(b"no database " * 500)

    assert not held.owns(ANA, "/a")
    assert "not a database" in caplog.text
    held.add(ANA, "/b")
    assert held.owns(ANA, "/b")


def test_a_cache_that_was_emptied_meanwhile_gets_a_record_again(tmp_path: Path, clock: Clock) -> None:
    held = owners(tmp_path, clock)
    held.add(ANA, "/a")
    for file in (tmp_path / FOLDER).iterdir():
        file.unlink()
    (tmp_path / FOLDER).rmdir()
    for name in ("/b", "/c", "/d"):
        held.add(ANA, name)
    held.add(ANA, "/d")

    assert held.owns(ANA, "/d")


def test_the_folder_and_what_is_in_it_are_closed_to_others(tmp_path: Path, clock: Clock) -> None:
    held = owners(tmp_path / "cache", clock)
    held.add(ANA, "/a")

    assert (tmp_path / "cache" / FOLDER).stat().st_mode & 0o077 == 0
