"""Machines as people have them: what is open there to people, and to no app, is no problem to anybody."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from portal.cli import main
from portal.machine.environments import require_safe_folder
from portal.machine.exposure import exposed, files_of
from portal.machine.failure import CommandFailed
from portal.machine.users import Account, Accounts, SystemUsers
from portal.rules.catalogue import Catalogue
from portal.settings import RunBy
from portal.storage.private_files import refusal
from tests.builders import an_app, settings_for
from tests.journeys import strangers

APP = Account(uid=70001, gid=70001)
OTHER = Account(uid=70002, gid=70002)
ANNA, STAFF, NOBODY = 1500, 50, 65534
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root gives files to other users")
TOML = """
[portal]
url = "https://portal.example.com"
apps_url = "https://{app}.apps.example.com"
SAID
[roles.user]
groups = ["users"]
[[providers]]
id = "company"
issuer = "https://id.example.com"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.one]
source = "one/app.py"
env_file = "one.env"
open_to = ["user"]
"""
SECRETS = {
    "PORTAL_SECRET_KEY": "zB1-kept-from-everybody-0123456789abcdefgh",
    "COMPANY_CLIENT_SECRET": "client-secret-of-ours",
}


@dataclass(frozen=True)
class Machine:
    """A folder where somebody keeps a portal, two apps and their interpreter."""

    folder: Path
    apps: dict[str, Account] = field(default_factory=lambda: {"one": APP, "two": OTHER})

    def keys(self, *, apps_run_by: RunBy = "portal", own: bool = True) -> list[str]:
        """The keys that have a problem, which must be those of ``portal check``."""
        two = an_app(slug="two", url="https://two.apps.example.com", source=str(self.folder / "two"))
        one = an_app(
            slug="one",
            source=str(self.folder / "one" / "app.py"),
            env_file=str(self.folder / "one.env"),
            python=str(self.folder / "venv" / "bin" / "python"),
        )
        settings = settings_for(self.folder / ".portal", catalogue=Catalogue((one, two)), apps_run_by=apps_run_by)
        files = files_of(self.folder / "portal.toml", here=self.folder, variables={})
        accounts = Accounts(portal=None, apps=self.apps if own else {})
        return [one.key for one in exposed(settings, accounts, files)]

    def give(self, uid: int, gid: int, folders: int, *, only: str | None = None) -> None:
        """Give all of it, or the folder *only*, to *uid* and *gid*, folders with the mode *folders*."""
        for path in (self.folder, *self.folder.rglob("*")) if only is None else (self.folder / only,):
            os.chown(path, uid, gid, follow_symlinks=False)
            if path.is_dir() and not path.is_symlink():
                path.chmod(folders)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name).resolve() / "home"
        before = os.umask(0o002)
        try:
            for made in ("one", "two", "uv/python/cpython/bin", "uv/python/cpython/lib/python3.12", "venv/bin"):
                (folder / made).mkdir(parents=True)
            for made in ("one/app.py", "two/app.py", "portal.toml", "venv/pyvenv.cfg", "uv/python/cpython/bin/python"):
                (folder / made).touch()
            (folder / "one.env").write_text("A=1\n")
        finally:
            os.umask(before)
        for secret in ("one.env", ".env"):
            (folder / secret).touch()
            (folder / secret).chmod(0o600)
        (folder / "venv" / "bin" / "python").symlink_to("../../uv/python/cpython/bin/python")
        (folder / "uv" / "python" / "cpython" / "bin" / "python").chmod(0o775)
        yield Machine(folder)


def as_it_is(_: Machine) -> None:
    """As whoever runs the tests makes it, with umask 002."""


def of_a_private_group(machine: Machine) -> None:
    machine.give(ANNA, ANNA, 0o2775)


def of_a_number_without_a_name(machine: Machine) -> None:
    machine.give(10001, 0, 0o775)


def of_staff(machine: Machine) -> None:
    machine.give(0, STAFF, 0o2775)


def of_nobody(machine: Machine) -> None:
    machine.give(NOBODY, NOBODY, 0o775)


ORDINARY = [
    as_it_is,
    *(
        pytest.param(one, marks=NEEDS_ROOT)
        for one in (of_a_private_group, of_a_number_without_a_name, of_staff, of_nobody)
    ),
]


@pytest.mark.parametrize("ordinary", ORDINARY)
def test_what_is_ordinary_is_no_problem(machine: Machine, ordinary: Callable[[Machine], None]) -> None:
    ordinary(machine)
    status = machine.folder.stat()

    assert machine.keys() == []
    assert machine.keys(own=False) == []
    assert machine.keys(apps_run_by="systemd") == []
    assert machine.keys(apps_run_by="systemd", own=False) == []
    assert refusal(machine.folder / ".portal", runs_as=status.st_uid) is None
    require_safe_folder(machine.folder / "environments", machine.apps)


@NEEDS_ROOT
@pytest.mark.parametrize(
    ("only", "keys"),
    [
        ("one", ["apps.one.source"]),
        ("uv/python/cpython/lib/python3.12", ["apps.one.python"]),
        (".", ["apps.one.env_file", "(the file)", "portal.apps_dir", "(the working folder)"]),
    ],
)
@pytest.mark.parametrize(
    ("uid", "gid"), [(0, OTHER.gid), (OTHER.uid, 0), (0, STAFF)], ids=["its group", "its own", "a group it is in"]
)
def test_what_is_open_to_an_app_is_one(machine: Machine, only: str, keys: list[str], uid: int, gid: int) -> None:
    in_staff = Account(uid=OTHER.uid, gid=OTHER.gid, groups=frozenset({STAFF}))
    machine = Machine(machine.folder, {"one": APP, "two": in_staff})
    machine.give(uid, gid, 0o2775, only=only)

    assert machine.keys()[: len(keys)] == keys
    if only == ".":
        with pytest.raises(CommandFailed, match="the user of the app two, may write to"):
            require_safe_folder(machine.folder / "environments", machine.apps)


def test_this_machine_says_which_groups_somebody_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getgrouplist", lambda _name, group: [group, STAFF])
    root = SystemUsers().by_uid(0)

    assert root is not None
    assert (root.gid, root.groups) == (0, frozenset({STAFF}))


@pytest.mark.parametrize("line", ["trust_apps = true", 'apps_run_by = "systemd"'])
def test_check_has_no_problem_with_umask_002(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(machine.folder)
    machine.folder.chmod(0o2775)
    (machine.folder / "portal.toml").write_text(TOML.replace("SAID", line))
    (machine.folder / ".portal").mkdir()
    (machine.folder / ".portal").chmod(0o775)
    (machine.folder / ".portal" / ".gitignore").touch()

    assert main(["check"]) == 0, capsys.readouterr().err


@pytest.fixture(scope="module")
def python(processes: None) -> str:
    """An interpreter that everybody reaches and that has what the portal needs."""
    reason = strangers.missing()
    if reason is not None:
        pytest.skip(reason)
    return strangers.python_for_all()


@pytest.mark.parametrize("closed", ["one", "one/app.py", "venv", "venv/bin"])
def test_check_has_no_problem_with_what_only_others_may_look_at(machine: Machine, python: str, closed: str) -> None:
    text = TOML.replace("SAID", 'user = "games"\napp_uids = "70000-79999"')
    if closed == "one":
        text = text.replace("one/app.py", "one")
    (machine.folder / "portal.toml").write_text(f'{text}python = "venv/bin/python"\n')
    machine.give(ANNA, ANNA, 0o2775)
    machine.give(APP.uid, APP.gid, 0o700, only=closed)
    (machine.folder / closed).chmod(0o700)
    done = subprocess.run(
        [python, "-P", "-m", "portal.cli", "check"],
        cwd=machine.folder,
        env={**SECRETS, "PATH": os.environ["PATH"], "HOME": str(machine.folder)},
        user=ANNA,
        group=ANNA,
        extra_groups=[],
        umask=0o002,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
