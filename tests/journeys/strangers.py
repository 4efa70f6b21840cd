"""Other users of this machine: which there are to run things as, and an interpreter that they can reach.

A checkout, or the interpreter that runs the tests, may lie where only its owner gets, such as root's home.  Then
what the portal needs is mirrored, by links where that can be.
"""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Final

from tests.run import made_once

ROOT: Final = Path(__file__).parents[2]
STRANGER: Final = 70000
"""A number that no user has."""
_TRY: Final = "import flask, gradio, joserfc, gunicorn, portal.web.app, gradio_apps.serve"
_PATIENCE: Final = 120
_LEFT_OUT: Final = shutil.ignore_patterns("test", "tests", "idlelib", "site-packages", "node_modules")


def missing() -> str | None:
    """Return why nothing can be run as somebody else here, in a sentence, or ``None``."""
    if os.geteuid() != 0:
        return "run the tests as root: only root may start apps as other users"
    if sys.platform != "linux":
        return "run the tests on Linux: apps have users of their own there alone"
    return None


def a_system_user() -> str:
    """The name of a user that every Debian has, that nobody is, and whose group is its own."""
    return next(one.pw_name for one in pwd.getpwall() if one.pw_name in {"games", "news", "uucp", "irc"})


@cache
def python_for_all() -> str:
    """An interpreter that everybody reaches and that has what the portal needs: this one, or a mirror of it."""
    if _works_for_others(sys.executable):
        return sys.executable
    found = made_once("python", _mirror) / "bin" / Path(os.path.realpath(sys.executable)).name
    return str(found)


def _mirror(mirror: Path) -> None:
    base = Path(sys.base_prefix)
    shutil.copytree(base / "bin", mirror / "bin", symlinks=True, copy_function=shutil.copy2)
    shutil.copytree(base / "lib", mirror / "lib", symlinks=True, ignore=_LEFT_OUT, copy_function=_near)
    packages = mirror / "lib" / Path(sysconfig.get_path("stdlib")).name / "site-packages"
    shutil.copytree(sysconfig.get_path("purelib"), packages, symlinks=True, copy_function=_near)
    for name in ("portal", "gradio_apps"):
        shutil.copytree(ROOT / name, packages / name, copy_function=_near, dirs_exist_ok=True)
    for name in ("static", "templates"):
        shutil.copytree(ROOT / name, packages / name, copy_function=_near, dirs_exist_ok=True)
    for path in mirror.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    python = mirror / "bin" / Path(os.path.realpath(sys.executable)).name
    python.write_bytes(_with_libraries_beside(python.read_bytes(), str(base / "lib")))
    assert _works_for_others(str(python)), f"{python} does not run as another user"


def _works_for_others(python: str) -> bool:
    try:
        subprocess.run(
            [python, "-P", "-c", _TRY],
            cwd="/",
            user=STRANGER,
            group=STRANGER,
            extra_groups=[],
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GRADIO_ANALYTICS_ENABLED": "False"},
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _near(source: str, target: str) -> None:
    """Link *source*, or copy it where links do not reach or others may not read."""
    if Path(source).stat().st_mode & stat.S_IROTH:
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            shutil.copy2(source, target)
    else:
        shutil.copy2(source, target)
        Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _with_libraries_beside(program: bytes, libraries: str) -> bytes:
    """Return the ELF *program*, which looks for its libraries in *libraries*, looking beside itself (ld.so(8))."""
    before, beside = libraries.encode() + b"\0", b"$ORIGIN/../lib\0"
    if before not in program or len(beside) > len(before):
        return program
    return program.replace(before, beside.ljust(len(before), b"\0"))
