"""What of the portal's own an app's user could read or change, by owners and modes of files."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.catalogue import Catalogue
from portal.cli.accounts import Account, Accounts
from portal.cli.exposed import Files, env_values, exposed, files_of, may_read, may_write
from portal.settings import Settings
from tests.builders import an_app, settings_for

APP = Account(uid=70001, gid=70001)
OTHER = Account(uid=70002, gid=70002)


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


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        if not all(above.stat().st_mode & stat.S_IXOTH for above in folder.parents):
            pytest.skip("set TMPDIR to a folder that everybody may enter, like /tmp")
        folder.chmod(0o755)
        yield folder


def made(path: Path, text: str = "", *, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def found(folder: Path, *, env_file: Path | None = None, secret: tuple[Path, ...] = ()) -> list[tuple[str, str]]:
    files = Files(config=folder / "portal.toml", secret=secret)
    accounts = Accounts(portal=None, apps={"one": APP, "two": OTHER})
    return [(one.key, one.what) for one in exposed(configured(folder, env_file), accounts, files)]


def configured(folder: Path, env_file: Path | None) -> Settings:
    one = an_app(slug="one", source="x", env_file=None if env_file is None else str(env_file), user="70001")
    two = an_app(slug="two", url="https://two.apps.example.com", source="x", user="70002")
    return settings_for(folder / "data", catalogue=Catalogue((one, two)))


def test_what_is_closed_is_fine(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    secret = made(place / "secrets", mode=0o600)

    assert found(place, secret=(secret, place / "not-there")) == []


@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_configuration_that_an_app_could_change_is_refused(place: Path, mode: int) -> None:
    made(place / "portal.toml", mode=mode)
    [(key, what)] = found(place)

    assert key == "(the file)"
    assert f"{place / 'portal.toml'} is open to it" in what
    assert "the app one, which runs as user 70001" in what


def test_so_is_one_in_a_folder_where_an_app_could_exchange_it(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    place.chmod(0o777)
    both = found(place)
    place.chmod(0o1777)
    none = found(place)
    place.chmod(0o755)

    assert [key for key, _ in both] == ["(the file)", "portal.apps_dir"]
    assert none == []


def test_so_is_a_sign_in_hook_or_a_working_folder_that_an_app_could_change(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    work = place / "work"
    (work / "company").mkdir(parents=True)
    rules = made(work / "company" / "rules.py", mode=0o666)
    variables = {"PORTAL_SIGN_IN_HOOK": "company.rules:who_comes_in"}
    files = files_of(place / "portal.toml", here=work, variables=variables)
    accounts = Accounts(portal=None, apps={"one": APP})

    def told() -> list[str]:
        return [one.what for one in exposed(configured(place, None), accounts, files) if "working" in one.key]

    [open_file] = told()
    assert f"{rules} is open to it" in open_file
    rules.chmod(0o644)
    assert told() == []
    work.chmod(0o777)
    [open_folder] = told()
    assert f"{work} is open to it" in open_folder


def test_secrets_that_an_app_could_read_are_refused(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    secret = made(place / ".env", mode=0o644)
    [(key, what)] = found(place, secret=(secret,))

    assert key == str(secret)
    assert "can be read by the app one" in what


def test_what_no_app_reaches_needs_no_mode_of_its_own(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    closed = place / "closed"
    closed.mkdir(mode=0o700)

    assert found(place, secret=(made(closed / "key", mode=0o644),)) == []


@pytest.mark.parametrize(
    ("text", "mode", "what"),
    [
        pytest.param("A=1", 0o644, "it is open to others (mode 0644)", id="others"),
        pytest.param("A=1", 0o660, "it is open to others (mode 0660)", id="group writes"),
        pytest.param("hush hush", 0o600, "line 1 is not NAME=value", id="no variables"),
        pytest.param("PORTAL_APP=x", 0o600, "line 1 sets a variable that no app is given", id="the guard's"),
    ],
)
def test_a_file_of_variables_is_looked_at_before(place: Path, text: str, mode: int, what: str) -> None:
    made(place / "portal.toml", mode=0o644)
    [(key, said)] = found(place, env_file=made(place / "one.env", text, mode=mode))

    assert key == "apps.one.env_file"
    assert what in said
    assert "hush" not in said


def test_a_file_of_variables_that_is_not_there_is_named(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)

    assert "which is not there" in found(place, env_file=place / "one.env")[0][1]
    assert "it is no file" in found(place, env_file=place)[0][1]


@pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root gives files to other users")
def test_a_file_of_variables_is_for_one_app(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    file = made(place / "one.env", "A=1")
    os.chown(file, OTHER.uid, 0)
    [(key, what)] = found(place, env_file=file)
    os.chown(file, APP.uid, 0)

    assert (key, "can be read by the app two" in what) == ("apps.one.env_file", True)
    assert found(place, env_file=file) == []


def test_files_with_secrets_are_known_by_their_variables(tmp_path: Path) -> None:
    variables = {
        "PORTAL_SECRET_KEY_FILE": "/run/secrets/key",
        "COMPANY_CLIENT_SECRET_FILE": "client",
        "PORTAL_DATABASE_URL_FILE": "/run/secrets/database",
        "SSL_CERT_FILE": "/etc/ssl/all.pem",
        "OAUTH_CLIENT_SECRET": "no file",
        "EMPTY_SECRET_FILE": " ",
    }
    files = files_of(tmp_path / "portal.toml", here=tmp_path, variables=variables)

    assert set(files.secret) == {
        tmp_path / ".env",
        tmp_path / "client",
        Path("/run/secrets/key"),
        Path("/run/secrets/database"),
    }


def test_what_is_to_be_hidden_is_known_or_nothing_is_shown(tmp_path: Path) -> None:
    good = made(tmp_path / "good.env", "A=first\nB=second\n")
    bad = made(tmp_path / "bad.env", "no variable")

    assert env_values([None, str(good)]) == ("first", "second")
    assert env_values([str(tmp_path / "gone")]) == ()
    assert env_values([str(good), str(bad)]) is None
