"""Making an environment for one app: built beside, looked at, and only then put in its place.

An environment knows its own path and cannot be moved.  So it is built in a folder of its own name, ``.forecast-1f2e…``,
and ``forecast`` is a link to it: putting it in place is one rename, what was there serves until then, and what failed
leaves nothing.
"""

import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Literal
from urllib.parse import urlsplit

import portal
from portal.cli.failure import ENDED, CommandFailed
from portal.contract.redaction import redacted

Tool = Literal["uv", "pip"]

_CHECK: Final = Path(portal.__file__).resolve().parents[1] / "gradio_apps/runtime/supervisor/own_interpreter.py"
"""The script that serves apps by other interpreters, and says whether one can."""
_UMASK: Final = 0o022
"""The app's user may be another than the one who installs."""
_SHOWN: Final = 40
"""Lines of an installer's output that are shown when it fails."""
_PASSED_ON: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TERM|TMPDIR|XDG_\w+|SSL_CERT_\w+|(REQUESTS|CURL)_CA_BUNDLE|\w+_PROXY|\w+_proxy|"
    r"PIP_\w+|UV_\w+|NETRC|GIT_\w+|SSH_AUTH_SOCK|CC|CXX|\w*FLAGS|PKG_CONFIG_PATH|LD_LIBRARY_PATH|CUDA_\w+|CMAKE_\w+|"
    r"CARGO_\w+|RUSTUP_\w+|MAKEFLAGS"
)
"""Names of variables that installers see: what a package runs while it is built must not read the portal's secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What an interpreter says of itself."""

    python: str
    gradio: str
    packages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to make."""

    folder: Path
    """Where it is to be found: a link, in the end."""
    base: str
    """Interpreter that it is made of."""
    program: str
    """Name of the interpreter in its ``bin``."""
    tool: Tool
    requirements: Path | None
    added: Sequence[str]
    environ: Mapping[str, str]


def tool_for(chosen: str | None, *, path: str | None) -> Tool:
    """Return what to install with: what was *chosen*, else uv where it is on *path*, else pip.

    Raises:
        CommandFailed: uv was chosen and is not there.
    """
    there = shutil.which("uv", path=path) is not None
    if chosen == "uv" and not there:
        raise CommandFailed("uv is not on the PATH. Leave --with out to install with pip.")
    return "uv" if there and chosen != "pip" else "pip"


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of *environ* installers see: indexes, proxies, compilers, and no secret of the portal's."""
    return {name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name)}


def version_of(python: str) -> str:
    """Return the version of the interpreter *python*, as in ``3.11.7``.

    Raises:
        CommandFailed: it is none.
    """
    asked = [python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - the operator's word
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandFailed(f"{python}: this is no Python interpreter that runs.") from error
    return answer.stdout.strip()


def looked_at(python: Path, environ: Mapping[str, str]) -> Interpreter | str:
    """Return what the interpreter *python* has, or in a sentence why it cannot serve an app."""
    try:
        answer = subprocess.run(  # noqa: S603 - our own script, by an interpreter that the configuration names
            [str(python), str(_CHECK), "--check"],
            env=passed_on(environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if answer.returncode == 0:
            return Interpreter(**json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return f"{python} does not run."
    return answer.stderr.strip().removeprefix("portal: ") or f"{python} does not run."


@contextmanager
def alone_in(parent: Path) -> Iterator[None]:
    """Hold *parent*, made if need be, against others that make environments there.

    Raises:
        CommandFailed: somebody else does so just now, or it cannot be written.
    """
    try:
        missing = [one for one in (*reversed(parent.parents), parent) if not one.exists()]
        for one in missing:
            one.mkdir()
            one.chmod(0o777 & ~_UMASK)
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise CommandFailed(f"{parent}: {error.strerror}.", exit_code=ENDED) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise CommandFailed(
            f"Somebody else installs into {parent} just now. Try again when it is done.", exit_code=ENDED
        ) from error
    finally:
        os.close(descriptor)


def make(order: Order, *, say: Callable[[str], None]) -> Interpreter:
    """Build what *order* says, look whether it can serve an app, and put it in place; return what it has.

    Call it within :func:`alone_in` of the folder's parent.

    Raises:
        CommandFailed: an installer failed, with the end of its output; nothing was changed.
    """
    for left in _builds(order.folder):
        if not _leads_to(order.folder, left):
            shutil.rmtree(left, ignore_errors=True)  # of a run that was killed
    building = order.folder.with_name(f".{order.folder.name}-{secrets.token_hex(4)}")
    with _ended_by_signals():
        try:
            for step, command in _commands(order, building):
                say(step)
                _run(command, order)
            say("looking whether it can serve the app")
            found = _fit(building / "bin" / order.program, order.environ)
            (building / ".lock").unlink(missing_ok=True)  # uv's, and everybody's to write
            _put_in_place(building, order.folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return found


def _fit(python: Path, environ: Mapping[str, str]) -> Interpreter:
    found = looked_at(python, environ)
    if isinstance(found, str):
        raise CommandFailed(f"What was installed cannot serve the app: {found}", exit_code=ENDED)
    return found


def _commands(order: Order, building: Path) -> Iterator[tuple[str, list[str]]]:
    python = str(building / "bin" / "python")
    files = [] if order.requirements is None else ["-r", str(order.requirements)]
    named = ", ".join([*([] if order.requirements is None else [order.requirements.name]), *order.added])
    if order.tool == "uv":
        yield f"making an environment of {order.base} with uv", [
            "uv", "venv", "--no-project", "--python", order.base, str(building),
        ]  # fmt: skip
        yield f"installing {named}", ["uv", "pip", "install", "--python", python, *files, *order.added]
    else:
        yield f"making an environment of {order.base}", [order.base, "-m", "venv", str(building)]
        yield f"installing {named}", [
            python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *files, *order.added,
        ]  # fmt: skip


def _run(command: list[str], order: Order) -> None:
    # Paths in a requirements file begin where it stands.
    cwd = order.folder.parent if order.requirements is None else order.requirements.parent
    try:
        done = subprocess.run(  # noqa: S603 - our own command lines, without a shell
            command,
            cwd=cwd,
            env=passed_on(order.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            umask=_UMASK,
        )
    except OSError as error:
        raise CommandFailed(f"{command[0]}: {error.strerror}.", exit_code=ENDED) from error
    if done.returncode != 0:
        shown = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-_SHOWN:])
        shown = redacted(shown, hidden=_passwords(order.environ))
        words = " ".join(command[:4]) if command[0] == "uv" else " ".join(command[1:4])
        raise CommandFailed(
            f"`{words} …` failed (exit code {done.returncode}), and nothing was changed. "
            f"The end of what it said:\n{shown}",
            exit_code=ENDED,
        )


def _passwords(environ: Mapping[str, str]) -> list[str]:
    """Return the passwords in addresses of package indexes and proxies."""
    found: list[str] = []
    for address in " ".join(passed_on(environ).values()).split():
        try:
            password = urlsplit(address).password
        except ValueError:
            continue
        found += [password] if password else []
    return found


def _builds(folder: Path) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(folder.name)}-(old-)?[0-9a-f]{{8}}")
    return [path for path in folder.parent.iterdir() if pattern.fullmatch(path.name) and not path.is_symlink()]


def _leads_to(folder: Path, build: Path) -> bool:
    return folder.is_symlink() and folder.resolve() == build.resolve()


def _put_in_place(building: Path, folder: Path) -> None:
    before = [build for build in _builds(folder) if _leads_to(folder, build)]
    if folder.exists() and not folder.is_symlink():  # one that somebody made by hand
        aside = folder.with_name(f".{folder.name}-old-{secrets.token_hex(4)}")
        folder.rename(aside)
        before.append(aside)
    link = building.with_name(f"{building.name}-link")
    link.symlink_to(building.name)
    link.replace(folder)
    for one in before:
        shutil.rmtree(one, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end this command as Ctrl-C does: installers are ended, and what is half made goes."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        sys.exit(ENDED)

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
