"""Running the author's code as Python would: a real ``__main__``, their folder first, their argv.

``runpy`` is not used: it takes ``__main__`` away again, and classes of the app could not be pickled.
"""

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final, cast

from gradio_apps.runtime.host.source import Source, SourceError

_OURS: Final = Path(__file__).resolve().parents[2]


def enter(source: Source, *, cwd: Path | None) -> None:
    """Set ``sys.path[0]``, ``sys.argv`` and the working directory (*cwd*, else the source's folder)."""
    reachable = PathFinder.find_spec(_OURS.name) is not None
    os.chdir(cwd or source.folder)
    sys.argv = [source.argv0]
    if sys.flags.safe_path:
        sys.path.insert(0, str(source.folder))
    else:
        sys.path[0] = str(source.folder)
    if reachable:
        _keep_ours_importable()


def run_as_main(source: Source) -> ModuleType:
    """Execute *source* as ``__main__`` and return that module; whatever the code raises passes through.

    Raises:
        SourceError: there is no such module, or it is no Python source.
    """
    module = ModuleType("__main__")
    if source.file is not None:
        code = compile(source.file.read_bytes(), str(source.file), "exec", dont_inherit=True)
        module.__file__ = str(source.file)
    else:
        spec = _find(str(source.module))
        code = _code_of(spec)
        module.__file__, module.__spec__, module.__loader__ = spec.origin, spec, spec.loader
        module.__package__ = spec.parent
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    exec(code, module.__dict__)  # noqa: S102  running the author's code is what this module is for
    return module


def _find(name: str) -> ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            # As with "python -m": a package is run by its __main__, where it has one.
            spec = importlib.util.find_spec(f"{name}.__main__") or spec
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise  # the package is there, and something that it imports is not
        spec = None
    if spec is None:
        raise SourceError(f"{name}: no such module.")
    return spec


def _code_of(spec: ModuleSpec) -> CodeType:
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code is not None else None
    if code is None:
        raise SourceError(f"{spec.name}: not a module that can be run.")
    return cast("CodeType", code)


def _keep_ours_importable() -> None:
    # Run from a checkout that is not installed, our packages were found through sys.path[0]; an app
    # may import gradio_apps.visitor, so they stay reachable, behind everything else.
    # By an interpreter of the app's own they were not found by path at all, and stay where they are.
    ours = str(_OURS.parent)
    if ours not in sys.path:
        sys.path.append(ours)
