"""Files that contain running code: an app's source, its interpreter, the portal's installation.

Nothing is imported or run to find them.  What the code imports from other folders is not followed.
"""

import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import portal
from portal.machine.file_permissions import GuardedPath, guarded_path, status_of
from portal.rules.catalogue import AppSpec

_PACKAGES: Final = Path(portal.__file__).resolve().parents[1]
_OURS: Final = ("portal", "gradio_apps")
_CODE: Final = frozenset({".py", ".so"})


def source_of(app: AppSpec) -> Iterator[GuardedPath]:
    """Yield what *app* is loaded from, and the folder whose modules it imports before all others."""
    if app.source is None:
        return
    source = Path(app.source)
    if not source.is_absolute():
        yield from _module(app.source, app.python)
        return
    yield guarded_path(source, adding=True)
    status = status_of(source)
    if status is None or not stat.S_ISDIR(status.st_mode):
        yield guarded_path(source.parent, adding=True)
        return
    with suppress(OSError):
        for entry in source.iterdir():
            if entry.suffix in _CODE or status_of(entry / "__init__.py") is not None:
                yield GuardedPath(path=entry, status=status_of(entry))


def interpreter_at(python: Path) -> Iterator[GuardedPath]:
    """Yield the interpreter *python*, the files it reads at start, and the folders it imports from.

    Both for its environment and for the interpreter that the environment was made from.
    """
    for program in dict.fromkeys((python, python.resolve())):
        yield guarded_path(program)
        if program.parent.name != "bin":
            continue
        prefix = program.parents[1]
        yield guarded_path(prefix / "pyvenv.cfg")
        for library in _libraries_in(prefix):
            for folder in (library, library / "site-packages", library / "dist-packages"):
                yield guarded_path(folder, adding=True)


def installation(*, here: Path) -> Iterator[GuardedPath]:
    """Yield what the portal's own processes run, including root's; not their working folder, *here*."""
    yield from interpreter_at(Path(sys.executable))
    folders = dict.fromkeys((*(here / entry for entry in sys.path), *(_PACKAGES / name for name in _OURS)))
    for folder in folders:
        if folder != here:
            yield guarded_path(folder, adding=True)
    for name in _OURS:
        for path in (_PACKAGES / name).rglob("*"):
            if path.suffix in _CODE or path.is_dir():
                yield GuardedPath(path=path, status=status_of(path), adding=True)


def _module(name: str, python: str | None) -> Iterator[GuardedPath]:
    """Yield the files that the module *name* and its parent packages may be loaded from."""
    folders = sys.path if python is None else [one / "site-packages" for one in _libraries_in(Path(python).parents[1])]
    for folder in folders:
        at = Path.cwd() / folder
        for part in name.split("."):
            at /= part
            for path in (at, at / "__init__.py", at.with_suffix(".py")):
                if status_of(path) is not None:
                    yield guarded_path(path, adding=True)


def _libraries_in(prefix: Path) -> list[Path]:
    with suppress(OSError):  # this user may not read it
        return list(prefix.glob("lib*/python3*"))
    return []
