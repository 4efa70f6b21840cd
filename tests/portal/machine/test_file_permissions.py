"""Permissions of a path by owners and modes: pure tables, and real links."""

import os
import stat
from pathlib import Path

import pytest

from portal.machine.file_permissions import (
    GuardedPath,
    PathStep,
    guarded_path,
    may_read,
    may_replace,
    may_write,
    steps_to,
)
from portal.machine.users import UNKNOWN_USER, Account

APP = Account(uid=70001, gid=70001)


def status(mode: int, uid: int = 0, gid: int = 0) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "reads", "writes"),
    [
        pytest.param(0o600, 0, 0, False, False, id="root's alone"),
        pytest.param(0o644, 0, 0, True, False, id="for all to read"),
        pytest.param(0o666, 0, 0, True, True, id="for all to write"),
        pytest.param(0o000, 70001, 0, True, True, id="its own: it could open that"),
        pytest.param(0o640, 0, 70001, True, False, id="for its group to read"),
        pytest.param(0o660, 0, 70001, True, True, id="for its group to write"),
        pytest.param(0o604, 0, 70001, False, False, id="for all but its group"),
        pytest.param(0o640, 0, 70002, False, False, id="for another group"),
    ],
)
def test_permissions(mode: int, uid: int, gid: int, *, reads: bool, writes: bool) -> None:
    assert may_read(status(mode, uid, gid), APP) == reads
    assert may_write(status(mode, uid, gid), APP) == writes


def step(mode: int, uid: int, gid: int, entry: int | None) -> PathStep:
    entry_status = None if entry is None else status(0o644, entry)
    return PathStep(folder=Path("/srv"), folder_status=status(mode, uid, gid), entry_status=entry_status)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "entry", "exchanges"),
    [
        pytest.param(0o755, 0, 0, 0, False, id="root's"),
        pytest.param(0o755, 0, 0, 70001, False, id="root's, with a file of its own in it"),
        pytest.param(0o755, 0, 0, None, False, id="root's, with nothing in it"),
        pytest.param(0o755, 70001, 0, 0, True, id="its own"),
        pytest.param(0o555, 70001, 0, 0, True, id="its own, which it could open"),
        pytest.param(0o1755, 70001, 0, 0, True, id="its own, sticky"),
        pytest.param(0o755, 1000, 0, 0, False, id="somebody else's"),
        pytest.param(0o775, 0, 0, 0, False, id="of root's group"),
        pytest.param(0o775, 0, 70001, 0, True, id="of its group"),
        pytest.param(0o775, 0, 70002, 0, False, id="of another group"),
        pytest.param(0o777, 0, 0, 0, True, id="everybody's"),
        pytest.param(0o1777, 0, 0, 0, False, id="sticky, with a file of root's"),
        pytest.param(0o1777, 0, 0, 1000, False, id="sticky, with somebody's file"),
        pytest.param(0o1777, 0, 0, 70001, True, id="sticky, with a file of its own"),
        pytest.param(0o1777, 0, 0, None, True, id="sticky, with nothing there yet"),
        pytest.param(0o1777, 1000, 0, 0, False, id="sticky, somebody else's"),
    ],
)
def test_who_may_replace_an_entry_of_a_folder(
    mode: int, uid: int, gid: int, entry: int | None, *, exchanges: bool
) -> None:
    assert may_replace(step(mode, uid, gid, entry), APP) == exchanges


ANNA, STAFF, NOBODY = 1500, 50, 65534
IN_STAFF = Account(uid=70001, gid=70001, groups=frozenset({STAFF}), name="app")


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "account", "is_open"),
    [
        pytest.param(0o775, ANNA, ANNA, APP, False, id="made with umask 002, by a group of one's own"),
        pytest.param(0o2775, ANNA, ANNA, UNKNOWN_USER, False, id="a home that its group may write to"),
        pytest.param(0o775, ANNA, ANNA, Account(uid=ANNA, gid=ANNA), True, id="the home of whom an app runs as"),
        pytest.param(0o775, ANNA, ANNA, Account(uid=70001, gid=ANNA), True, id="the home of whose group an app is"),
        pytest.param(0o2775, 0, STAFF, APP, False, id="/usr/local of Debian"),
        pytest.param(0o2775, 0, STAFF, UNKNOWN_USER, False, id="/usr/local of Debian, for units"),
        pytest.param(0o2775, 0, STAFF, IN_STAFF, True, id="/usr/local, and an app's user is in its group"),
        pytest.param(0o2755, 0, STAFF, IN_STAFF, False, id="/usr/local, closed to its group"),
        pytest.param(0o755, 1000, 1000, APP, False, id="a container that runs as a number without a name"),
        pytest.param(0o755, NOBODY, NOBODY, APP, False, id="NFS or a user namespace, where root is nobody"),
        pytest.param(0o775, NOBODY, NOBODY, UNKNOWN_USER, False, id="NFS, where root is nobody, for units"),
        pytest.param(0o755, 61999, 61999, UNKNOWN_USER, True, id="of a number that systemd gives to units"),
        pytest.param(0o755, 61999, 61999, APP, False, id="of such a number, and an app has another"),
        pytest.param(0o777, NOBODY, NOBODY, APP, True, id="NFS, open to everybody"),
        pytest.param(0o777, 0, 0, UNKNOWN_USER, True, id="open to everybody, for units"),
    ],
)
def test_only_changes_by_an_apps_user_are_a_problem(
    mode: int, uid: int, gid: int, account: Account, *, is_open: bool
) -> None:
    below = PathStep(folder=Path("/usr"), folder_status=status(0o755), entry_status=status(mode, uid, gid))
    inside = PathStep(
        folder=Path("/usr/local"), folder_status=status(mode, uid, gid), entry_status=status(0o644, uid, gid)
    )
    place = GuardedPath(path=Path("/usr/local/it"), status=status(0o644, uid, gid), steps=(below, inside))

    assert (place.changeable_by(account) is not None) == is_open


def test_what_cannot_be_read_is_not_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    beyond = guarded_path(tmp_path / "file" / "deeper")

    assert beyond.status is None
    assert beyond.changeable_by(APP) is None
    assert GuardedPath(path=Path("/mnt/closed"), status=None).changeable_by(APP) is None


def names(path: Path) -> list[str]:
    return [one.folder.name for one in steps_to(path)]


def test_every_folder_that_a_link_leads_through_is_a_step(tmp_path: Path) -> None:
    place = tmp_path.resolve()
    (place / "a" / "b").mkdir(parents=True)
    (place / "c").mkdir()
    (place / "a" / "b" / "file").touch()
    (place / "c" / "relative").symlink_to("../a/b")
    (place / "c" / "absolute").symlink_to(place / "c" / "relative" / "file")
    (place / "c" / "round").symlink_to("round")
    above = [folder.name for folder in reversed(place.parents)]

    assert names(place / "a" / "b" / "file") == [*above, place.name, "a", "b"]
    assert names(place / "c" / ".." / "a" / "b") == [*above, place.name, place.name, "a"]
    assert names(place / "c" / "relative" / "file") == [*above, place.name, "c", place.name, "a", "b"]
    both = [*above, place.name, "c"]
    assert names(place / "c" / "absolute") == [*both, *both, place.name, "a", "b"]
    assert names(place / "c" / "none" / "deeper") == [*above, place.name, "c"]
    assert len(steps_to(place / "c" / "round")) < 100
