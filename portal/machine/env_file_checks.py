"""What is wrong with the files of variables that apps are handed: they are read as root, so their place counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.contract.env_files import LARGEST, EnvFileError, problem_of_mode, read_env_file
from portal.errors import Problem
from portal.machine.file_permissions import GuardedPath, place_of, status_of
from portal.machine.users import Account
from portal.rules.catalogue import AppSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvFiles:
    """How files of variables are looked at."""

    accounts: Mapping[str, Account]
    """Who runs each app, by its slug."""
    secret: tuple[Path, ...]
    """Files with the portal's own secrets, none of which an app is handed."""
    place: str
    """The file, for problems."""

    def problem_of(self, app: AppSpec) -> Problem | None:
        """Return what is wrong with the ``env_file`` of *app*, or ``None``; what cannot be looked at is passed over."""
        if app.env_file is None:
            return None
        found = self._fault(app.slug, place_of(Path(app.env_file).absolute()))
        if found is None:
            return None
        what, fix = found
        return Problem(place=self.place, key=f"apps.{app.slug}.env_file", what=what, fix=fix)

    def _fault(self, slug: str, file: GuardedPath) -> tuple[str, str] | None:
        if file.status is None:
            gone = not _is_there(file.path)
            return (f"names {file.path}, which is not there.", "Make it, with mode 600.") if gone else None
        fault = problem_of_mode(file.status.st_mode)
        if fault is not None:
            return f"cannot be used: {fault}.", "Its owner alone may write to it."
        if _is_one_of(file, self.secret):
            return (
                f"names {file.path}, which holds the portal's own secrets: the app would be handed all of them.",
                "Write what the app needs into a file of its own.",
            )
        return self._exchanged(file) or self._read(slug, file) or _fault_of_content(file.path)

    def _exchanged(self, file: GuardedPath) -> tuple[str, str] | None:
        # By its own app, too: it is read as root, and a link put in its place would lead to what is others'.
        fix = f"Keep {file.path.name} in a folder of root's that no app may write to."
        for other, account in self.accounts.items():
            folder = file.exchanged_by(account)
            if folder is not None:
                return f"can be exchanged by the app {other}, which runs as {account}: {folder} is open to it.", fix
        return None

    def _read(self, slug: str, file: GuardedPath) -> tuple[str, str] | None:
        own = self.accounts.get(slug)
        for other, account in self.accounts.items():
            shared = own is not None and own.uid == account.uid
            if other != slug and not shared and file.read_by(account):
                return (
                    f"can be read by the app {other}, which runs as {account}.",
                    f"Give {file.path} to root, with chown, and close it with chmod 600.",
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
    """Say whether *file* is one of *others*, by whatever name, link or other."""
    if file.status is None:
        return False
    known = ((status.st_dev, status.st_ino) for status in map(status_of, others) if status is not None)
    return (file.status.st_dev, file.status.st_ino) in known


def _fault_of_content(path: Path) -> tuple[str, str] | None:
    try:
        with path.open("rb") as file:
            read_env_file(file.read(LARGEST + 1))
    except EnvFileError as error:
        return f"cannot be used: {error}.", "Write lines like NAME=value."
    except OSError:  # root's, and this is not root: who starts the apps reads it
        return None
    return None
