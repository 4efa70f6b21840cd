"""What of the portal's own an app's user could read or change, by owners and modes of files."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.contract.egress import Egress
from portal.machine.exposure import PortalFiles, env_values, exposed, files_of
from portal.machine.users import Account, Accounts
from portal.rules.catalogue import Catalogue
from portal.settings import Settings
from tests.builders import an_app, settings_for

APP = Account(uid=70001, gid=70001)
OTHER = Account(uid=70002, gid=70002)


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
    files = PortalFiles(here=Path("/"), config=folder / "portal.toml", secret=secret)
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
    assert f"may write to {place / 'portal.toml'}." in what
    assert "the app one, which runs as user 70001" in what


def test_so_is_one_in_a_folder_where_an_app_could_exchange_it(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    place.chmod(0o777)
    both = found(place)
    place.chmod(0o1777)
    one = found(place)
    (place / "data-apps").mkdir()
    none = found(place)
    place.chmod(0o755)

    assert [key for key, _ in both] == ["(the file)", "portal.apps_dir"]
    assert [key for key, _ in one] == ["portal.apps_dir"], "it could be made there by an app"
    assert none == []


def test_so_is_a_sign_in_hook_or_a_working_folder_that_an_app_could_change(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    work = place / "work"
    (work / "company").mkdir(parents=True)
    rules = made(work / "company" / "rules.py", mode=0o666)
    variables = {"PORTAL_SIGN_IN_HOOK": "company.rules:who_comes_in"}
    files = files_of(place / "portal.toml", here=work, variables=variables)
    accounts = Accounts(portal=None, apps={"one": APP})

    def message() -> list[str]:
        return [one.what for one in exposed(configured(place, None), accounts, files) if "working" in one.key]

    [open_file] = message()
    assert f"may write to {rules}." in open_file
    rules.chmod(0o644)
    assert message() == []
    work.chmod(0o777)
    [open_folder] = message()
    assert f"may write to {work}." in open_folder
    work.chmod(0o1777)
    [open_to_modules] = message()
    assert f"may write to {work}." in open_to_modules, "what is put there may be imported"


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
        pytest.param("PORTAL_APP=x", 0o600, "line 1 sets a variable that is reserved", id="the guard's"),
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

    assert "which does not exist" in found(place, env_file=place / "one.env")[0][1]
    assert "it is not a regular file" in found(place, env_file=place)[0][1]


@pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root gives files to other users")
def test_a_file_of_variables_is_for_one_app(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    file = made(place / "one.env", "A=1")
    os.chown(file, OTHER.uid, 0)
    [(key, what)] = found(place, env_file=file)
    os.chown(file, APP.uid, 0)

    assert (key, "can be read by the app two" in what) == ("apps.one.env_file", True)
    assert found(place, env_file=file) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root gives files to other users")
@pytest.mark.parametrize("owner", [APP, OTHER], ids=["its own app", "another app"])
def test_a_file_of_variables_that_an_app_could_exchange_for_a_link_is_refused(place: Path, owner: Account) -> None:
    made(place / "portal.toml", mode=0o644)
    (place / "home").mkdir(mode=0o755)
    file = made(place / "home" / "one.env", "A=1")
    (place / "link.env").symlink_to(file)
    os.chown(place / "home", owner.uid, owner.gid)

    for named in (file, place / "link.env"):
        [(key, what)] = found(place, env_file=named)
        assert key == "apps.one.env_file"
        assert f"may write to {place / 'home'}." in what


@pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root gives files to other users")
def test_a_configuration_behind_a_link_into_an_apps_folder_is_refused(place: Path) -> None:
    (place / "home").mkdir(mode=0o755)
    (place / "portal.toml").symlink_to(made(place / "home" / "portal.toml", mode=0o644))
    os.chown(place / "home", APP.uid, APP.gid)

    assert [key for key, _ in found(place)] == ["(the file)"]


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


def looked_at(
    place: Path, *, one: dict[str, str], two: dict[str, str] | None = None, own: bool = True, **changes: Any
) -> list[tuple[str, str]]:
    """Problems where the app one is as it says, and the app two, a hostile one, has a user of its own."""
    apps = (
        an_app(slug="one", **one),
        an_app(slug="two", url="https://two.apps.example.com", source="two", **(two or {})),
    )
    accounts = Accounts(portal=None, apps={"one": APP, "two": OTHER} if own else {"two": OTHER})
    files = PortalFiles(here=Path("/"), config=place / "portal.toml", secret=())
    settings = settings_for(place / "data", catalogue=Catalogue(apps), **changes)
    return [(one.key, one.what) for one in exposed(settings, accounts, files)]


def given(path: Path, account: Account | None, mode: int = 0o755) -> Path:
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    path.chmod(mode)
    return path


def an_environment(folder: Path) -> Path:
    """An environment as venv makes it."""
    library = folder / "lib" / "python3.11" / "site-packages"
    library.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "pyvenv.cfg").touch()
    (folder / "bin" / "python").symlink_to("/bin/sh")
    return folder


NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root gives files to other users")


@NEEDS_ROOT
@pytest.mark.parametrize(
    ("what", "owner", "mode", "refused"),
    [
        pytest.param("space", OTHER, 0o755, True, id="its folder is another's"),
        pytest.param("space", APP, 0o755, False, id="its folder is its own"),
        pytest.param("space", None, 0o1777, True, id="a module could be put into its folder"),
        pytest.param("space/app.py", OTHER, 0o644, True, id="its file is another's"),
        pytest.param("space/app.py", APP, 0o644, False, id="its file is its own"),
        pytest.param("space/app.py", None, 0o666, True, id="its file is everybody's"),
        pytest.param("space/app.py", None, 0o644, False, id="root's"),
        pytest.param(".", OTHER, 0o755, True, id="the folder above is another's"),
        pytest.param(".", None, 0o1777, False, id="the folder above is sticky"),
    ],
)
@pytest.mark.parametrize("source", ["space/app.py", "space"])
def test_an_apps_source_is_its_own_or_roots(
    place: Path, source: str, what: str, owner: Account | None, mode: int, *, refused: bool
) -> None:
    code = place / "code"
    (code / "space").mkdir(parents=True)
    (code / "space" / "app.py").touch(mode=0o644)
    given(code / what, owner, mode)
    said = looked_at(place, one={"source": str(code / source)})

    assert [key for key, _ in said] == (["apps.one.source"] if refused else [])
    if refused:
        assert f"by the app two, which runs as user 70002 and may write to {code / what}." in said[0][1]


@NEEDS_ROOT
def test_the_source_of_an_app_that_runs_as_the_portal_is_not_another_apps(place: Path) -> None:
    (place / "app.py").touch()
    given(place / "app.py", APP)
    assert looked_at(place, one={"source": str(place / "app.py")}, own=False) == []
    given(place / "app.py", OTHER)
    [(key, _)] = looked_at(place, one={"source": str(place / "app.py")}, own=False)

    assert key == "apps.one.source"


@NEEDS_ROOT
@pytest.mark.parametrize(
    "what",
    ["venv", "venv/bin", "venv/pyvenv.cfg", "venv/lib/python3.11", "venv/lib/python3.11/site-packages", "link"],
)
def test_an_apps_interpreter_is_its_own_or_roots(place: Path, what: str) -> None:
    an_environment(place / "code" / "venv")
    (place / "code" / "link").mkdir()
    (place / "code" / "link" / "venv").symlink_to("../venv")
    (place / "app.py").touch()
    named = "link/venv" if what == "link" else "venv"
    one = {"source": str(place / "app.py"), "python": str(place / "code" / named / "bin" / "python")}

    assert looked_at(place, one=one) == []
    given(place / "code" / what, APP)
    assert looked_at(place, one=one) == []
    given(place / "code" / what, OTHER)
    [(key, said)] = looked_at(place, one=one)
    assert key == "apps.one.python"
    assert f"may write to {place / 'code' / what}." in said


@NEEDS_ROOT
def test_a_module_is_found_and_not_imported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = place / "library" / "company" / "apps"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "forecast.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(place / "library"))
    one = {"source": "company.apps.forecast"}

    assert looked_at(place, one=one) == []
    for path in (package / "forecast.py", package, package.parent / "__init__.py"):
        before = path.stat().st_mode
        given(path, OTHER)
        assert ("apps.one.source", True) in [(key, str(path) in said) for key, said in looked_at(place, one=one)]
        os.chown(path, 0, 0)
        path.chmod(before)
    assert looked_at(place, one={"source": "company.none"}) == []


@NEEDS_ROOT
def test_a_module_of_an_interpreter_of_its_own_is_looked_for_there(place: Path) -> None:
    python = an_environment(place / "venv") / "bin" / "python"
    module = place / "venv" / "lib" / "python3.11" / "site-packages" / "company.py"
    module.touch()
    given(module, OTHER)
    said = looked_at(place, one={"source": "company", "python": str(python)})

    assert [key for key, _ in said] == ["apps.one.source"]


@NEEDS_ROOT
def test_no_app_may_change_the_portals_authorities(place: Path) -> None:
    (place / "folder").mkdir()
    ca_file = made(place / "folder" / "ca.pem", mode=0o644)
    secret = made(place / "folder" / "key", mode=0o600)
    one = {"source": "x"}
    assert looked_at(place, one=one, egress=Egress(authorities=ca_file)) == []
    given(place / "folder", OTHER)

    assert [key for key, _ in looked_at(place, one=one, egress=Egress(authorities=ca_file))] == ["portal.ca_file"]
    assert [key for key, _ in looked_at(place, one=one, egress=Egress(bundle=ca_file))] == ["SSL_CERT_FILE"]
    assert [(key, "can be changed" in what) for key, what in found(place, secret=(secret,))] == [(str(secret), True)]


@NEEDS_ROOT
def test_no_app_may_change_the_portals_installation(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "library").mkdir()
    monkeypatch.syspath_prepend(str(place / "library"))
    assert looked_at(place, one={"source": "x"}) == []
    given(place / "library", APP)
    [(key, what)] = looked_at(place, one={"source": "x"})

    assert key == "(the installation)"
    assert f"may write to {place / 'library'}." in what


def test_a_file_of_variables_is_not_the_portals_own(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    env = made(place / ".env", "A=1")
    os.link(env, place / "one.env")
    [(key, what)] = found(place, env_file=place / "one.env", secret=(env,))

    assert key == "apps.one.env_file"
    assert "contains the portal's own secrets" in what


@NEEDS_ROOT
def test_a_file_of_variables_is_not_its_apps_own_in_a_folder_of_everybodys(place: Path) -> None:
    made(place / "portal.toml", mode=0o644)
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)
    file = made(place / "tmp" / "one.env", "A=1")
    assert found(place, env_file=file) == []
    os.chown(file, APP.uid, APP.gid)

    assert [key for key, _ in found(place, env_file=file)] == ["apps.one.env_file"], "it may put a link in its place"
