"""Where ``portal serve`` and the supervisor of this machine's apps listen, and sending commands to the supervisor."""

from pathlib import Path
from typing import Final

from portal.contract.local_sockets import connect_to
from portal.contract.supervisor_messages import (
    MAX_LINE,
    CommandAccepted,
    CommandRefused,
    InvalidMessage,
    OperatorCommand,
    read_answer,
)
from portal.settings import Settings

_PATIENCE: Final = 10.0


class SupervisorError(Exception):
    """No supervisor answers, or it refuses; ``str(error)`` is a sentence for the operator."""


def control_socket(settings: Settings) -> Path:
    """Return where the supervisor listens for commands."""
    return settings.data_dir / "supervisor.sock"


def reload_socket(settings: Settings) -> Path:
    """Return where ``portal serve`` listens for ``portal reload``."""
    return settings.data_dir / "serve.sock"


def ask(path: Path, command: OperatorCommand, *, patience: float = _PATIENCE) -> CommandAccepted:
    """Send *command* to the supervisor at *path*, and return its answer, which may take *patience* seconds.

    Raises:
        SupervisorError: no supervisor answers, or it refuses.
    """
    try:
        with connect_to(path, timeout=patience) as connection:
            connection.sendall(command.to_line())
            with connection.makefile("rb") as reader:
                answer = read_answer(reader.readline(MAX_LINE))
    except OSError as error:
        raise SupervisorError(
            f"No supervisor answers at {path}. Is `portal serve` running, with this configuration and as this user?"
        ) from error
    except InvalidMessage as error:
        raise SupervisorError(f"What answers at {path} is not this portal's supervisor. {error}") from error
    if isinstance(answer, CommandRefused):
        raise SupervisorError(f"The supervisor refused: {answer.problem}")
    return answer
