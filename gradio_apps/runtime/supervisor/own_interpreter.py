"""Serve an app by an interpreter that our packages are not installed in: run as a script, by its path.

The two packages are loaded from where this file lies, without any entry on ``sys.path``: nothing else
of the portal's environment can be imported by the app, and nothing of the app's is shadowed.
"""

# An older Python must be able to read this file, to be told that it is too old.
from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

EXIT_UNFIT = 2
"""Exit code of an interpreter that cannot serve an app."""
CHECK = "--check"
"""Instead of a source: say whether this interpreter can serve an app, and what it has."""
_ROOT = Path(__file__).resolve().parents[3]


def unfit() -> str | None:
    """Return what this interpreter lacks, in a sentence, or ``None``."""
    wanted = _wanted()
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < wanted.OLDEST_PYTHON:
        oldest = ".".join(map(str, wanted.OLDEST_PYTHON))
        return f"{sys.executable} is Python {here}; {oldest} or newer is needed."
    gradio = _version("gradio")
    if gradio is None:
        return f"{sys.executable} has no Gradio. Install it there: pip install 'gradio=={wanted.GRADIO[-1]}.*'"
    if wanted.minor_of(gradio) not in wanted.GRADIO:
        return f"{sys.executable} has Gradio {gradio}, and apps can be served with {' or '.join(wanted.GRADIO)} only."
    for name, oldest, below in wanted.NEEDED:
        found = _version(name)
        if found is None:
            return f"{sys.executable} has no {name}, which the guard needs. Install it there: pip install {name}"
        if not wanted.is_at_least(found, oldest) or wanted.is_at_least(found, below):
            return f"{sys.executable} has {name} {found}, and the guard needs {oldest} or newer, below {below}."
    return None


def _wanted() -> ModuleType:
    """Load the requirements from their file alone: the package around them needs what may be missing."""
    spec = importlib.util.spec_from_file_location("_wanted", _ROOT / "portal" / "contract" / "interpreters.py")
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
    """Make the package *name* in the folder *root* importable, and nothing beside it.

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
    """Serve the app that the command line names, or say what is here; return the exit code."""
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
        sys.path[0] = sys.path[1]  # not this folder: its modules have names that others have too
    for name in ("portal", "gradio_apps"):
        load(name)
    code: int = importlib.import_module("gradio_apps.serve").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
