"""What runs, and where it is looked for: the source of an app, its interpreter, the portal's own installation.

Nothing is imported or run to find it.  What the code imports from elsewhere is not followed.
"""

import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import portal
from portal.machine.file_permissions import GuardedPath, place_of, status_of
from portal.rules.catalogue import AppSpec

_PACKAGES: Final = Path(portal.__file__).resolve().parents[1]
_OURS: Final = ("portal", "gradio_apps")
_CODE: Final = frozenset({".py", ".so"})


def source_of(app: AppSpec) -> Iterator[GuardedPath]:
    """Yield what *app* is loaded from, and the folder whose other modules it would import before all others."""
    if app.source is None:
        return
    source = Path(app.source)
    if not source.is_absolute():
        yield from _module(app.source, app.python)
        return
    yield place_of(source, adding=True)
    status = status_of(source)
    if status is None or not stat.S_ISDIR(status.st_mode):
        yield place_of(source.parent, adding=True)
        return
    with suppress(OSError):
        for entry in source.iterdir():
            if entry.suffix in _CODE or status_of(entry / "__init__.py") is not None:
                yield GuardedPath(path=entry, status=status_of(entry))


def interpreter_at(python: Path) -> Iterator[GuardedPath]:
    """Yield the interpreter *python*, what it reads when it starts, and the folders it imports from.

    That is so for the environment it is in, and for the interpreter that this one was made of.
    """
    for program in dict.fromkeys((python, python.resolve())):
        yield place_of(program)
        if program.parent.name != "bin":
            continue
        prefix = program.parents[1]
        yield place_of(prefix / "pyvenv.cfg")
        for library in _libraries_in(prefix):
            for folder in (library, library / "site-packages", library / "dist-packages"):
                yield place_of(folder, adding=True)


def installation(*, here: Path) -> Iterator[GuardedPath]:
    """Yield what the portal's own processes run, root's among them; not their working folder, *here*."""
    yield from interpreter_at(Path(sys.executable))
    folders = dict.fromkeys((*(here / entry for entry in sys.path), *(_PACKAGES / name for name in _OURS)))
    for folder in folders:
        if folder != here:
            yield place_of(folder, adding=True)
    for name in _OURS:
        for path in (_PACKAGES / name).rglob("*"):
            if path.suffix in _CODE or path.is_dir():
                yield GuardedPath(path=path, status=status_of(path), adding=True)


def _module(name: str, python: str | None) -> Iterator[GuardedPath]:
    """Yield what the module *name* could be loaded from, and the packages around it; nothing of it is imported."""
    folders = sys.path if python is None else [one / "site-packages" for one in _libraries_in(Path(python).parents[1])]
    for folder in folders:
        at = Path.cwd() / folder
        for part in name.split("."):
            at /= part
            for path in (at, at / "__init__.py", at.with_suffix(".py")):
                if status_of(path) is not None:
                    yield place_of(path, adding=True)


def _libraries_in(prefix: Path) -> list[Path]:
    with suppress(OSError):  # this user may not look
        return list(prefix.glob("lib*/python3*"))
    return []
