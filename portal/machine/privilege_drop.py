"""Changing from root to the portal's user: checks that need root come first, then root's rights are dropped."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portal.configuration.loading import FILE_NAME, chosen_file
from portal.contract.privileges import as_root, drop_privileges, own_missing_privileges
from portal.deployment.systemd import PORTAL_USER
from portal.machine.exposure import exposed, files_of
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.file_access import unreadable_files
from portal.machine.problems import format_problems
from portal.machine.users import Account, Accounts, SystemUsers, accounts_of
from portal.settings import Settings

_CHANGING_USER: Final = frozenset({"CAP_SETGID", "CAP_SETUID"})


def users_of(settings: Settings, *, config: Path | None, variables: Mapping[str, str]) -> Accounts:
    """Return the users of portal and apps on this machine.

    Raises:
        CommandFailed: lists every problem with them.
    """
    chosen = chosen_file(config, variables) or Path(FILE_NAME)
    file = Path.cwd() / chosen
    accounts, problems = accounts_of(settings, place=str(chosen), directory=SystemUsers())
    files = files_of(file, here=Path.cwd(), variables=variables)
    problems += exposed(settings, accounts, files)
    if problems:
        raise CommandFailed(format_problems(problems))
    return accounts


def require_right(settings: Settings, accounts: Accounts) -> None:
    """Check that this process may start the portal and its apps as the users in *accounts*.

    Raises:
        CommandFailed: it may not, or systemd starts the apps.
    """
    if settings.apps_run_by == "systemd" and any(app.source is not None for app in settings.catalogue):
        raise CommandFailed(
            'portal.apps_run_by is "systemd": the units of `portal config systemd` start the apps and the portal. '
            "Enable those units, or remove the setting."
        )
    if accounts.apps and (missing := own_missing_privileges()):
        raise CommandFailed(
            f"Apps have users of their own. Starting them needs {', '.join(missing)}, which this process lacks. "
            'Start portal serve as root, or set portal.apps_run_by = "systemd" and use units.'
        )
    portal = accounts.portal
    if portal is not None and os.geteuid() not in {0, portal.uid}:
        raise CommandFailed(f"portal.user is {portal}: start portal serve as that user or as root.")
    require_readable(settings, accounts)


def require_readable(settings: Settings, accounts: Accounts) -> None:
    """Check, if root asks, that the users of *accounts* can read what they run.

    Raises:
        CommandFailed: one of them cannot.
    """
    portal = accounts.portal
    if settings.apps_run_by == "systemd":
        return  # the units may run another installation
    if os.getuid() != 0 or not _CHANGING_USER.isdisjoint(own_missing_privileges()):
        return
    with as_root():
        missed = tuple(unreadable_files(settings, accounts, groups=() if portal is None else groups_of(portal)))
    if missed:
        raise CommandFailed("\n".join(missed))


def become_user(account: Account, *, data_dir: Path) -> None:
    """Act as *account* from now on, if this process is root's; create the data folder first if it is missing.

    Root's rights are only put aside: ``portal.contract.privileges.as_root`` restores them for single steps.

    Raises:
        CommandFailed: the folder cannot be created.
    """
    if os.geteuid() != 0:
        return
    _create(data_dir, account)
    drop_privileges(account.uid, account.gid, groups_of(account))


def _create(data_dir: Path, account: Account) -> None:
    try:
        if not data_dir.exists():
            data_dir.parent.mkdir(parents=True, exist_ok=True)
            data_dir.mkdir(mode=0o700)
            os.chown(data_dir, account.uid, account.gid, follow_symlinks=False)
    except FileExistsError as error:
        raise CommandFailed(f"The data folder {data_dir} is not a folder. Set another.") from error
    except OSError as error:
        raise CommandFailed(
            f"The data folder {data_dir} cannot be created: {error.strerror}.", exit_code=ENDED
        ) from error


@contextmanager
def acting_for(settings: Settings) -> Iterator[None]:
    """Act as the portal's user within the block, if root asks: the portal could not use a file created by root.

    The data folder is created first if it is missing.

    Raises:
        CommandFailed: it cannot be created.
    """
    account = portal_account(settings)
    if account is None or os.geteuid() != 0:
        yield
        return
    _create(settings.data_dir, account)
    groups, gid = os.getgroups(), os.getegid()
    drop_privileges(account.uid, account.gid, groups_of(account))
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def portal_account(settings: Settings) -> Account | None:
    """Return the portal's user; ``None`` if it is the user who starts it, or does not exist on this machine."""
    if settings.user is None and settings.apps_run_by == "systemd":
        return SystemUsers().by_name(PORTAL_USER)
    return None if settings.user is None else accounts_of(settings, place="", directory=SystemUsers())[0].portal


def groups_of(account: Account) -> tuple[int, ...]:
    """Return every group that *account* is in."""
    return (account.gid,) if account.name is None else tuple(os.getgrouplist(account.name, account.gid))


def environment_for(account: Account, environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* with the home and name of *account* instead of root's."""
    of_account = {
        "HOME": account.home,
        "USER": account.name or str(account.uid),
        "LOGNAME": account.name or str(account.uid),
    }
    return {**environ, **of_account}
