"""Whether who runs portal and apps can read what that takes: asked of the system, before anything is started."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import portal
from portal.machine.users import Account, Accounts
from portal.settings import Settings

_LOOK: Final = 'for path; do [ -r "$path" ] || { printf %s "$path"; exit 1; }; done'
_PATIENCE: Final = 30.0


def unreachable(settings: Settings, accounts: Accounts, *, groups: tuple[int, ...]) -> Iterator[str]:
    """Yield a sentence about each account that cannot read what it is to run; this process must be root's.

    *groups* are those of the portal's account.
    """
    ours = (Path(sys.executable), Path(portal.__file__))
    if accounts.portal is not None:
        yield from _told("the portal", accounts.portal, ours, groups=groups)
    for slug, account in accounts.apps.items():
        app = settings.catalogue.find(slug)
        if app is None or app.source is None:
            continue
        source = Path(app.source)
        python = Path(sys.executable if app.python is None else app.python)
        files = (python, ours[1], source) if source.is_absolute() else (python, ours[1])
        yield from _told(f"the app {slug}", account, files, groups=())


def _told(what: str, account: Account, files: Iterable[Path], *, groups: tuple[int, ...]) -> Iterator[str]:
    path = unreadable(files, account, groups=groups)
    if path is not None:
        yield (
            f"{path} cannot be read by {account}, as whom {what} runs. Put it where that user gets, such as /opt or "
            "/srv, or open it and the folders above it with chmod."
        )


def unreadable(files: Iterable[Path], account: Account, *, groups: tuple[int, ...]) -> Path | None:
    """Return the first of *files* that *account* of *groups* cannot read, or ``None``; this process must be root's."""
    looked = subprocess.run(  # noqa: S603 - our own words for the shell, and paths as arguments
        ["/bin/sh", "-c", _LOOK, "sh", *map(str, files)],
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
    return None if looked.returncode == 0 else Path(looked.stdout)
