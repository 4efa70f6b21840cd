"""Becoming who the portal runs as, where root starts it: what only root sees is looked at, then root is put aside."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portal.configuration.loading import FILE_NAME
from portal.contract.privileges import lacking_here, put_aside, taken_up
from portal.deployment.systemd import PORTAL_USER
from portal.machine.exposure import exposed, files_of
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.file_access import unreachable
from portal.machine.problems import format_problems
from portal.machine.users import Account, Accounts, SystemUsers, accounts_of
from portal.settings import Settings

_CHANGING_USER: Final = frozenset({"CAP_SETGID", "CAP_SETUID"})


def users_of(settings: Settings, *, config: Path | None, variables: Mapping[str, str]) -> Accounts:
    """Return who runs what on this machine.

    Raises:
        CommandFailed: tells every problem with that at once.
    """
    chosen = config or Path(variables.get("PORTAL_CONFIG", "").strip() or FILE_NAME)
    file = Path.cwd() / chosen
    accounts, problems = accounts_of(settings, place=str(chosen), directory=SystemUsers())
    files = files_of(file, here=Path.cwd(), variables=variables)
    problems += exposed(settings, accounts, files)
    if problems:
        raise CommandFailed(format_problems(problems))
    return accounts


def require_right(settings: Settings, accounts: Accounts) -> None:
    """Look whether this process may start the portal and its apps as *accounts* says.

    Raises:
        CommandFailed: it may not, or it is not its business.
    """
    if settings.apps_run_by == "systemd" and any(app.source is not None for app in settings.catalogue):
        raise CommandFailed(
            'portal.apps_run_by is "systemd": the apps are started by the units of `portal config systemd`, and so is '
            "the portal. Enable those, or leave the setting out."
        )
    if accounts.apps and (missing := lacking_here()):
        raise CommandFailed(
            f"Apps have users of their own, and starting them takes {', '.join(missing)}, which this process has not. "
            'Start portal serve by root, or say portal.apps_run_by = "systemd" and use units.'
        )
    portal = accounts.portal
    if portal is not None and os.geteuid() not in {0, portal.uid}:
        raise CommandFailed(f"portal.user is {portal}: start portal serve by that user, or by root.")
    require_reach(settings, accounts)


def require_reach(settings: Settings, accounts: Accounts) -> None:
    """Look, where root asks, whether those of *accounts* can read what they are to run.

    Raises:
        CommandFailed: one cannot.
    """
    portal = accounts.portal
    if settings.apps_run_by == "systemd":
        return  # it may be another installation that its units run
    if os.getuid() != 0 or not _CHANGING_USER.isdisjoint(lacking_here()):
        return
    with taken_up():
        missed = tuple(unreachable(settings, accounts, groups=() if portal is None else groups_of(portal)))
    if missed:
        raise CommandFailed("\n".join(missed))


def stand_for(account: Account, *, data_dir: Path) -> None:
    """Act as *account* from now on, if this is root's process; the data folder is made before, if there is none.

    What root may is only put aside: ``portal.contract.privileges.taken_up`` takes it up for single steps.

    Raises:
        CommandFailed: the folder cannot be made.
    """
    if os.geteuid() != 0:
        return
    _make(data_dir, account)
    put_aside(account.uid, account.gid, groups_of(account))


def _make(data_dir: Path, account: Account) -> None:
    try:
        if not data_dir.exists():
            data_dir.parent.mkdir(parents=True, exist_ok=True)
            data_dir.mkdir(mode=0o700)
            os.chown(data_dir, account.uid, account.gid, follow_symlinks=False)
    except FileExistsError as error:
        raise CommandFailed(f"The data folder {data_dir} is not a folder; name another.") from error
    except OSError as error:
        raise CommandFailed(f"The data folder {data_dir} cannot be made: {error.strerror}.", exit_code=ENDED) from error


@contextmanager
def acting_for(settings: Settings) -> Iterator[None]:
    """Act as the portal's user within the block, if root asks: a file that root makes in its place is lost to it.

    The data folder is made before, if there is none.

    Raises:
        CommandFailed: it cannot be made.
    """
    account = portal_account(settings)
    if account is None or os.geteuid() != 0:
        yield
        return
    _make(settings.data_dir, account)
    groups, gid = os.getgroups(), os.getegid()
    put_aside(account.uid, account.gid, groups_of(account))
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def portal_account(settings: Settings) -> Account | None:
    """Return who the portal runs as; ``None`` where that is whoever starts it, or nobody whom this machine knows."""
    if settings.user is None and settings.apps_run_by == "systemd":
        return SystemUsers().by_name(PORTAL_USER)
    return None if settings.user is None else accounts_of(settings, place="", directory=SystemUsers())[0].portal


def groups_of(account: Account) -> tuple[int, ...]:
    """Return every group that *account* is in."""
    return (account.gid,) if account.name is None else tuple(os.getgrouplist(account.name, account.gid))


def environment_for(account: Account, environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* as a process of *account* has it: root's home is none of its business."""
    of_account = {
        "HOME": account.home,
        "USER": account.name or str(account.uid),
        "LOGNAME": account.name or str(account.uid),
    }
    return {**environ, **of_account}
