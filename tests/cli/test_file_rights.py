"""Who may do what to what is at a path, as owners and modes have it: pure tables, and real links."""

import os
import stat
from pathlib import Path

import pytest

from portal.cli.accounts import Account
from portal.cli.file_rights import Step, is_for_root_alone, may_exchange, may_read, may_write, steps_to

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
def test_who_may_what(mode: int, uid: int, gid: int, *, reads: bool, writes: bool) -> None:
    assert may_read(status(mode, uid, gid), APP) == reads
    assert may_write(status(mode, uid, gid), APP) == writes


def step(mode: int, uid: int, gid: int, entry: int | None) -> Step:
    of_entry = None if entry is None else status(0o644, entry)
    return Step(folder=Path("/srv"), of_folder=status(mode, uid, gid), of_entry=of_entry)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "entry", "exchanges", "roots"),
    [
        pytest.param(0o755, 0, 0, 0, False, True, id="root's"),
        pytest.param(0o755, 0, 0, 70001, False, True, id="root's, with a file of its own in it"),
        pytest.param(0o755, 0, 0, None, False, True, id="root's, with nothing in it"),
        pytest.param(0o755, 70001, 0, 0, True, False, id="its own"),
        pytest.param(0o555, 70001, 0, 0, True, False, id="its own, which it could open"),
        pytest.param(0o1755, 70001, 0, 0, True, False, id="its own, sticky"),
        pytest.param(0o755, 1000, 0, 0, False, False, id="somebody else's"),
        pytest.param(0o775, 0, 0, 0, False, True, id="of root's group"),
        pytest.param(0o775, 0, 70001, 0, True, False, id="of its group"),
        pytest.param(0o775, 0, 70002, 0, False, False, id="of another group"),
        pytest.param(0o777, 0, 0, 0, True, False, id="everybody's"),
        pytest.param(0o1777, 0, 0, 0, False, True, id="sticky, with a file of root's"),
        pytest.param(0o1777, 0, 0, 1000, False, False, id="sticky, with somebody's file"),
        pytest.param(0o1777, 0, 0, 70001, True, False, id="sticky, with a file of its own"),
        pytest.param(0o1777, 0, 0, None, True, False, id="sticky, with nothing there yet"),
        pytest.param(0o1777, 1000, 0, 0, False, False, id="sticky, somebody else's"),
    ],
)
def test_who_may_exchange_what_is_in_a_folder(
    mode: int, uid: int, gid: int, entry: int | None, *, exchanges: bool, roots: bool
) -> None:
    looked = step(mode, uid, gid, entry)

    assert may_exchange(looked, APP) == exchanges
    assert is_for_root_alone(looked) == roots


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
