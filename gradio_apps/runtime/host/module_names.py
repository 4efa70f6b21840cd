"""Frees the names of our packages for the author's modules.

Once all our modules are imported, our packages can leave ``sys.modules``: an app with its own package ``portal``
must find that one.
"""

import importlib
import importlib.machinery
import pkgutil
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from types import ModuleType
from typing import Final

OUR_NAMES: Final = ("portal", "gradio_apps")
"""Our top-level names, which an app may have too."""


def import_all(package: ModuleType, *, but: Container[str] = ()) -> None:
    """Import every module below *package*, so that none has to be found by name later.

    Modules whose last name is in *but* are left out.
    """
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.rpartition(".")[2] not in but:
            importlib.import_module(module.name)


def make_room(folder: Path, *, names: Iterable[str] = OUR_NAMES) -> tuple[str, ...]:
    """Forget each of *names* that the app in *folder* has itself; return those names.

    The app has a name if it is in *folder*, or if its own interpreter has it and ours is not on the path.  Our running
    code keeps what it has imported.
    """
    # The guard's thread imports meanwhile: copying is atomic, iterating is not.
    loaded = sys.modules.copy()
    gone = tuple(name for name in names if name in loaded and _has_its_own(folder, name, ours=loaded[name]))
    for name in loaded:
        if name.partition(".")[0] in gone:
            sys.modules.pop(name, None)
    return gone


def _has_its_own(folder: Path, name: str, *, ours: ModuleType) -> bool:
    find = importlib.machinery.PathFinder.find_spec
    spec = find(name, [str(folder)])
    if spec is None:
        spec = find(name, sys.path)
        if spec is not None and spec.origin is None:
            spec = None  # a folder with that name which is not a package
    if spec is None:
        return False
    own = {Path(location).resolve() for location in _locations(ours)}
    theirs = spec.submodule_search_locations or [spec.origin or ""]
    return not any(Path(location).resolve() in own for location in theirs)


def _locations(module: ModuleType) -> tuple[str, ...]:
    return tuple(getattr(module, "__path__", ())) or (str(module.__file__),)
