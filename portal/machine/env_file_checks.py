"""Checks of apps' env files.  They are read as root, so it matters who may replace or read them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.contract.env_files import LARGEST, EnvFileError, problem_of_mode, read_env_file
from portal.errors import Problem
from portal.machine.file_permissions import GuardedPath, guarded_path, status_of
from portal.machine.users import Account
from portal.rules.catalogue import AppSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvFiles:
    """Checks the env files of apps."""

    accounts: Mapping[str, Account]
    """The user of each app, by slug."""
    secret: tuple[Path, ...]
    """Files with the portal's own secrets, which no app may get."""
    place: str
    """The configuration file, for problems."""

    def problem_of(self, app: AppSpec) -> Problem | None:
        """Return the problem with the ``env_file`` of *app*, or ``None``; what cannot be read is skipped."""
        if app.env_file is None:
            return None
        found = self._problem(app.slug, guarded_path(Path(app.env_file).absolute()))
        if found is None:
            return None
        what, fix = found
        return Problem(place=self.place, key=f"apps.{app.slug}.env_file", what=what, fix=fix)

    def _problem(self, slug: str, file: GuardedPath) -> tuple[str, str] | None:
        if file.status is None:
            gone = not _is_there(file.path)
            return (f"names {file.path}, which does not exist.", "Create it with mode 600.") if gone else None
        problem = problem_of_mode(file.status.st_mode)
        if problem is not None:
            return f"cannot be used: {problem}.", "Only its owner may write to it."
        if _is_one_of(file, self.secret):
            return (
                f"names {file.path}, which contains the portal's own secrets: the app would get all of them.",
                "Write what the app needs into a separate file.",
            )
        return self._replaceable(file) or self._readable(slug, file) or _problem_of_content(file.path)

    def _replaceable(self, file: GuardedPath) -> tuple[str, str] | None:
        # Its own app must not either: root reads the file, and would follow a link put in its place.
        fix = f"Keep {file.path.name} in a folder that belongs to root and that no app may write to."
        for other, account in self.accounts.items():
            folder = file.replaceable_by(account)
            if folder is not None:
                return f"can be replaced by the app {other}, which runs as {account} and may write to {folder}.", fix
        return None

    def _readable(self, slug: str, file: GuardedPath) -> tuple[str, str] | None:
        own = self.accounts.get(slug)
        for other, account in self.accounts.items():
            shared = own is not None and own.uid == account.uid
            if other != slug and not shared and file.readable_by(account):
                return (
                    f"can be read by the app {other}, which runs as {account}.",
                    f"Give {file.path} to root with chown, and close it with chmod 600.",
                )
        return None


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _is_one_of(file: GuardedPath, others: Iterable[Path]) -> bool:
    """Return whether *file* is one of *others*, under any name."""
    if file.status is None:
        return False
    known = ((status.st_dev, status.st_ino) for status in map(status_of, others) if status is not None)
    return (file.status.st_dev, file.status.st_ino) in known


def _problem_of_content(path: Path) -> tuple[str, str] | None:
    try:
        with path.open("rb") as file:
            read_env_file(file.read(LARGEST + 1))
    except EnvFileError as error:
        return f"cannot be used: {error}.", "Write lines like NAME=value."
    except OSError:  # only root may read it; the supervisor does
        return None
    return None
