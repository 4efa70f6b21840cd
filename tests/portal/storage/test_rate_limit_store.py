"""Counters that the processes of one machine share."""

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from portal.storage import rate_limit_store
from portal.storage.rate_limit_store import FILE, SharedCounters, address_of
from tests.builders import NOW
from tests.portal.web.deployment import Deployment


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time that it is, to be changed."""
    now = [NOW]
    monkeypatch.setattr(rate_limit_store, "system_clock", lambda: now[0])
    return now


def counters(folder: Path) -> SharedCounters:
    return SharedCounters(address_of(folder))


def test_all_count_together_until_the_window_ends(tmp_path: Path, moment: list[int]) -> None:
    one, other = counters(tmp_path), counters(tmp_path)
    assert [one.incr("a", 60), other.incr("a", 60), one.incr("a", 60, amount=3), one.incr("b", 60)] == [1, 2, 5, 1]
    assert (other.get("a"), other.get("c")) == (5, 0)
    assert other.get_expiry("a") == NOW + 60
    moment[0] = NOW + 59
    assert other.incr("a", 60) == 6  # a window is not prolonged by what comes in it
    moment[0] = NOW + 60
    assert one.get("a") == 0
    assert other.incr("a", 60) == 1
    other.clear("a")
    assert (one.get("a"), one.reset()) == (0, 1)


def _count(folder: Path, times: int) -> None:
    mine = counters(folder)
    for _ in range(times):
        mine.incr("a", 60)


@pytest.mark.usefixtures("processes")
def test_no_process_loses_a_count(tmp_path: Path) -> None:
    processes = [multiprocessing.get_context("fork").Process(target=_count, args=(tmp_path, 200)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert counters(tmp_path).get("a") == 800


def test_expired_counters_are_deleted(tmp_path: Path, moment: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    one = counters(tmp_path)
    for number in range(50):
        one.incr(f"client-{number}", 60)
    moment[0] = NOW + 61
    monkeypatch.setattr(rate_limit_store, "_SWEEP", -1.0)
    one.incr("another", 60)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM counters").fetchone() == (1,)


def test_the_file_is_the_portals_alone(tmp_path: Path) -> None:
    counters(tmp_path).incr("a", 60)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("broken", ["no database", "a folder"])
def test_without_a_usable_file_requests_are_still_answered(tmp_path: Path, broken: str) -> None:
    deployment = Deployment(tmp_path)
    file = deployment.settings.data_dir / FILE
    for old in deployment.settings.data_dir.glob(f"{FILE}*"):
        old.unlink()
    if broken == "a folder":
        file.mkdir()
    else:
        file.write_bytes(b"no database at all " * 1000)
        file.chmod(0o600)
    assert not counters(deployment.settings.data_dir).check()
    assert deployment.browser().get("/sign-in").status_code == 200
