"""Runs the author's code as Python would: as ``__main__``, with its folder first on ``sys.path``, and its ``argv``.

``runpy`` is not used: it removes ``__main__`` again, and the app's classes could not be pickled.
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
    """Execute *source* as ``__main__`` and return that module; errors of the code pass through.

    Raises:
        SourceError: the module does not exist, or is not Python source.
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
            raise  # the package exists, but one of its imports does not
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
    # In a checkout that is not installed, our packages were found through sys.path[0].  An app may import
    # gradio_apps.visitor, so they stay importable, after everything else.
    ours = str(_OURS.parent)
    if ours not in sys.path:
        sys.path.append(ours)
