"""Making room for modules of the app that are called like ours."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import gradio_apps.runtime.host
from gradio_apps.runtime.host.own_names import import_all, make_room


def a_loaded(name: str, file: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = file
    return module


@pytest.fixture
def ours() -> Iterator[list[str]]:
    names = ["ours_for_test", "ours_for_test.inner", "ours_for_test_not"]
    for name in names:
        sys.modules[name] = a_loaded(name, "/somewhere/ours.py")
    yield names
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("place", ["ours_for_test.py", "ours_for_test/__init__.py", "ours_for_test/namespace.py"])
def test_a_name_the_app_has_is_given_up_with_all_below_it(tmp_path: Path, ours: list[str], place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.touch()

    assert make_room(tmp_path, names=["ours_for_test", "not_loaded"]) == ("ours_for_test",)
    assert [name for name in ours if name in sys.modules] == ["ours_for_test_not"]


def test_other_names_are_kept(tmp_path: Path, ours: list[str]) -> None:
    (tmp_path / "app.py").touch()

    assert make_room(tmp_path, names=["ours_for_test"]) == ()
    assert all(name in sys.modules for name in ours)


def test_our_own_checkout_is_not_taken_for_the_apps() -> None:
    """
    An app file beside our packages must share their classes with the guard, not load them twice.
    """
    checkout = Path(gradio_apps.__file__).parents[1]

    assert make_room(checkout) == ()
    assert make_room(Path(gradio_apps.__file__).parent) == ()


@pytest.mark.usefixtures("processes")
def test_the_guard_and_the_host_load_nothing_of_ours_later() -> None:
    """
    What is given up cannot be imported by name any more.
    """
    code = (
        "import sys, portal.contract, gradio_apps.runtime.guard, gradio_apps.runtime.host as host\n"
        "from gradio_apps.runtime.host.own_names import import_all\n"
        "import_all(host, but=('gradio_hooks', 'found'))\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'gradio'])\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said == "[]\n"


def test_every_module_is_imported() -> None:
    import_all(gradio_apps.runtime.host, but=("gradio_hooks", "found"))

    assert "gradio_apps.runtime.host.bridge" in sys.modules
