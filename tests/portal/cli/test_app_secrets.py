"""``portal apps secrets``: each secret in a file of its own, for its owner alone, and no more often than needed."""

import stat
from pathlib import Path

import pytest

from portal.cli import main
from portal.cli.app_secrets import write_secret
from portal.settings import Secret
from tests.portal.configuration.reading import ENVIRON, GOOD

SOURCE = '[apps.local]\nsource = "gradio_apps.showcase"\nopen_to = ["analyst"]\n'
OTHER = '[apps.other]\nurl = "https://other.apps.example.com"\nopen_to = ["analyst"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PORTAL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "portal.toml").write_text(GOOD + OTHER + SOURCE)
    return tmp_path


def test_each_app_that_runs_elsewhere_gets_a_file_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "secrets", "--into", "made/secrets"]) == 0
    output = capsys.readouterr().out

    made = folder / "made" / "secrets"
    assert {file.name for file in made.iterdir()} == {"forecast", "other"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.iterdir()} == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    for app in ("forecast", "other"):
        assert main(["apps", "secret", app]) == 0
        secret = capsys.readouterr().out.strip()
        assert (made / app).read_text() == secret
        assert secret not in output


def test_what_is_right_stays_and_what_was_rotated_is_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    main(["apps", "secrets", "--into", "secrets"])
    main(["apps", "secret", "other", "--rotate"])
    capsys.readouterr()

    assert main(["apps", "secrets", "--into", "secrets"]) == 0
    assert capsys.readouterr().out == "secrets/forecast is up to date.\nsecrets/other was written.\n"


def test_apps_that_the_portal_starts_need_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "portal.toml").write_text(GOOD.partition("[apps.")[0] + SOURCE)

    assert main(["apps", "secrets", "--into", "secrets"]) == 0
    assert "No app runs elsewhere" in capsys.readouterr().out
    assert not (folder / "secrets").exists()


def test_a_folder_that_cannot_be_written_to_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "secrets").touch()

    assert main(["apps", "secrets", "--into", "secrets"]) == 1
    assert "Cannot write to secrets: File exists." in capsys.readouterr().err


def test_nothing_is_written_through_a_link_or_read_by_others(tmp_path: Path) -> None:
    elsewhere, linked, open_to_all = (tmp_path / name for name in ("elsewhere", "linked", "open"))
    elsewhere.write_text("theirs")
    linked.symlink_to(elsewhere)
    open_to_all.write_text("secret")
    open_to_all.chmod(0o644)

    assert write_secret(linked, Secret("secret")) is True
    assert write_secret(open_to_all, Secret("secret")) is True
    assert (elsewhere.read_text(), linked.read_text(), linked.is_symlink()) == ("theirs", "secret", False)
    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o600
    assert write_secret(open_to_all, Secret("secret")) is False


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "forecast").mkdir()

    with pytest.raises(OSError, match="directory"):
        write_secret(tmp_path / "forecast", Secret("secret"))
    assert list(tmp_path.iterdir()) == [tmp_path / "forecast"]
