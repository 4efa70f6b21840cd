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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

import portal
from portal.contract.redaction import redact
from portal.machine.build_commands import Builder, passed_on
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.file_access import unreadable
from portal.machine.file_permissions import first_open, place_of
from portal.machine.ownership_transfer import TransferRefused, give_to_root
from portal.machine.users import Account

OWN_INTERPRETER: Final = (
    Path(portal.__file__).resolve().parents[1] / "gradio_apps/runtime/supervisor/own_interpreter.py"
)
"""The script that serves apps by other interpreters, and says whether one can."""
_UMASK: Final = 0o022
"""The app's user may be another than the one who installs."""
_SHOWN: Final = 40
"""Lines of uv's output that are shown when it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What an interpreter says of itself."""

    python: str
    gradio: str
    packages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRequest:
    """What to make."""

    folder: Path
    """Where it is to be found: a link, in the end."""
    base: str
    """Interpreter that it is made of."""
    program: str
    """Name of the interpreter in its ``bin``."""
    uv: str
    """The program, by its absolute path."""
    requirements: Path | None
    added: Sequence[str]
    environ: Mapping[str, str]
    builder: Builder
    """Who runs uv and what it installs."""


def find_uv(folders: Iterable[str], builder: Builder) -> str:
    """Return the path of the first uv in *folders* that *builder* can run.

    Raises:
        CommandFailed: there is none.
    """
    account = builder.account
    for folder in folders:
        program = shutil.which("uv", path=folder)
        if program and (account is None or unreadable([Path(program)], account, groups=()) is None):
            return str(Path(program).absolute())
    where = "" if account is None else f" where {account} can run it"
    raise CommandFailed(f"uv is not installed{where}. Install it: https://docs.astral.sh/uv/, or `pip install uv`.")


def version_of(python: str, builder: Builder) -> str:
    """Return the version of the interpreter *python*, as in ``3.11.7``.

    Raises:
        CommandFailed: it is none, or *builder* cannot run it.
    """
    who = "" if builder.account is None else f" for {builder.account}, as whom the app runs"
    asked = [python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]
    try:
        answer = builder.run(asked, environ=os.environ, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandFailed(f"{python}: this is no Python interpreter that runs{who}.") from error
    if answer.code != 0:
        raise CommandFailed(f"{python}: this is no Python interpreter that runs{who}.")
    return answer.text.strip()


def looked_at(python: Path, environ: Mapping[str, str], builder: Builder) -> Interpreter | str:
    """Return what the interpreter *python* has, or in a sentence why it cannot serve an app."""
    try:
        answer = builder.run([str(python), str(OWN_INTERPRETER), "--check"], environ=environ, timeout=300)
        if answer.code == 0:
            return _read(json.loads(answer.text))
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError, RecursionError):
        return f"{python} does not run."
    return answer.errors.strip().removeprefix("portal: ") or f"{python} does not run."


def _read(said: dict[str, object]) -> Interpreter:
    """Return what an interpreter says; it may run code of others, which must not steer the terminal.

    Raises:
        ValueError: it says something else.
        LookupError: it says less.
    """
    python, gradio, packages = said["python"], said["gradio"], said["packages"]
    if not isinstance(python, str) or not isinstance(gradio, str) or not f"{python}{gradio}".isprintable():
        raise ValueError("these are no versions")
    if type(packages) is not int:
        raise ValueError("this is no number")
    return Interpreter(python=python, gradio=gradio, packages=packages)


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


def make(order: EnvironmentRequest, *, say: Callable[[str], None]) -> Interpreter:
    """Build what *order* says, look whether it can serve an app, and put it in place; return what it has.

    Call it within :func:`alone_in` of the folder's parent.

    Raises:
        CommandFailed: uv failed, with the end of its output; nothing was changed.
    """
    for left in _builds(order.folder):
        if not _leads_to(order.folder, left):
            _take_away(left)  # of a run that was killed
    building = order.folder.with_name(f".{order.folder.name}-{secrets.token_hex(4)}")
    with _ended_by_signals():
        try:
            _begin(building, order.builder)
            for step, command in _commands(order, building):
                say(step)
                _run(command, order)
            (building / ".lock").unlink(missing_ok=True)  # uv's, and everybody's to write
            _end(building, order.builder)
            say("looking whether it can serve the app")
            found = _fit(building / "bin" / order.program, order)
            _put_in_place(building, order.folder)
        except BaseException:
            _take_away(building)
            raise
    return found


def require_place(parent: Path, accounts: Mapping[str, Account]) -> None:
    """Look whether root may let somebody else build in *parent*: no app may exchange what is there.

    *accounts* are those who run the apps, by slug.

    Raises:
        CommandFailed: one could, and have root give it what is others'.
    """
    found = first_open((place_of(parent, adding=True),), accounts.items())
    if found is not None:
        slug, account, named = found
        raise CommandFailed(
            f"{named} is open to {account}, who runs the app {slug}, so root cannot make an environment in {parent} "
            "safely. Give it to root with chown and close it with chmod go-w, or name another place in python."
        )


def _begin(building: Path, builder: Builder) -> None:
    if builder.account is None:
        return
    try:
        building.mkdir(mode=0o700)
        os.chown(building, builder.account.uid, builder.account.gid, follow_symlinks=False)
    except OSError as error:  # such as on NFS, where root is nobody
        raise CommandFailed(
            f"{building.parent}: {error.strerror}. Root cannot make a folder for {builder.account} there; let python "
            "name a place where it can.",
            exit_code=ENDED,
        ) from error


def _end(building: Path, builder: Builder) -> None:
    if builder.account is None:
        return
    try:
        give_to_root(building, uid=builder.account.uid)
    except (TransferRefused, OSError, RecursionError) as error:
        raise CommandFailed(f"What was installed cannot be given to root: {error}.", exit_code=ENDED) from error


def _fit(python: Path, order: EnvironmentRequest) -> Interpreter:
    found = looked_at(python, order.environ, order.builder)
    if isinstance(found, str):
        raise CommandFailed(f"What was installed cannot serve the app: {found}", exit_code=ENDED)
    return found


def _commands(order: EnvironmentRequest, building: Path) -> Iterator[tuple[str, list[str]]]:
    python = str(building / "bin" / "python")
    files = [] if order.requirements is None else ["-r", str(order.requirements)]
    named = ", ".join([*([] if order.requirements is None else [order.requirements.name]), *order.added])
    make_environment = ["venv", "--no-project", "--python", order.base, str(building)]
    yield f"making an environment of {order.base}", [order.uv, *make_environment]
    yield f"installing {named}", [order.uv, "pip", "install", "--python", python, *files, *order.added]


def _run(command: list[str], order: EnvironmentRequest) -> None:
    # Paths in a requirements file begin where it stands.
    cwd = order.folder.parent if order.requirements is None else order.requirements.parent
    try:
        done = order.builder.run(command, environ=order.environ, cwd=cwd, together=True)
    except OSError as error:
        raise CommandFailed(f"{command[0]}: {error.strerror}.", exit_code=ENDED) from error
    if done.code != 0:
        shown = "\n".join(f"  {line}" for line in done.text.splitlines()[-_SHOWN:])
        shown = redact(shown, hidden=_passwords(order.environ))
        raise CommandFailed(
            f"`uv {command[1]} …` failed (exit code {done.code}). Nothing was changed. The end of its output:\n{shown}",
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
        _take_away(one)


def _take_away(folder: Path) -> None:
    with suppress(RecursionError):  # of folders in folders, which somebody must have made on purpose
        shutil.rmtree(folder, ignore_errors=True)


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
