"""What of the portal's own an app's user could read or change by the modes of files, before anything is started.

Modes and owners count, as ``stat`` has them; access control lists are not looked at.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.cli.accounts import Account, Accounts
from portal.configuration.hook_name import SIGN_IN_HOOK
from portal.contract.env_files import LARGEST, EnvFileError, fault_of_mode, read_env_file
from portal.errors import Problem
from portal.settings import Settings

_PLACES: Final = frozenset({"PORTAL_DATABASE_URL_FILE", "PORTAL_RATE_LIMIT_STORAGE_FILE"})
"""Files that may hold a password, by a name that does not say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where what is the portal's own stands."""

    config: Path
    """``portal.toml``, by its absolute path."""
    secret: tuple[Path, ...]
    """Files with the portal's secrets: ``.env``, and those that ``<NAME>_FILE`` variables name."""
    obeyed: tuple[Path, ...] = ()
    """Where the portal looks in its working folder for what it does as it is told there: ``.env``, the sign-in hook."""


def files_of(config: Path, *, here: Path, variables: Mapping[str, str]) -> Files:
    """Return what is to be kept from apps: *config*, files that *variables* name, ``.env`` and the hook in *here*."""
    named = [
        here / value.strip() for name, value in sorted(variables.items()) if _names_a_secret(name) and value.strip()
    ]
    hook = here.joinpath(*variables.get(SIGN_IN_HOOK, "").partition(":")[0].strip().split("."))
    modules = () if hook == here else (hook.with_suffix(".py"), hook / "__init__.py")
    return Files(config=config, secret=(here / ".env", *named), obeyed=(here / ".env", *modules))


def exposed(settings: Settings, accounts: Accounts, files: Files) -> tuple[Problem, ...]:
    """Return what is open to users of apps that must not be; what cannot be looked at is passed over."""
    place = str(files.config)
    problems = [_env_file_problem(accounts, app.slug, app.env_file, place) for app in settings.catalogue]
    return (
        *(one for one in problems if one is not None),
        *_writable(accounts, files, settings.homes, place=place),
        *_readable(accounts, files, place=place),
    )


def may_write(status: os.stat_result, account: Account) -> bool:
    """Say whether *account* could write to what *status* is of, or let itself: its owner can."""
    return _may(status, account, stat.S_IWGRP, stat.S_IWOTH)


def may_read(status: os.stat_result, account: Account) -> bool:
    """Say whether *account* could read what *status* is of, or let itself: its owner can."""
    return _may(status, account, stat.S_IRGRP, stat.S_IROTH)


def _may(status: os.stat_result, account: Account, group: int, others: int) -> bool:
    if status.st_uid == account.uid:
        return True
    return bool(status.st_mode & (group if status.st_gid == account.gid else others))


def _may_exchange(folder: os.stat_result, account: Account) -> bool:
    """Say whether *account* could put something else in the place of what is in *folder*, which is others'."""
    return may_write(folder, account) and (folder.st_uid == account.uid or not folder.st_mode & stat.S_ISVTX)


def _reaches(path: Path, account: Account) -> bool:
    return all(
        status is None or _may(status, account, stat.S_IXGRP, stat.S_IXOTH) for status in map(_status, path.parents)
    )


def _writable(accounts: Accounts, files: Files, homes: Path, *, place: str) -> Iterator[Problem]:
    obeyed = (("(the working folder)", path) for path in files.obeyed)
    told: set[Path] = set()
    for what, path in (("(the file)", files.config), ("portal.apps_dir", homes), *obeyed):
        for slug, account in accounts.apps.items():
            named = _changeable(path, account)
            if named is not None and not (path in files.obeyed and named in told):
                told.add(named)
                yield Problem(
                    place=place,
                    key=what,
                    what=f"can be changed by the app {slug}, which runs as {account}: {named} is open to it.",
                    mend=f"Give {named} to root, with chown, and close it with chmod go-w.",
                )
                break


def _changeable(path: Path, account: Account) -> Path | None:
    """Return what of *path* and the folders above it *account* could change, or ``None``."""
    status = _status(path)
    if status is not None and may_write(status, account):
        return path
    for folder in path.parents:
        status = _status(folder)
        if status is not None and _may_exchange(status, account):
            return folder
    return None


def _readable(accounts: Accounts, files: Files, *, place: str) -> Iterator[Problem]:
    for path in files.secret:
        status = _status(path)
        for slug, account in accounts.apps.items():
            if status is not None and may_read(status, account) and _reaches(path, account):
                yield Problem(
                    place=place,
                    key=str(path),
                    what=f"holds secrets of the portal, and can be read by the app {slug}, which runs as {account}.",
                    mend="Close it: chmod 600, and chown it to the portal's user.",
                )
                break


def _env_file_problem(accounts: Accounts, slug: str, env_file: str | None, place: str) -> Problem | None:
    if env_file is None:
        return None
    key, path = f"apps.{slug}.env_file", Path(env_file)
    try:
        status = path.stat()
    except FileNotFoundError:
        return Problem(place=place, key=key, what=f"names {path}, which is not there.", mend="Make it, with mode 600.")
    except OSError:
        return None
    fault = fault_of_mode(status.st_mode)
    if fault is not None:
        return Problem(place=place, key=key, what=f"cannot be used: {fault}.", mend="Its owner alone may write to it.")
    own = accounts.apps.get(slug)
    for other, account in accounts.apps.items():
        shared = own is not None and own.uid == account.uid
        if other != slug and not shared and may_read(status, account) and _reaches(path, account):
            return Problem(
                place=place,
                key=key,
                what=f"can be read by the app {other}, which runs as {account}.",
                mend=f"Give {path} to root, with chown, and close it with chmod 600.",
            )
    try:
        with path.open("rb") as file:
            read_env_file(file.read(LARGEST + 1))
    except EnvFileError as error:
        return Problem(place=place, key=key, what=f"cannot be used: {error}.", mend="Write lines like NAME=value.")
    except OSError:  # root's, and this is not root: who starts the apps reads it
        return None
    return None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _names_a_secret(name: str) -> bool:
    return name in _PLACES or (name.endswith("_FILE") and "SECRET" in name)


def env_values(files: Iterable[str | None]) -> tuple[str, ...] | None:
    """Return every value in the env files *files*, to be hidden; ``None`` where one cannot be read by this user."""
    values: list[str] = []
    for name in files:
        if name is None:
            continue
        try:
            with Path(name).open("rb") as file:
                values += read_env_file(file.read(LARGEST + 1)).values()
        except FileNotFoundError:
            continue
        except (OSError, EnvFileError):
            return None
    return tuple(values)
