"""Whether the users of portal and apps can read the files that they run; tried before anything starts."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import portal
from portal.machine.users import Account, Accounts
from portal.settings import Settings

_FIND_UNREADABLE: Final = 'for path; do [ -r "$path" ] || { printf %s "$path"; exit 1; }; done'
_PATIENCE: Final = 30.0


def unreadable_files(settings: Settings, accounts: Accounts, *, groups: tuple[int, ...]) -> Iterator[str]:
    """Yield a sentence for each account that cannot read what it runs; this process must be root's.

    *groups* are those of the portal's account.
    """
    ours = (Path(sys.executable), Path(portal.__file__))
    if accounts.portal is not None:
        yield from _problems("the portal", accounts.portal, ours, groups=groups)
    for slug, account in accounts.apps.items():
        app = settings.catalogue.find(slug)
        if app is None or app.source is None:
            continue
        source = Path(app.source)
        python = Path(sys.executable if app.python is None else app.python)
        files = (python, ours[1], source) if source.is_absolute() else (python, ours[1])
        yield from _problems(f"the app {slug}", account, files, groups=())


def _problems(what: str, account: Account, files: Iterable[Path], *, groups: tuple[int, ...]) -> Iterator[str]:
    path = first_unreadable(files, account, groups=groups)
    if path is not None:
        yield (
            f"{account}, the user of {what}, cannot read {path}. Move it to a folder that this user can read, such as "
            "/opt or /srv, or open it and the folders above it with chmod."
        )


def first_unreadable(files: Iterable[Path], account: Account, *, groups: tuple[int, ...]) -> Path | None:
    """Return the first of *files* that *account* of *groups* cannot read, or ``None``; this process must be root's."""
    done = subprocess.run(  # noqa: S603 - our own shell command, and paths as arguments
        ["/bin/sh", "-c", _FIND_UNREADABLE, "sh", *map(str, files)],
        cwd="/",
        env={},
        user=account.uid,
        group=account.gid,
        extra_groups=groups,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    return None if done.returncode == 0 else Path(done.stdout)
