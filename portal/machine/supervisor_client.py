"""The command's way to the supervisor: what it says, or a sentence that says why there is no answer."""

from collections.abc import Mapping
from pathlib import Path

from portal.machine.failure import ENDED, CommandFailed
from portal.supervisor_socket import Answer, AppState, SupervisorAway, SupervisorRefused
from portal.supervisor_socket import ask as ask_supervisor

__all__ = ["AppState", "ask", "format_states"]


def ask(path: Path, do: str, *, app: str | None = None) -> tuple[AppState, ...]:
    """Ask the supervisor at *path* to *do* something; return how the apps it is about stand.

    Raises:
        CommandFailed: nobody answers, or the supervisor refuses.
    """
    return format_states(path, do, {"app": app}).apps


def format_states(path: Path, do: str, members: Mapping[str, object]) -> Answer:
    """Do what :func:`ask` does; return all that was answered.

    Raises:
        CommandFailed: as there.
    """
    try:
        return ask_supervisor(path, do, members)
    except SupervisorAway as error:
        raise CommandFailed(
            f"No supervisor answers at {path}. Is `portal serve` running, with this configuration and as this user?",
            exit_code=ENDED,
        ) from error
    except SupervisorRefused as error:
        raise CommandFailed(f"The supervisor refused: {error}", exit_code=ENDED) from error
