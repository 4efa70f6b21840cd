"""Errors of a command if the configuration cannot be read."""

from pathlib import Path

import pytest

from portal.machine.failure import CommandFailed
from portal.machine.problems import configured


def test_an_env_file_of_the_working_folder_that_is_no_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"COMPANY_CLIENT_SECRET=caf\xe9\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CommandFailed, match="is not UTF-8 text") as caught:
        configured(None, environ={})
    assert caught.value.exit_code == 2


def test_an_env_file_that_this_user_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.touch()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr("portal.machine.problems.environment", refused)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CommandFailed, match="cannot be read: Permission denied"):
        configured(None, environ={})
