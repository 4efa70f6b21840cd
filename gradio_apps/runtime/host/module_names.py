"""Getting out of the way of the author's module names.

Once everything of ours is imported, our packages need not stand in ``sys.modules`` any more:
an app with a package called ``portal`` must find its own.
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
"""Top-level names this process has taken that an app may have too."""


def import_all(package: ModuleType, *, but: Container[str] = ()) -> None:
    """Import every module below *package*, so that nothing of it is left to be found by name later.

    Modules whose last name is in *but* are left out.
    """
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name.rpartition(".")[2] not in but:
            importlib.import_module(found.name)


def make_room(folder: Path, *, names: Iterable[str] = OUR_NAMES) -> tuple[str, ...]:
    """Forget each of *names* that an app in *folder* has a module or package of its own for; return those names.

    Its own are those in *folder*, and those its interpreter has where ours cannot be found by path.

    Code of ours that already runs keeps what it imported.
    """
    # The guard's thread imports meanwhile; copying is one step of the interpreter's, and iterating is not.
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
            spec = None  # a bare folder that happens to be called so
    if spec is None:
        return False
    taken = {Path(place).resolve() for place in _places(ours)}
    theirs = spec.submodule_search_locations or [spec.origin or ""]
    return not any(Path(place).resolve() in taken for place in theirs)


def _places(module: ModuleType) -> tuple[str, ...]:
    return tuple(getattr(module, "__path__", ())) or (str(module.__file__),)
