"""Sends a command's messages to the supervisor; without an answer, the command fails."""

from pathlib import Path

from portal import supervisor_socket
from portal.contract.supervisor_messages import CommandAccepted, OperatorCommand
from portal.machine.failure import ENDED, CommandFailed
from portal.supervisor_socket import SupervisorError


def ask(path: Path, command: OperatorCommand) -> CommandAccepted:
    """Send *command* to the supervisor at *path*, and return its answer.

    Raises:
        CommandFailed: no supervisor answers, or it refuses.
    """
    try:
        return supervisor_socket.ask(path, command)
    except SupervisorError as error:
        raise CommandFailed(str(error), exit_code=ENDED) from error
