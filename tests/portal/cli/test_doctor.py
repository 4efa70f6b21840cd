"""``portal doctor`` as it is typed, where there is nothing to look at."""

import json
from pathlib import Path

import pytest

from portal.cli import main
from portal.settings import Secret
from portal.storage.database import Database
from tests.ports import free_ports

TOML = """
[portal]
url = "http://portal.demo.localhost:{port}"
data_dir = "data"
[[providers]]
id = "company"
issuer = "http://127.0.0.1:9"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.forecast]
url = "http://forecast.demo.localhost:{port}"
open_to = ["everyone"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a good configuration of a portal that does not run."""
    for name in ("PORTAL_CONFIG", "PORTAL_URL", "PORTAL_DATA_DIR", "PORTAL_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORTAL_SECRET_KEY", "zB1-kept-from-everybody-0123456789abcdefgh")
    monkeypatch.setenv("COMPANY_CLIENT_SECRET", "client-secret-of-ours")
    monkeypatch.chdir(tmp_path)
    [port] = free_ports(1)
    (tmp_path / "portal.toml").write_text(TOML.format(port=port))
    return tmp_path


def findings_in(printed: str) -> set[tuple[str, str, str]]:
    return {(one["subject"], one["check"], one["level"]) for one in json.loads(printed)["findings"]}


@pytest.mark.parametrize(
    "url",
    [
        "portal.example.com",
        "ftp://portal.example.com",
        "https://",
        "https://portal.example.com/sign-in",
        "https://portal.example.com?x=1",
        "https://ana@portal.example.com",
        "https://portal.example.com:port",
        "https://[::1",
        "https://pörtal.example.com",
    ],
)
def test_an_address_that_is_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", url]) == 2
    assert "is not the address of a portal" in capsys.readouterr().err


def test_an_authority_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "authority.pem").write_text("no certificate")
    for file in ("authority.pem", "missing.pem"):
        assert main(["doctor", "--quick", "--ca", file]) == 2
        assert "authorities cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("silence", ["0", "-1", "81", "long"])
def test_a_silence_that_is_none(silence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--silence", silence]) == 2
    assert f"'--silence': {silence!r} is not a number of seconds from 1 to 80" in capsys.readouterr().err


def test_a_configuration_with_problems_comes_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "portal.toml").write_text("[portal]\n")

    assert main(["doctor"]) == 2
    assert "portal.url" in capsys.readouterr().err


def test_a_portal_that_never_ran_is_looked_at_from_outside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    And nothing is made: neither a database nor a folder.
    """
    assert main(["doctor", "--quick", "--json"]) == 1
    printed = capsys.readouterr().out
    assert findings_in(printed) == {
        ("portal", "name", "problem"),
        ("portal", "keys", "problem"),
        ("portal", "provider", "problem"),
        ("forecast", "name", "problem"),
    }
    assert "there is no database" in printed
    assert not (folder / "data").exists()


def test_a_database_without_tables_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "portal.db").touch(mode=0o600)

    assert main(["doctor", "--quick"]) == 1
    printed = capsys.readouterr().out
    assert "the database cannot be used" in printed
    assert "Traceback" not in printed


def test_what_is_found_is_printed_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data").mkdir(mode=0o700)
    database = Database(Secret(f"sqlite:///{folder / 'data' / 'portal.db'}"))
    database.upgrade()
    database.close()

    assert main(["doctor"]) == 1
    printed = capsys.readouterr()
    assert "This takes 65 seconds" in printed.err
    assert printed.out.startswith("The portal, http://portal.demo.localhost:")
    assert "  problem  name             No server accepts connections at 127.0.0.1.\n" in printed.out
    assert "  ok       disk" in printed.out or "  warning  disk" in printed.out or "  problem  disk" in printed.out
    assert printed.out.rstrip().endswith("no warnings.") or "warning" in printed.out.rstrip().rpartition("\n")[2]
