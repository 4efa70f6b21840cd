"""The log files of apps."""

import os
import subprocess
import sys
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


def test_a_log_that_only_says_it_is_large_fills_no_disk(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    descriptor = open_log(path)
    os.ftruncate(descriptor, 1 << 40)  # the app can, with its standard output
    os.write(descriptor, b"the end")
    os.close(descriptor)

    assert rotate(path, largest=10)
    assert (tmp_path / "app.log.1").stat().st_size < 2 * 1024 * 1024
    assert (tmp_path / "app.log.1").read_bytes().endswith(b"the end")
    assert path.stat().st_size == 0


@pytest.mark.usefixtures("processes")
def test_without_room_for_a_copy_the_log_is_emptied_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"x" * 200_000)
    (tmp_path / "app.log.1").write_text("older")
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from gradio_apps.runtime.supervisor.logs import rotate\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: rotate(Path(sys.argv[1]), largest=10)\nexcept OSError as error: print(error.strerror)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)

    assert done.stdout == "File too large\n"
    assert [(one.name, one.stat().st_size) for one in tmp_path.iterdir()] == [("app.log", 0)]


def test_a_log_that_was_taken_away_is_no_trouble(tmp_path: Path) -> None:
    assert not rotate(tmp_path / "app.log")
