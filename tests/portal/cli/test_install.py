"""``portal apps install`` with a stand-in for uv, which makes real environments and installs nothing but names.

The real thing, with a package index: ``tests/journeys/test_gradio_five.py``.
"""

import fcntl
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal.cli import main
from portal.machine import environments
from portal.machine.build_commands import Builder
from portal.machine.failure import CommandFailed

pytestmark = pytest.mark.usefixtures("processes")

PORTAL_TOML = """
[portal]
url = "https://portal.example.com"
apps_url = "https://{app}.apps.example.com"
trust_apps = true
[[providers]]
id = "company"
issuer = "https://id.example.com"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.forecast]
source = "app.py"
[apps.module]
source = "company.forecast"
[apps.far]
url = "https://far.example.com"
"""
# A shell starts it: the line of an interpreter takes no path with a space.
FAKE_UV = f"""#!/bin/sh
'''exec' {shlex.quote(sys.executable)} "$0" "$@"
' '''
import json, os, pathlib, subprocess, sys, time
pathlib.Path(os.environ["UV_SEEN"]).write_text(json.dumps(dict(os.environ)))
folder = pathlib.Path(sys.argv[-1])
if sys.argv[1] == "venv":
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    sys.exit()
python = pathlib.Path(sys.argv[sys.argv.index("--python") + 1])
with open(os.environ["UV_SEEN"] + ".asked", "a") as asked:
    asked.write(" ".join(sys.argv[5:]) + "\\n")
if "slow" in os.environ["UV_MODE"]:
    pathlib.Path(os.environ["UV_SEEN"] + ".slow").touch()
    time.sleep(600)
if "fail" in os.environ["UV_MODE"]:
    print("resolving from", os.environ["UV_INDEX_URL"])
    sys.exit("error: no such package")
[site] = python.parents[1].glob("lib/python*/site-packages")
versions = {{"joserfc": "1.8.0", "msgspec": "0.19.0", "starlette": "1.10.0", "uvicorn": "0.54.0", "httpx": "0.28.1"}}
versions["gradio"] = os.environ["UV_MODE"]
for name, version in versions.items():
    made = site / f"{{name}}-{{version}}.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n")
(python.parents[1] / ".lock").touch()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configured folder with an app, and the stand-in first on the PATH."""
    for name in [name for name in os.environ if name.startswith(("PORTAL_", "UV_", "COVERAGE_"))]:
        monkeypatch.delenv(name)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uv").write_text(FAKE_UV)
    (tools / "uv").chmod(0o755)
    home = tmp_path / "place"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("UV_SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("UV_MODE", "6.31.0")
    monkeypatch.setenv("UV_INDEX_URL", "https://ana:pass-of-the-index@packages.example.com/simple")
    monkeypatch.setenv("PORTAL_SECRET_KEY", "zB1-kept-from-everybody-0123456789abcdefgh")
    monkeypatch.setenv("COMPANY_CLIENT_SECRET", "client-secret-of-ours")
    (home / "portal.toml").write_text(PORTAL_TOML)
    (home / "app.py").touch()
    (home / "requirements.txt").write_text("numpy\n")
    return home


def test_an_environment_is_made_and_the_line_for_it_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apps", "install", "forecast"]) == 0
    output = capsys.readouterr().out

    made = folder / "environments" / "forecast"
    assert (made / "bin" / "python").exists()
    assert made.is_symlink()
    assert made.readlink().parent == Path(), "a folder that is moved as a whole still finds it"
    assert [one.name for one in made.parent.iterdir() if not one.is_symlink()] == [made.readlink().name]
    assert 'python = "environments/forecast/bin/python"' in output
    assert "Gradio 6.31.0, " in output
    assert "installing requirements.txt, gradio==6.31.*, joserfc>=1.8,<2" in output
    command = (folder.parent / "seen.asked").read_text()
    assert command.startswith(f"--compile-bytecode -r {folder}/requirements.txt gradio==6.31.* joserfc>=1.8,<2")
    assert not (made / ".lock").exists()


def test_what_is_there_is_left_until_it_is_to_be_made_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "install", "forecast"]) == 0
    made = folder / "environments" / "forecast"
    first = made.resolve()
    capsys.readouterr()

    assert main(["apps", "install", "forecast"]) == 0
    assert "exists: Python 3." in capsys.readouterr().out
    assert made.resolve() == first

    assert main(["apps", "install", "forecast", "--recreate"]) == 0
    assert made.resolve() != first
    assert not first.exists()
    assert len(list(made.parent.iterdir())) == 2


def test_an_environment_made_by_hand_gives_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "portal.toml").write_text(
        PORTAL_TOML.replace('source = "app.py"', 'source = "app.py"\npython = "own/bin/python3"')
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "own"], check=True)
    assert main(["apps", "install", "forecast"]) == 1, "it has no Gradio"
    assert "To make it again: portal apps install forecast --recreate" in capsys.readouterr().err

    assert main(["apps", "install", "forecast", "--recreate"]) == 0
    assert "To use it, run `portal apps restart forecast`." in capsys.readouterr().out
    assert (folder / "own").is_symlink()
    assert sorted(one.name for one in folder.iterdir() if "own" in one.name) == sorted(
        ["own", (folder / "own").readlink().name]
    )


def test_an_interpreter_that_is_not_there_yet_is_a_problem_with_the_command_as_its_fix(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "portal.toml").write_text(
        PORTAL_TOML.replace('source = "app.py"', 'source = "app.py"\npython = "own/bin/python"')
    )
    assert main(["check"]) == 2
    assert "Create it with `portal apps install forecast`" in capsys.readouterr().err
    assert main(["apps", "install", "forecast"]) == 0
    assert "To use it, run `portal reload`, or start `portal serve`." in capsys.readouterr().out
    assert main(["check"]) == 0


@pytest.mark.parametrize(
    ("mode", "output"),
    [
        ("fail", "failed (exit code 1). Nothing was changed. The end of its output:\n"),
        ("6.30.0", "The new environment cannot serve the app: "),
    ],
)
def test_what_fails_leaves_nothing_and_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str, output: str
) -> None:
    assert main(["apps", "install", "forecast"]) == 0
    made = folder / "environments" / "forecast"
    first = made.resolve()
    monkeypatch.setenv("UV_MODE", mode)
    assert main(["apps", "install", "forecast", "--recreate"]) == 1

    captured = capsys.readouterr()
    assert output in captured.err
    assert "pass-of-the-index" not in captured.err + captured.out
    if mode == "fail":
        assert "  error: no such package" in captured.err
        assert "resolving from https://ana:********@packages.example.com/simple" in captured.err
    assert made.resolve() == first
    assert len(list(made.parent.iterdir())) == 2


def test_an_install_that_is_interrupted_leaves_nothing(folder: Path) -> None:
    environ = {**os.environ, "UV_MODE": "slow"}
    process = subprocess.Popen([sys.executable, "-m", "portal.cli", "apps", "install", "forecast"], env=environ)
    until = time.monotonic() + 60
    while not (folder.parent / "seen.slow").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 1
    assert list((folder / "environments").iterdir()) == []


def test_what_a_killed_install_left_goes_with_the_next(folder: Path) -> None:
    (folder / "environments" / ".forecast-01234567" / "bin").mkdir(parents=True)
    (folder / "environments" / ".forecast-of-mine").mkdir()
    assert main(["apps", "install", "forecast"]) == 0

    names = {one.name for one in (folder / "environments").iterdir()}
    assert ".forecast-01234567" not in names
    assert ".forecast-of-mine" in names


def test_two_do_not_install_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environments = folder / "environments"
    environments.mkdir()
    held = os.open(environments, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["apps", "install", "forecast"]) == 1
    finally:
        os.close(held)
    assert "Another process is installing into" in capsys.readouterr().err


def test_installers_see_no_secret_of_the_portals(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "of-the-database")
    assert main(["apps", "install", "forecast"]) == 0
    environment = (folder.parent / "seen").read_text()

    assert "packages.example.com" in environment
    for secret in ("zB1-kept-from-everybody", "client-secret-of-ours", "of-the-database"):
        assert secret not in environment


def test_another_user_can_read_what_was_made(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        assert main(["apps", "install", "forecast"]) == 0
    finally:
        os.umask(before)
    made = (folder / "environments" / "forecast").resolve()
    for path in (made, made / "bin", made / "pyvenv.cfg"):
        assert path.stat().st_mode & stat.S_IROTH, path
    assert made.parent.stat().st_mode & stat.S_IXOTH


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        (["nobody"], 2, "There is no app called 'nobody'. There are: forecast, module, far."),
        (["far"], 2, "far runs elsewhere (https://far.example.com); make its environment there."),
        (["module"], 2, "company.forecast is a module; give its requirements with --requirements FILE."),
        (["forecast", "--requirements", "none.txt"], 2, "There is no file none.txt."),
        (["forecast", "--requirements", "old.txt"], 2, "old.txt requires gradio==4.44.1, but apps"),
        (["forecast", "--requirements", "picture.txt"], 2, "picture.txt cannot be read as text."),
        (["forecast", "--python", "/bin/false"], 2, "/bin/false does not run as a Python interpreter."),
        (["forecast", "--python", "./old-python"], 2, "./old-python is Python 3.9.2; it must be 3.11 or newer."),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, output: str
) -> None:
    (folder / "old.txt").write_text("gradio==4.44.1\n")
    (folder / "picture.txt").write_bytes(b"\x89PNG\xff")
    (folder / "old-python").write_text("#!/bin/sh\necho 3.9.2\n")
    (folder / "old-python").chmod(0o755)

    assert main(["apps", "install", *arguments]) == code
    assert output in capsys.readouterr().err
    assert not list((folder / "environments").glob("*"))


@pytest.mark.parametrize(
    ("python", "output"),
    [
        ("app.py", "to make an environment, set apps.forecast.python to FOLDER/bin/python."),
        ("tools/bin/python", "exists and is not an environment."),
        (sys.prefix + "/bin/python", "is the portal's own environment."),
    ],
    ids=["no environment", "a folder", "the portal's"],
)
def test_an_environment_takes_no_place_of_something_else(
    folder: Path, capsys: pytest.CaptureFixture[str], python: str, output: str
) -> None:
    (folder / "app.py").chmod(0o755)
    (folder / "tools" / "bin").mkdir(parents=True)
    (folder / "portal.toml").write_text(
        PORTAL_TOML.replace('source = "app.py"', f'source = "app.py"\npython = "{python}"')
    )
    assert main(["apps", "install", "forecast", "--recreate"]) == 2
    assert output in capsys.readouterr().err


def test_the_first_uv_is_taken(folder: Path) -> None:
    tools = str(folder.parent / "tools")

    assert environments.find_uv([str(folder), tools, str(Path(sys.executable).parent)], Builder()) == f"{tools}/uv"
    with pytest.raises(CommandFailed, match=r"uv is not installed\. Install it: https://docs\.astral\.sh/uv/, or"):
        environments.find_uv([str(folder)], Builder())


def test_without_uv_on_the_path_the_portals_own_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sysconfig.get_path", {"scripts": str(folder.parent / "tools")}.get)
    assert main(["apps", "install", "forecast"]) == 0


def test_a_place_that_cannot_be_written_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "environments").touch()
    assert main(["apps", "install", "forecast"]) == 1
    assert f"{folder}/environments: " in capsys.readouterr().err


def test_an_interpreter_that_does_not_run_is_said_to(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho nothing\n")
    (tmp_path / "python").chmod(0o755)

    for name in ("python", "none"):
        assert environments.inspect_interpreter(tmp_path / name, {}, Builder()) == f"{tmp_path}/{name} does not run."


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        "{}",
        '{"python": "3.11.7", "gradio": "\\u001b]0;owned", "packages": 1}',
        '{"python": "3.11.7", "gradio": "6.31.0", "packages": "1"}',
        '{"python": 3, "gradio": "6.31.0", "packages": 1}',
    ],
    ids=["a list", "nothing", "an escape", "no number", "no version"],
)
def test_an_interpreter_that_says_something_else_does_not_run(tmp_path: Path, answer: str) -> None:
    (tmp_path / "python").write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\n")
    (tmp_path / "python").chmod(0o755)

    assert environments.inspect_interpreter(tmp_path / "python", {}, Builder()) == f"{tmp_path}/python does not run."
