"""An app with an interpreter of its own, which our packages are not installed in."""

import json
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from gradio_apps.runtime.host.gradio_minors import MINORS
from gradio_apps.runtime.supervisor import own_interpreter
from gradio_apps.runtime.supervisor.child import command_for
from portal.contract.interpreters import GRADIO, OLDEST_PYTHON, is_at_least
from tests.gradio_apps.serve.portal import URL, a_portal
from tests.gradio_apps.serve.test_serve import SECRET, environment, wait_for_event
from tests.gradio_apps.supervisor.supervising import an_app, reporting_to
from tests.processes import PATIENCE

ROOT = Path(__file__).parents[3]
APP = """
import importlib.machinery, json, sys
import portal
import gradio as gr
ours = [name for name in ("gradio_apps",) if importlib.machinery.PathFinder.find_spec(name, sys.path[1:])]
carried = sorted({"flask", "sqlalchemy", "authlib"} & set(sys.modules))
print(json.dumps({"prefix": sys.prefix, "theirs": portal.WHOSE, "ours": ours, "carried": carried,
                  "shadowing": [entry for entry in sys.path if "gradio_apps" in entry]}), flush=True)
gr.Interface(str, "text", "text").launch()
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has Gradio, joserfc and msgspec, and not us: what is installed here is on its path, no more.

    An installation from a checkout is a line of a ``.pth`` file, and those of a folder that is itself on the
    path by such a line are not read.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # In ASCII: with other letters in such a file, Python 3.11 does not start in the C locale.
    (site / "gradio.pth").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!a})\n")
    return folder / "bin" / "python"


@pytest.mark.usefixtures("processes")
def test_an_app_runs_by_its_own_interpreter_behind_the_same_guard(tmp_path: Path, python: Path) -> None:
    source = tmp_path / "own" / "app.py"
    source.parent.mkdir()
    source.write_text(APP)
    (source.parent / "portal.py").write_text("WHOSE = 'the author\\'s'\n")  # a name that we have too
    app = an_app(tmp_path, source=str(source), secret=SECRET, python=str(python))
    with a_portal() as portal:
        document = json.dumps({"portal": {"url": URL, "internal_url": portal}, "apps": [app], "grace": 1})
        with reporting_to(tmp_path / "events", document):
            wait_for_event(tmp_path / "events", "app-ready")
    lines = Path(app["log"]).read_text().splitlines()
    report = json.loads(next(line for line in lines if line.startswith("{")))
    assert report == {
        "prefix": str(python.parents[1]),
        "theirs": "the author's",
        "ours": [],
        "carried": [],
        "shadowing": [],
    }


@pytest.mark.usefixtures("processes")
def test_an_interpreter_without_gradio_is_named(tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=False, symlinks=True)
    python = tmp_path / "empty" / "bin" / "python"
    ended = run(python)

    assert ended.returncode == own_interpreter.EXIT_UNFIT
    assert ended.stderr == f"portal: {python} has no Gradio. Install it there: pip install 'gradio==6.31.*'\n"


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("installed", "report"),
    [
        ({"gradio": "6.20.1"}, "has Gradio 6.20.1, and apps can be served with 5.50 or 6.31 only."),
        ({"gradio": "5.49.1"}, "has Gradio 5.49.1, and apps can be served with 5.50 or 6.31 only."),
        ({"gradio": "6.31.9"}, "has no joserfc, which the guard needs. Install it there: pip install joserfc"),
        ({"gradio": "5.50.0", "joserfc": "1.7.9"}, "has joserfc 1.7.9, and the guard needs 1.8 or newer, below 2."),
        ({"gradio": "5.50.0", "joserfc": "2.0"}, "has joserfc 2.0, and the guard needs 1.8 or newer, below 2."),
        (
            {"gradio": "5.50.0", "joserfc": "1.10", "msgspec": "0.22", "starlette": "0.40.0"},
            "has starlette 0.40.0, and the guard needs 0.44 or newer, below 2.",
        ),
    ],
)
def test_what_an_interpreter_lacks_is_said_in_a_sentence(
    tmp_path: Path, installed: dict[str, str], report: str
) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    for name, version in installed.items():
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    python = tmp_path / "venv" / "bin" / "python"
    ended = run(python)

    assert (ended.returncode, ended.stderr) == (own_interpreter.EXIT_UNFIT, f"portal: {python} {report}\n")


def run(python: Path) -> "subprocess.CompletedProcess[str]":
    command = [*command_for(str(python)), "app.py"]
    environ = {name: value for name, value in environment().items() if not name.startswith("COVERAGE")}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_what_is_supported_is_what_is_pinned() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [gradio] = [one for one in wanted["dependencies"] if one.startswith("gradio>")]

    assert gradio.startswith(f"gradio>={GRADIO[-1]},")
    assert wanted["requires-python"] == ">=" + ".".join(map(str, OLDEST_PYTHON))
    assert set(MINORS) == set(GRADIO)


@pytest.mark.parametrize(
    ("version", "oldest", "enough"),
    [
        ("1.8.0", "1.8", True),
        ("1.10", "1.8", True),
        ("2", "1.8", True),
        ("1.7.99", "1.8", False),
        ("1.8rc1", "1.8", False),
        ("", "1.8", False),
        ("unknown", "0.44", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, oldest: str, *, enough: bool) -> None:
    assert is_at_least(version, oldest) is enough


@pytest.mark.usefixtures("processes")
def test_an_interpreter_says_what_it_has(python: Path) -> None:
    command = [*command_for(str(python)), own_interpreter.CHECK]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)

    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["gradio"].startswith(f"{GRADIO[-1]}.")
    assert report["python"].startswith("3.")
    assert report["packages"] > 20


def test_a_package_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError):
        own_interpreter.load("nothing", tmp_path)
    sys.modules.pop("nothing")


def test_the_documentation_names_what_is_supported() -> None:
    pages = " ".join(page.read_text() for page in sorted((ROOT / "docs").glob("*.md")))

    assert f"Gradio {' or '.join(GRADIO)}, joserfc and msgspec" in pages
    assert f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer" in pages
