"""The log files of apps."""

import os
from pathlib import Path

import pytest

from gradio_apps.runtime.supervisor.logs import open_log, rotate


def test_a_log_is_its_owners_alone_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "app.log"
    path.parent.mkdir()
    path.write_text("before\n")
    path.chmod(0o644)
    descriptor = open_log(path)
    os.write(descriptor, b"after\n")
    os.close(descriptor)

    assert path.read_text() == "before\nafter\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "app.log").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match=r"app\.log"):
        open_log(tmp_path / "app.log")


def test_a_log_that_outgrew_its_bound_is_put_aside_while_written_to(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    (tmp_path / "app.log.1").write_text("older")
    descriptor = open_log(path)
    os.write(descriptor, b"0123456789")
    assert not rotate(path, largest=10)
    os.write(descriptor, b"x")
    assert rotate(path, largest=10)
    os.write(descriptor, b"new")
    os.close(descriptor)

    assert (path.read_text(), (tmp_path / "app.log.1").read_text()) == ("new", "0123456789x")
    assert (tmp_path / "app.log.1").stat().st_mode & 0o777 == 0o600


def test_a_log_that_was_taken_away_is_no_trouble(tmp_path: Path) -> None:
    assert not rotate(tmp_path / "app.log")
