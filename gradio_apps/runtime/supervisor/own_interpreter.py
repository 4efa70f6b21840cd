"""Serves an app with an interpreter that does not have our packages: run as a script, by its path.

The two packages are loaded from the folder of this file, without an entry on ``sys.path``: the app cannot import
anything else of the portal's environment, and none of its own modules is shadowed.
"""

# An older Python must be able to read this file, to report that it is too old.
from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

EXIT_UNFIT = 2
"""Exit code of an unsuitable interpreter."""
CHECK = "--check"
"""Argument instead of a source: report whether this interpreter is suitable, and its versions."""
_ROOT = Path(__file__).resolve().parents[3]


def unfit() -> str | None:
    """Return why this interpreter is unsuitable, in a sentence, or ``None``."""
    required = _requirements()
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < required.OLDEST_PYTHON:
        oldest = ".".join(map(str, required.OLDEST_PYTHON))
        return f"{sys.executable} is Python {here}; {oldest} or newer is needed."
    gradio = _version("gradio")
    if gradio is None:
        return f"{sys.executable} has no Gradio. Install it there: pip install 'gradio=={required.GRADIO[-1]}.*'"
    if required.minor_of(gradio) not in required.GRADIO:
        return f"{sys.executable} has Gradio {gradio}, and apps can be served with {' or '.join(required.GRADIO)} only."
    for name, oldest, below in required.NEEDED:
        installed = _version(name)
        if installed is None:
            return f"{sys.executable} has no {name}, which the guard needs. Install it there: pip install {name}"
        if not required.is_at_least(installed, oldest) or required.is_at_least(installed, below):
            return f"{sys.executable} has {name} {installed}, and the guard needs {oldest} or newer, below {below}."
    return None


def _requirements() -> ModuleType:
    """Load the requirements from their file alone: their package has dependencies that may be missing."""
    spec = importlib.util.spec_from_file_location("_requirements", _ROOT / "portal" / "contract" / "interpreters.py")
    if spec is None or spec.loader is None:
        raise ImportError("portal.contract.interpreters")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def load(name: str, root: Path = _ROOT) -> None:
    """Make the package *name* in the folder *root* importable, and nothing else.

    Raises:
        ImportError: there is no such package.
    """
    folder = root / name
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def main() -> int:
    """Serve the app of the command line, or report on this interpreter; return the exit code."""
    problem = unfit()
    if problem is not None:
        sys.stderr.write(f"portal: {problem}\n")
        return EXIT_UNFIT
    if sys.argv[1:] == [CHECK]:
        packages = {one.name for one in importlib.metadata.distributions()}
        python = ".".join(map(str, sys.version_info[:3]))
        sys.stdout.write(json.dumps({"python": python, "gradio": _version("gradio"), "packages": len(packages)}) + "\n")
        return 0
    if not sys.flags.safe_path:
        sys.path[0] = sys.path[1]  # not this folder: its module names are common
    for name in ("portal", "gradio_apps"):
        load(name)
    code: int = importlib.import_module("gradio_apps.serve").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
