"""Making an environment for one app: it is built beside the old one, checked, and then put in its place.

An environment contains its own path and cannot be moved.  So it is built in a folder like ``.forecast-1f2e…``, and
``forecast`` is a link to it: replacing the old one is a single rename, and a failed build leaves nothing behind.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

import portal
from portal.contract.redaction import redact
from portal.machine.build_commands import UMASK, Builder, installer_variables
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.file_access import first_unreadable
from portal.machine.file_permissions import first_changeable, guarded_path
from portal.machine.ownership_transfer import TransferRefused, give_to_root
from portal.machine.users import Account

OWN_INTERPRETER: Final = (
    Path(portal.__file__).resolve().parents[1] / "gradio_apps/runtime/supervisor/own_interpreter.py"
)
"""The script that serves apps with other interpreters; ``--check`` reports whether one can."""
_SHOWN: Final = 40
"""Last lines of uv's output that are printed when it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The versions in an interpreter's environment."""

    python: str
    gradio: str
    packages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRequest:
    """The environment to make."""

    folder: Path
    """Where it will be: a link to the folder in which it was built."""
    base: str
    """Interpreter that it is made from."""
    program: str
    """Name of the interpreter in its folder ``bin``."""
    uv: str
    """The program, by its absolute path."""
    requirements: Path | None
    added: Sequence[str]
    environ: Mapping[str, str]
    builder: Builder
    """Runs uv and what it installs."""


def find_uv(folders: Iterable[str], builder: Builder) -> str:
    """Return the path of the first uv in *folders* that *builder* can run.

    Raises:
        CommandFailed: there is none.
    """
    account = builder.account
    for folder in folders:
        program = shutil.which("uv", path=folder)
        if program and (account is None or first_unreadable([Path(program)], account, groups=()) is None):
            return str(Path(program).absolute())
    where = "" if account is None else f" where {account} can run it"
    raise CommandFailed(f"uv is not installed{where}. Install it: https://docs.astral.sh/uv/, or `pip install uv`.")


def python_version(python: str, builder: Builder) -> str:
    """Return the version of the interpreter *python*, like ``3.11.7``.

    Raises:
        CommandFailed: it is not an interpreter, or *builder* cannot run it.
    """
    who = "" if builder.account is None else f" as {builder.account}, the app's user"
    command = [python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]
    try:
        answer = builder.run(command, environ=os.environ, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandFailed(f"{python} does not run as a Python interpreter{who}.") from error
    if answer.code != 0:
        raise CommandFailed(f"{python} does not run as a Python interpreter{who}.")
    return answer.text.strip()


def inspect_interpreter(python: Path, environ: Mapping[str, str], builder: Builder) -> Interpreter | str:
    """Return the versions that the interpreter *python* has, or a sentence why it cannot serve an app."""
    try:
        answer = builder.run([str(python), str(OWN_INTERPRETER), "--check"], environ=environ, timeout=300)
        if answer.code == 0:
            return _read(json.loads(answer.text))
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError, RecursionError):
        return f"{python} does not run."
    return answer.errors.strip().removeprefix("portal: ") or f"{python} does not run."


def _read(answer: dict[str, object]) -> Interpreter:
    """Return the answer of an interpreter; it runs untrusted code, which must not control the terminal.

    Raises:
        ValueError: a member has another type or unprintable characters.
        LookupError: a member is missing.
    """
    python, gradio, packages = answer["python"], answer["gradio"], answer["packages"]
    if not isinstance(python, str) or not isinstance(gradio, str) or not f"{python}{gradio}".isprintable():
        raise ValueError("not versions")
    if type(packages) is not int:
        raise ValueError("not a number")
    return Interpreter(python=python, gradio=gradio, packages=packages)


@contextmanager
def locked(parent: Path) -> Iterator[None]:
    """Lock *parent* for making environments there; create it if it is missing.

    Raises:
        CommandFailed: another process has locked it, or it cannot be created or opened.
    """
    try:
        missing = [one for one in (*reversed(parent.parents), parent) if not one.exists()]
        for one in missing:
            one.mkdir()
            one.chmod(0o777 & ~UMASK)
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise CommandFailed(f"{parent}: {error.strerror}.", exit_code=ENDED) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise CommandFailed(
            f"Another process is installing into {parent}. Try again when it is done.", exit_code=ENDED
        ) from error
    finally:
        os.close(descriptor)


def make(request: EnvironmentRequest, *, report: Callable[[str], None]) -> Interpreter:
    """Build the environment of *request*, check that it can serve an app, put it in place, and return its versions.

    The folder's parent must be :func:`locked`.

    Raises:
        CommandFailed: uv failed, with the end of its output, or the environment cannot be used; nothing was changed.
    """
    for build in _builds(request.folder):
        if not _is_current(request.folder, build):
            _remove(build)  # of a run that was killed
    building = request.folder.with_name(f".{request.folder.name}-{secrets.token_hex(4)}")
    with _exit_on_signals():
        try:
            _create(building, request.builder)
            for step, command in _commands(request, building):
                report(step)
                _run(command, request)
            (building / ".lock").unlink(missing_ok=True)  # uv's, and writable by everyone
            _give_to_root(building, request.builder)
            report("checking that it can serve the app")
            interpreter = _require_usable(building / "bin" / request.program, request)
            _put_in_place(building, request.folder)
        except BaseException:
            _remove(building)
            raise
    return interpreter


def require_safe_folder(parent: Path, accounts: Mapping[str, Account]) -> None:
    """Check that no app's user may replace anything in *parent*, where root lets another user build.

    *accounts* are the users of the apps, by slug.

    Raises:
        CommandFailed: one may, and could make root give it files of others.
    """
    found = first_changeable((guarded_path(parent, adding=True),), accounts.items())
    if found is not None:
        slug, account, path = found
        raise CommandFailed(
            f"{account}, the user of the app {slug}, may write to {path}, so root cannot safely make an environment in "
            f"{parent}. Give {path} to root with chown and close it with chmod go-w, or set python to another folder."
        )


def _create(building: Path, builder: Builder) -> None:
    if builder.account is None:
        return
    try:
        building.mkdir(mode=0o700)
        os.chown(building, builder.account.uid, builder.account.gid, follow_symlinks=False)
    except OSError as error:  # for example on NFS, where root is nobody
        raise CommandFailed(
            f"{building.parent}: {error.strerror}. Root cannot make a folder for {builder.account} there. "
            "Set python to another folder.",
            exit_code=ENDED,
        ) from error


def _give_to_root(building: Path, builder: Builder) -> None:
    if builder.account is None:
        return
    try:
        give_to_root(building, uid=builder.account.uid)
    except (TransferRefused, OSError, RecursionError) as error:
        raise CommandFailed(f"The new environment cannot be given to root: {error}.", exit_code=ENDED) from error


def _require_usable(python: Path, request: EnvironmentRequest) -> Interpreter:
    interpreter = inspect_interpreter(python, request.environ, request.builder)
    if isinstance(interpreter, str):
        raise CommandFailed(f"The new environment cannot serve the app: {interpreter}", exit_code=ENDED)
    return interpreter


def _commands(request: EnvironmentRequest, building: Path) -> Iterator[tuple[str, list[str]]]:
    python = str(building / "bin" / "python")
    files = [] if request.requirements is None else ["-r", str(request.requirements)]
    names = ", ".join([*([] if request.requirements is None else [request.requirements.name]), *request.added])
    make_environment = ["venv", "--no-project", "--python", request.base, str(building)]
    yield f"making an environment of {request.base}", [request.uv, *make_environment]
    # Compiled here: an app that starts cannot write into an environment of root's, and would compile at each start.
    install = ["pip", "install", "--python", python, "--compile-bytecode"]
    yield f"installing {names}", [request.uv, *install, *files, *request.added]


def _run(command: list[str], request: EnvironmentRequest) -> None:
    # Paths in a requirements file are relative to it.
    cwd = request.folder.parent if request.requirements is None else request.requirements.parent
    try:
        done = request.builder.run(command, environ=request.environ, cwd=cwd, together=True)
    except OSError as error:
        raise CommandFailed(f"{command[0]}: {error.strerror}.", exit_code=ENDED) from error
    if done.code != 0:
        shown = "\n".join(f"  {line}" for line in done.text.splitlines()[-_SHOWN:])
        shown = redact(shown, hidden=_passwords(request.environ))
        raise CommandFailed(
            f"`uv {command[1]} …` failed (exit code {done.code}). Nothing was changed. The end of its output:\n{shown}",
            exit_code=ENDED,
        )


def _passwords(environ: Mapping[str, str]) -> list[str]:
    """Return the passwords in the addresses of package indexes and proxies."""
    passwords: list[str] = []
    for address in " ".join(installer_variables(environ).values()).split():
        try:
            password = urlsplit(address).password
        except ValueError:
            continue
        passwords += [password] if password else []
    return passwords


def _builds(folder: Path) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(folder.name)}-(old-)?[0-9a-f]{{8}}")
    return [path for path in folder.parent.iterdir() if pattern.fullmatch(path.name) and not path.is_symlink()]


def _is_current(folder: Path, build: Path) -> bool:
    return folder.is_symlink() and folder.resolve() == build.resolve()


def _put_in_place(building: Path, folder: Path) -> None:
    before = [build for build in _builds(folder) if _is_current(folder, build)]
    if folder.exists() and not folder.is_symlink():  # made by hand
        aside = folder.with_name(f".{folder.name}-old-{secrets.token_hex(4)}")
        folder.rename(aside)
        before.append(aside)
    link = building.with_name(f"{building.name}-link")
    link.symlink_to(building.name)
    link.replace(folder)
    for one in before:
        _remove(one)


def _remove(folder: Path) -> None:
    with suppress(RecursionError):  # of very deep folders, made on purpose
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Exit on SIGTERM and SIGHUP as on Ctrl-C: uv is ended, and the unfinished build is removed."""

    def exit_command(_number: int, _frame: FrameType | None) -> None:
        sys.exit(ENDED)

    before = {number: signal.signal(number, exit_command) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
