"""Who runs a command, and what the audit says of it."""

import os
from collections.abc import Mapping

from portal.cli.messages import print_warning
from portal.clock import system_clock
from portal.machine.failure import CommandFailed
from portal.machine.terminal import plain
from portal.machine.users import SystemUsers
from portal.settings import Settings


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


def record_command(settings: Settings, command: str, *, app: str | None = None, made_at: str | None = None) -> None:
    """Record in the audit that this user ran *command*; it has had its effect, so that a failure is only said.

    *made_at*: when the backup was made that the command used.
    """
    # What is only needed here takes longer to load than all the rest of `portal apps list`.
    from portal.access.audit_events import AuditEvent  # noqa: PLC0415
    from portal.cli.opened_database import opened_database  # noqa: PLC0415
    from portal.web.services import open_audit  # noqa: PLC0415

    by = operator()
    try:
        with opened_database(settings) as database:
            database.upgrade()
            open_audit(settings.of_command, database, clock=system_clock).record(
                AuditEvent.COMMAND_RUN,
                now=system_clock(),
                app=app,
                detail=f"{command}{'' if made_at is None else f' of {made_at}'}, by {by}",
                fields={"command": command, "made_at": made_at, "by": by},
            )
    except CommandFailed as error:
        print_warning(f"this is not in the audit. {error}")
