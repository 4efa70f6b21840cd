"""Who runs a command, for the audit."""

import os
from collections.abc import Mapping

from portal.machine.terminal import plain
from portal.machine.users import SystemUsers


def operator() -> str:
    """Return who runs this command, and that it is one."""
    uid = os.getuid()
    own = SystemUsers().by_uid(uid)
    return f"{operator_of(os.environ, uid=uid, name=None if own is None else own.name)} on the command line"


def operator_of(environ: Mapping[str, str], *, uid: int, name: str | None) -> str:
    """Return who runs a command, for the audit: the system's user, and ``SUDO_USER`` where root runs it."""
    own = f"user {uid}" if name is None else name
    through_sudo = environ.get("SUDO_USER", "").strip() if uid == 0 else ""  # elsewhere anyone could set it
    return f"{plain(through_sudo)} as {own}" if through_sudo else own
