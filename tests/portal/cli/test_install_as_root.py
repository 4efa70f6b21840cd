"""``portal apps install`` by root, for an app with a user of its own: nothing of what is installed runs as root."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portal.machine.build_commands import Builder, builder_for
from portal.machine.environments import find_uv
from portal.machine.failure import CommandFailed
from portal.machine.users import Account
from tests.journeys import strangers

APP = Account(uid=70001, gid=70001)
PORTAL_TOML = """
[portal]
url = "http://portal.demo.localhost:7900"
apps_url = "http://{app}.demo.localhost:{port}"
user = "USER"
app_uids = "70000-79999"
[[providers]]
id = "company"
issuer = "http://127.0.0.1:9"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.forecast]
source = "app.py"
user = "70001"
"""
HOSTILE_UV = """#!BASE
import json, os, pathlib, subprocess, sys
folder = pathlib.Path(sys.argv[-1])
if sys.argv[1] == "venv":
    subprocess.run(["BASE", "-m", "venv", "--without-pip", folder], check=True)
    sys.exit()
python = pathlib.Path(sys.argv[sys.argv.index("--python") + 1])
[site] = python.parents[1].glob("lib/python*/site-packages")
versions = {"joserfc": "1.8.0", "msgspec": "0.19.0", "starlette": "1.10.0", "uvicorn": "0.54.0", "httpx": "0.28.1"}
versions["gradio"] = "6.31.0"
for name, version in versions.items():
    made = site / f"{name}-{version}.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
def tried(what):
    try:
        what()
        return True
    except OSError:
        return False
status = pathlib.Path("/proc/self/status").read_text()
found = {
    "uids": list(os.getresuid()), "gids": list(os.getresgid()), "groups": os.getgroups(), "environ": dict(os.environ),
    "terminal": tried(lambda: os.open("/dev/tty", os.O_RDWR)), "no new rights": "NoNewPrivs:\\t1" in status,
    "at home": os.access(os.environ["HOME"], os.W_OK),
    "beside": tried(lambda: (python.parents[2] / "evil").touch()),
}
(site / "found.json").write_text(json.dumps(found))
# What runs in each process of this interpreter, and says as whom.
place = python.parents[3]
(site / "evil.pth").write_text(f"import os; os.getuid() == 0 and open({str(place / 'was-root')!r}, 'w')\\n")
(site / "program").touch()
(site / "program").chmod(0o4777)
(site / "secrets").symlink_to(place / "portal.toml")
if os.environ.get("UV_MODE") == "hard":
    os.link(site / "program", pathlib.Path(os.environ["HOME"]) / "kept")
    print("\\x1b]0;owned\\x07")
if os.environ.get("UV_MODE") == "fail":
    sys.exit("\\x1b]0;owned\\x07 no such package")
"""


@pytest.fixture(scope="module")
def python(processes: None) -> str:
    """An interpreter that the app's user reaches, and that has what the portal needs."""
    reason = strangers.missing()
    if reason is not None:
        pytest.skip(reason)
    return strangers.python_for_all()


@dataclass(frozen=True)
class Installation:
    """A configured folder of root's that everybody may enter, with the stand-in first on the PATH."""

    folder: Path
    python: str

    @property
    def environments(self) -> Path:
        return self.folder / "environments"

    def install(self, *more: str, **environ: str) -> tuple[int, str]:
        """Type the command as root; return its exit code and all it said."""
        locale = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
        done = subprocess.run(
            [self.python, "-P", "-m", "portal.cli", "apps", "install", "forecast", *more],
            cwd=self.folder,
            env={
                **locale,
                "PATH": f"{self.folder / 'tools'}:/usr/bin:/bin",
                "HOME": "/root",
                "PORTAL_SECRET_KEY": "zB1-kept-from-everybody-0123456789abcdefgh",
                "COMPANY_CLIENT_SECRET": "client-secret-of-ours",
                "NETRC": "/root/.netrc",
                "XDG_CONFIG_HOME": "/root/.config",
                **environ,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def installation(python: str) -> Iterator[Installation]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        (folder / "tools").mkdir()
        (folder / "tools" / "uv").write_text(HOSTILE_UV.replace("BASE", python))
        (folder / "tools" / "uv").chmod(0o755)
        (folder / "portal.toml").write_text(PORTAL_TOML.replace("USER", strangers.a_system_user()))
        (folder / "portal.toml").chmod(0o600)
        (folder / "app.py").touch()
        (folder / "requirements.txt").write_text("numpy\n")
        yield Installation(folder, python)


def test_what_is_installed_runs_as_the_apps_user_and_is_roots_in_the_end(installation: Installation) -> None:
    code, output = installation.install()
    assert code == 0, output
    made = (installation.environments / "forecast").resolve()
    [site] = made.glob("lib/python*/site-packages")
    facts = json.loads((site / "found.json").read_text())

    assert "installers run as user 70001; root owns the result" in output
    assert (facts["uids"], facts["gids"], facts["groups"]) == ([70001] * 3, [70001] * 3, [])
    assert (facts["terminal"], facts["no new rights"], facts["at home"], facts["beside"]) == (False, True, True, False)
    assert not {"NETRC", "XDG_CONFIG_HOME", "PORTAL_SECRET_KEY", "COMPANY_CLIENT_SECRET"} & set(facts["environ"])
    assert facts["environ"]["HOME"] not in {"/root", ""}
    assert not Path(facts["environ"]["HOME"]).exists()
    for path in (made, *made.rglob("*")):
        assert path.lstat().st_uid == 0, path
        assert path.is_symlink() or not path.stat().st_mode & 0o7022, path
    assert stat.S_IMODE((installation.folder / "portal.toml").stat().st_mode) == 0o600, "a link was followed"

    code, output = installation.install()
    assert (code, "exists: Python 3." in output) == (0, True), "it is asked by that user, too"
    assert not (installation.folder / "was-root").exists()
    subprocess.run([made / "bin" / "python", "-c", ""], timeout=60, check=True)
    assert (installation.folder / "was-root").exists(), "it would have shown"


@pytest.mark.parametrize(
    ("mode", "message"),
    [("hard", "has a hard link"), ("fail", "Nothing was changed. The end of its output:")],
)
def test_what_cannot_be_given_or_fails_leaves_nothing(installation: Installation, mode: str, message: str) -> None:
    code, output = installation.install(UV_MODE=mode)

    assert (code, message in output) == (1, True), output
    assert "\x1b" not in output
    assert list(installation.environments.iterdir()) == []
    assert not (installation.folder / "was-root").exists()


@pytest.mark.parametrize(
    ("owner", "mode"), [(0, 0o777), (0, 0o775), (70001, 0o755)], ids=["everybody's", "the group's", "the app's"]
)
def test_root_builds_in_no_folder_where_an_app_could_exchange_something(
    installation: Installation, owner: int, mode: int
) -> None:
    installation.environments.mkdir()
    os.chown(installation.environments, owner, 70001)
    installation.environments.chmod(mode)
    code, output = installation.install()

    assert code == 2
    assert f"user 70001, the user of the app forecast, may write to {installation.environments}" in output
    assert list(installation.environments.iterdir()) == []


@pytest.mark.parametrize(("owner", "group"), [(1500, 1500), (0, 50)], ids=["a person's home", "staff's"])
def test_a_folder_that_only_people_may_write_to_will_do(installation: Installation, owner: int, group: int) -> None:
    os.chown(installation.folder, owner, group)
    installation.folder.chmod(0o2775)
    code, output = installation.install()

    assert code == 0, output
    assert {path.lstat().st_uid for path in (installation.environments / "forecast").resolve().rglob("*")} == {0}


def test_a_user_that_there_is_not_is_named(installation: Installation) -> None:
    text = (installation.folder / "portal.toml").read_text()
    (installation.folder / "portal.toml").write_text(text.replace('user = "70001"', 'user = "no-such-user"'))
    code, output = installation.install()

    assert (code, "names 'no-such-user', which is not a user of this machine." in output) == (2, True)


def test_an_interpreter_that_the_apps_user_does_not_reach_is_named(installation: Installation) -> None:
    (installation.folder / "closed").mkdir(mode=0o700)
    (installation.folder / "closed" / "python").symlink_to(installation.python)
    code, output = installation.install("--python", str(installation.folder / "closed" / "python"))

    assert code == 2
    assert "does not run as a Python interpreter as user 70001, the app's user." in output


def test_uv_that_the_apps_user_does_not_reach_is_not_taken(installation: Installation) -> None:
    (installation.folder / "tools").chmod(0o700)
    with pytest.raises(CommandFailed, match="uv is not installed where user 70001 can run it"):
        find_uv([str(installation.folder / "tools")], Builder(account=APP))


@pytest.mark.usefixtures("processes")
def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        Builder().run([sys.executable, "-c", "import time; time.sleep(600)"], environ=os.environ, timeout=0.5)


@pytest.mark.usefixtures("processes")
def test_who_builds_is_somebody_else_with_a_home_for_as_long() -> None:
    reason = strangers.missing()
    if reason is not None:
        pytest.skip(reason)
    output = 'id -u; id -G; echo "$HOME $USER $UV_LINK_MODE $UV_INDEX_URL $NETRC$UV_CACHE_DIR"; touch "$HOME/made"'
    environ = {
        "UV_INDEX_URL": "https://packages.example.com",
        "PATH": "/usr/bin:/bin",
        "NETRC": "/root/.netrc",
        "UV_CACHE_DIR": "/root/.cache/uv",
    }
    with builder_for(APP) as builder:
        done = builder.run(["/bin/sh", "-c", output], environ=environ, cwd=Path("/"))
        assert builder.home is not None
        assert (builder.home / "made").stat().st_uid == APP.uid
        assert stat.S_IMODE(builder.home.stat().st_mode) == 0o700
    assert done.text.splitlines() == [
        "70001",
        "70001",
        f"{builder.home} 70001 copy https://packages.example.com ",
    ], done.errors
    assert not builder.home.exists()
