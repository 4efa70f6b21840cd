"""Serve an app by an interpreter that our packages are not installed in: run as a script, by its path.

The two packages are loaded from where this file lies, without any entry on ``sys.path``: nothing else
of the portal's environment can be imported by the app, and nothing of the app's is shadowed.
"""

# An older Python must be able to read this file, to be told that it is too old.
from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

OLDEST = (3, 11)
"""Oldest interpreter that our code runs on."""
GRADIO = ("6.31",)
"""Minors of Gradio whose insides the host knows."""
EXIT_UNFIT = 2
"""Exit code of an interpreter that cannot serve an app."""
_ROOT = Path(__file__).resolve().parents[3]


def unfit() -> str | None:
    """Return what this interpreter lacks, in a sentence, or ``None``."""
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}; {wanted} or newer is needed."
    try:
        gradio = importlib.metadata.version("gradio")
    except importlib.metadata.PackageNotFoundError:
        return f"{sys.executable} has no Gradio. Install it there: pip install 'gradio=={GRADIO[-1]}.*'"
    if ".".join(gradio.split(".")[:2]) not in GRADIO:
        return f"{sys.executable} has Gradio {gradio}, and apps can be served with {' or '.join(GRADIO)} only."
    if importlib.util.find_spec("joserfc") is None:
        return f"{sys.executable} has no joserfc, which the guard needs. Install it there: pip install joserfc"
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
    """Serve the app that the command line names; return the exit code."""
    problem = unfit()
    if problem is not None:
        sys.stderr.write(f"portal: {problem}\n")
        return EXIT_UNFIT
    if not sys.flags.safe_path:
        sys.path[0] = sys.path[1]  # not this folder: its modules have names that others have too
    for name in ("portal", "gradio_apps"):
        load(name)
    code: int = importlib.import_module("gradio_apps.serve").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
