"""Making room for modules of the app that are called like ours."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import gradio_apps.runtime.host
from gradio_apps.runtime.host.module_names import import_all, make_room


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


@pytest.mark.parametrize("file_name", ["ours_for_test.py", "ours_for_test/__init__.py", "ours_for_test/namespace.py"])
def test_a_name_the_app_has_is_given_up_with_all_below_it(tmp_path: Path, ours: list[str], file_name: str) -> None:
    file = tmp_path / file_name
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


def test_another_thread_may_import_meanwhile(ours: list[str]) -> None:
    """
    The guard's does, while the app's code is about to load.
    """
    filler = {f"filler_for_test_{number}": ModuleType("filler") for number in range(2000)}
    sys.modules.update(filler)
    enough = threading.Event()

    def importing() -> None:
        for number in itertools.count():
            name = f"late_for_test_{number % 50}"
            sys.modules.pop(name, None)
            sys.modules[name] = ModuleType(name)
            if enough.is_set():
                break

    thread = threading.Thread(target=importing)
    thread.start()
    try:
        for _ in range(2000):
            make_room(Path("/nonexistent"), names=["ours_for_test"])
    finally:
        enough.set()
        thread.join()
        for name in [*filler, *(f"late_for_test_{number}" for number in range(50))]:
            sys.modules.pop(name, None)
    assert set(ours) <= set(sys.modules)


@pytest.mark.usefixtures("processes")
def test_the_guard_and_the_host_load_nothing_of_ours_later() -> None:
    """
    What is given up cannot be imported by name any more.
    """
    code = (
        "import sys, portal.contract, gradio_apps.runtime.guard, gradio_apps.runtime.host as host\n"
        "from gradio_apps.runtime.host.module_names import import_all\n"
        "import_all(host, but=('gradio_hooks', 'unlaunched_apps'))\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'gradio'])\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert output == "[]\n"


def test_every_module_is_imported() -> None:
    import_all(gradio_apps.runtime.host, but=("gradio_hooks", "found"))

    assert "gradio_apps.runtime.host.bridge" in sys.modules
