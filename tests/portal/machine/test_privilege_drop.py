"""Which users may start portal and apps as other users, and what is refused before anything starts."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.cli import main
from portal.machine.file_access import first_unreadable
from portal.machine.privilege_drop import acting_for, environment_for, groups_of, require_right
from portal.machine.users import ROOT, Account, Accounts, SystemUsers
from portal.rules.catalogue import Catalogue
from tests.builders import an_app, settings_for
from tests.journeys import strangers

AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="run the tests as root, on Linux: only root may change user"
)
TOML = """
[portal]
url = "http://portal.demo.localhost:7900"
apps_url = "http://{app}.demo.localhost:{port}"
SAID
[[providers]]
id = "company"
issuer = "http://127.0.0.1:9"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.one]
source = "app.py"
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configured folder that everybody may enter, as ``portal serve`` is started in."""
    for name in [name for name in os.environ if name.startswith("PORTAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PORTAL_SECRET_KEY", "zB1-kept-from-everybody-0123456789abcdefgh")
    monkeypatch.setenv("COMPANY_CLIENT_SECRET", "client-secret-of-ours")
    with tempfile.TemporaryDirectory() as name:
        made = Path(name).resolve()
        made.chmod(0o755)
        monkeypatch.chdir(made)
        (made / "app.py").touch(mode=0o644)
        yield made


def refused(folder: Path, said: str, capsys: pytest.CaptureFixture[str], command: str = "serve") -> str:
    (folder / "portal.toml").write_text(TOML.replace("SAID", said))
    assert main([command, *(["--no-browser"] if command == "serve" else [])]) == 2
    return capsys.readouterr().err


def test_serve_refuses_apps_that_systemd_starts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(folder, 'apps_run_by = "systemd"', capsys)

    assert 'portal.apps_run_by is "systemd": the units of `portal config systemd` start the apps' in said
    assert not (folder / ".portal").exists()


def test_without_an_app_to_start_systemd_does_not_matter(tmp_path: Path) -> None:
    elsewhere = settings_for(tmp_path, apps_run_by="systemd", catalogue=Catalogue((an_app(),)))

    require_right(elsewhere, Accounts(portal=None))


@pytest.mark.parametrize("command", ["serve", "check"])
def test_unknown_users_are_named_with_their_keys(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    said = refused(folder, 'user = "no-such-user"\napp_uids = "70000-79999"', capsys, command)

    assert "portal.toml: portal.user" in said
    assert "names 'no-such-user', which is not a user of this machine." in said
    assert "useradd --system no-such-user" in said


_AS_NOBODY = """
import os, sys
from pathlib import Path
from portal.machine.users import Account, Accounts
from portal.machine.failure import CommandFailed
from portal.machine.privilege_drop import require_right
from tests.builders import settings_for
if os.geteuid() == 0:
    os.setuid(70001)
me = Account(uid=os.geteuid(), gid=1)
other = Account(uid=os.geteuid() + 1, gid=1, name="other")
for accounts in (Accounts(portal=me, apps={"one": other}), Accounts(portal=other), Accounts(portal=me)):
    try:
        require_right(settings_for(Path(".")), accounts)
    except CommandFailed as error:
        print(error)
    else:
        print("may")
"""


@pytest.mark.usefixtures("processes")
def test_only_root_starts_apps_as_other_users() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    apps, portal, itself = done.stdout.splitlines()

    assert "Starting them needs root, which this process lacks" in apps
    assert "start portal serve as that user or as root" in portal
    assert itself == "may"


def test_a_process_of_the_portal_has_the_home_of_its_user() -> None:
    account = Account(uid=7, gid=8, name="other")

    assert environment_for(account, {"HOME": "/root", "A": "b"}) == {
        "HOME": "/",
        "USER": "other",
        "LOGNAME": "other",
        "A": "b",
    }
    assert groups_of(Account(uid=7, gid=8)) == (8,)
    assert 0 in groups_of(ROOT)


@pytest.mark.usefixtures("processes")
@AS_ROOT
def test_an_app_that_its_user_cannot_read_is_named_before_it_is_started(folder: Path) -> None:
    app = folder / "app.py"
    stranger = Account(uid=70001, gid=70001)

    assert first_unreadable([Path("/bin/sh"), app], stranger, groups=()) is None
    app.chmod(0o640)
    assert first_unreadable([Path("/bin/sh"), app], stranger, groups=()) == app
    os.chown(app, 0, 70005)
    assert first_unreadable([app], stranger, groups=(70005,)) is None
    folder.chmod(0o700)
    assert first_unreadable([app], stranger, groups=(70005,)) == app


@pytest.mark.usefixtures("processes")
@AS_ROOT
def test_commands_by_root_create_files_as_the_portals_user(folder: Path) -> None:
    user = strangers.a_system_user()
    code = (
        "import os\nfrom pathlib import Path\nfrom portal.machine.privilege_drop import acting_for\n"
        "from tests.builders import settings_for\n"
        "before = os.getresuid(), os.getresgid(), os.getgroups()\n"
        f"with acting_for(settings_for(Path('.'), user='{user}')):\n    open('made', 'x').close()\n"
        "assert (os.getresuid(), os.getresgid(), os.getgroups()) == before\n"
    )
    folder.chmod(0o777)
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        timeout=60,
        check=True,
    )

    assert (folder / "made").owner() == user


@pytest.mark.usefixtures("processes")
@AS_ROOT
def test_root_restores_a_backup_as_the_portals_user(folder: Path) -> None:
    user = strangers.a_system_user()
    account = SystemUsers().by_name(user)
    assert account is not None
    if first_unreadable([strangers.ROOT / "portal" / "storage" / "migrations" / "env.py"], account, groups=()):
        pytest.skip("keep the checkout where other users get: the portal's user reads the migrations there")
    (folder / "portal.toml").write_text(TOML.replace("SAID", f'user = "{user}"\ndata_dir = "data"'))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

    def portal(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "portal.cli", *arguments],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def owners() -> set[str]:
        return {file.owner() for file in (folder / "data", *(folder / "data").iterdir())}

    portal("migrate")
    assert owners() == {user}
    portal("backup", "today.backup")
    assert (folder / "today.backup").stat().st_mode & 0o777 == 0o600
    assert (folder / "today.backup").owner() == "root"
    assert "sign-ins were ended" in portal("restore", "today.backup")
    assert len(list((folder / "data").glob("portal.db.before-*"))) == 1
    assert owners() == {user}


@pytest.mark.usefixtures("processes")
@AS_ROOT
def test_check_names_files_that_the_users_of_apps_cannot_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user = strangers.a_system_user()
    (folder / "app.py").chmod(0o600)
    said = refused(folder, f'user = "{user}"\napp_uids = "70000-79999"', capsys, "check")

    assert re.search(r"user 7\d{4}, the user of the app one, cannot read ", said)


def test_without_root_the_user_stays(tmp_path: Path) -> None:
    with acting_for(settings_for(tmp_path)):
        (tmp_path / "made").touch()

    assert (tmp_path / "made").stat().st_uid == os.geteuid()
