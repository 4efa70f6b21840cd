"""``portal migrate``, ``portal backup`` and ``portal restore`` as they are typed."""

import json
import sqlite3
from pathlib import Path

import pytest

from portal.cli import main
from portal.settings import Secret
from portal.storage.database import Database
from portal.storage.instance_lock import exclusive_lock
from tests.portal.cli.test_main import GOOD, SECRET, config

__all__ = ["config"]


class TestMigrate:
    def test_it_says_what_it_did(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        del config
        assert main(["migrate"]) == 0
        assert "The database was empty; its tables are now those of revision 0003." in capsys.readouterr().out
        assert main(["migrate"]) == 0
        assert "The database is up to date, at revision 0003." in capsys.readouterr().out

    def test_a_new_secret_key_takes_over(
        self, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del config
        assert main(["apps", "secret", "forecast"]) == 0
        secret = capsys.readouterr().out
        new = SECRET[::-1]
        monkeypatch.setenv("PORTAL_SECRET_KEY", f"{new},{SECRET}")
        assert main(["migrate"]) == 0
        assert "One value was encrypted again with the first secret key." in capsys.readouterr().out
        monkeypatch.setenv("PORTAL_SECRET_KEY", new)
        assert main(["migrate"]) == 0
        assert "sealed" not in capsys.readouterr().out
        assert main(["apps", "secret", "forecast"]) == 0
        assert capsys.readouterr().out == secret
        monkeypatch.setenv("PORTAL_SECRET_KEY", SECRET)
        assert main(["migrate"]) == 0
        assert "One value of the database cannot be decrypted." in capsys.readouterr().out

    def test_a_database_that_cannot_be_used_is_named(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (config.parent / ".portal").mkdir()
        (config.parent / ".portal" / "portal.db").write_bytes(b"no database at all " * 500)
        assert main(["migrate"]) == 1
        assert "The database cannot be used" in capsys.readouterr().err


def commands_in_the_audit(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str | None]]:
    capsys.readouterr()
    assert main(["audit", "--event", "command-run", "--json"]) == 0
    events = map(json.loads, capsys.readouterr().out.splitlines())
    return [(one["fields"]["command"], one.get("app")) for one in events]


class TestInTheAudit:
    def test_commands_that_change_something_or_give_out_secrets_or_data(
        self, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = config.parent / "audit.jsonl"
        config.write_text(GOOD.replace("[portal]", f'[portal]\naudit_log = "{log}"', 1))
        for arguments in (
            ["migrate"],
            ["apps", "secret", "forecast"],
            ["apps", "secret", "forecast", "--rotate"],
            ["backup", "today.backup"],
            ["check"],
            ["keys", "list"],
            ["sign-ins", "list"],
            ["restore", "today.backup"],
        ):
            assert main(arguments) == 0
        expected = [("apps secret", "forecast"), ("apps secret --rotate", "forecast"), ("restore", None)]
        assert commands_in_the_audit(capsys) == expected, "the backup was made before it was recorded"
        monkeypatch.setenv("PORTAL_SECRET_KEY", f"{SECRET[::-1]},{SECRET}")
        assert main(["migrate"]) == main(["migrate"]) == 0
        assert commands_in_the_audit(capsys) == [*expected, ("migrate", None)]

        lines = [json.loads(line) for line in log.read_text(encoding="ascii").splitlines()]
        logged = [line["fields"]["command"] for line in lines if line["event"] == "command-run"]
        assert logged == ["apps secret", "apps secret --rotate", "backup", "restore", "migrate"]
        restored = next(line["fields"] for line in lines if line["fields"].get("command") == "restore")
        assert restored["made_at"].endswith("Z")
        assert restored["by"].endswith(" on the command line")

    def test_a_command_that_has_had_its_effect_says_that_it_could_not_be_recorded(
        self, config: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del config
        assert main(["migrate"]) == 0
        database = sqlite3.connect(".portal/portal.db")
        database.execute("DROP TABLE audit")
        database.commit()
        database.close()

        assert main(["apps", "secret", "forecast"]) == 0
        out, err = capsys.readouterr()
        assert len(out.split()[-1]) > 40, "the secret"
        assert "this is not in the audit. The database cannot be used" in err


class TestBackupAndRestore:
    def test_there_and_back(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["migrate"]) == 0
        assert main(["backup", "today.backup"]) == 0
        output = capsys.readouterr().out
        assert "today.backup holds the database at revision 0003, and portal.toml." in output
        assert "keep a copy of PORTAL_SECRET_KEY somewhere else" in output
        assert SECRET not in output

        config.write_text(GOOD.replace("Example AI", "Another title"))
        assert main(["restore", "today.backup"]) == 0
        output = capsys.readouterr().out
        assert "0 sign-ins were ended, and every browser must sign in again." in output
        assert "The database that was replaced is " in output
        assert "tar -xzOf today.backup portal.toml" in output
        with exclusive_lock(config.parent / ".portal") as alone:
            assert alone

    def test_the_same_configuration_is_no_word_worth(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["migrate"]) == 0
        assert main(["backup", "b", "--config", str(config)]) == 0
        capsys.readouterr()
        assert main(["restore", "b", "--config", str(config)]) == 0
        assert "portal.toml" not in capsys.readouterr().out

    def test_what_cannot_be_done_is_a_failure(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        del config
        assert main(["backup", "b"]) == 1
        assert "There is no database at" in capsys.readouterr().err
        assert main(["restore", "b"]) == 1
        assert "Nothing was changed. " in capsys.readouterr().err

    @pytest.mark.parametrize(("command", "program"), [("backup", "pg_dump"), ("restore", "pg_restore")])
    def test_postgresql_has_its_own_programs(
        self,
        config: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        command: str,
        program: str,
    ) -> None:
        del config
        monkeypatch.setenv("PORTAL_DATABASE_URL", "postgresql://portal:hush-hush@db.example.com/portal")
        assert main([command, "b"]) == 2
        err = capsys.readouterr().err
        assert program in err
        assert "hush-hush" not in err

    def test_one_sign_in_is_one(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["migrate"]) == 0
        database = Database(Secret(f"sqlite:///{config.parent / '.portal' / 'portal.db'}"))
        _sign_in(database, config.parent)
        database.close()
        assert main(["backup", "b"]) == 0
        assert main(["restore", "b"]) == 0
        assert "One sign-in was ended" in capsys.readouterr().out


def _sign_in(database: Database, folder: Path) -> None:
    from tests.portal.store_deployment import a_deployment

    a_deployment(database, folder).sign_in()
