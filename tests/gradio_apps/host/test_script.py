"""Running code as ``__main__``, each time in an interpreter of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("processes")

_RUN = """
import sys
from pathlib import Path
from gradio_apps.runtime.host import read_source, script
source = read_source(sys.argv[1], base=Path.cwd())
script.enter(source, cwd=Path(sys.argv[2]) if sys.argv[2:] else None)
module = script.run_as_main(source)
assert sys.modules["__main__"] is module
"""
_SAY = "import os, sys\nprint(__name__, __package__, os.getcwd(), sys.path[0], sys.argv, __file__)\n"


def run(*arguments: str, cwd: Path, flags: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *flags, "-c", _RUN, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("flags", [(), ("-P",)])
def test_a_file_finds_itself_where_python_would_put_it(tmp_path: Path, flags: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "app.py").write_text(_SAY + "import beside\nprint(beside.VALUE)\n")
    (folder / "beside.py").write_text("VALUE = 'from beside'\n")
    file = folder / "app.py"
    ended = run("folder/app.py", cwd=tmp_path, flags=flags)

    assert f"__main__ None {folder} {folder} {[str(file)]} {file}\nfrom beside\n" == ended.stdout, ended.stderr


def test_the_working_directory_may_be_another(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(_SAY)

    assert "__main__ None / " in run("app.py", "/", cwd=tmp_path).stdout


def test_classes_can_be_pickled_and_processes_spawned(tmp_path: Path) -> None:
    """
    Both look ``__main__`` up in ``sys.modules`` and its file on the disk.
    """
    (tmp_path / "app.py").write_text(
        "import multiprocessing, pickle\n"
        "class Thing: pass\n"
        "def double(x): return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.apply(double, (21,)))\n"
    )

    assert run("app.py", cwd=tmp_path).stdout == "True\n42\n"


class TestModule:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        package = tmp_path / "pack"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "beside.py").write_text("VALUE = 'from beside'\n")
        (package / "app.py").write_text(_SAY + "from .beside import VALUE\nprint(VALUE)\n")
        return tmp_path

    def test_relative_imports_work(self, folder: Path) -> None:
        output = run("pack.app", cwd=folder).stdout

        assert output.startswith(f"__main__ pack {folder} {folder} ['pack.app']")
        assert output.endswith("from beside\n")

    def test_a_package_runs_its_main(self, folder: Path) -> None:
        (folder / "pack" / "inner").mkdir()
        (folder / "pack" / "inner" / "__main__.py").write_text("print('main of', __package__)\n")
        (folder / "pack" / "inner" / "__init__.py").touch()

        assert run("pack.inner", cwd=folder).stdout == "main of pack.inner\n"

    def test_a_package_without_one_runs_itself(self, folder: Path) -> None:
        (folder / "pack" / "inner").mkdir()
        (folder / "pack" / "inner" / "__init__.py").write_text("print('init', __name__)\n")

        assert run("pack.inner", cwd=folder).stdout.endswith("init __main__\n")

    @pytest.mark.parametrize("name", ["nowhere", "pack.nowhere", "nowhere.at.all", "_thread"])
    def test_what_is_no_module_is_said(self, folder: Path, name: str) -> None:
        assert "SourceError" in run(name, cwd=folder).stderr

    def test_a_missing_import_of_the_package_is_the_authors_error(self, folder: Path) -> None:
        (folder / "pack" / "__init__.py").write_text("import not_installed_here\n")
        ended = run("pack.app", cwd=folder)

        assert "No module named 'not_installed_here'" in ended.stderr
        assert "SourceError" not in ended.stderr
