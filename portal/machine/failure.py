"""The error of a command: a sentence for the user, and an exit code."""

from typing import Final

ENDED: Final = 1
"""A process ended by itself or could not be started."""
MISTAKEN: Final = 2
"""The command or the configuration must be changed."""
INTERRUPTED: Final = 130
"""By Ctrl-C: 128 plus the number of the signal, as in shells."""
UNREAD: Final = 141
"""The reader of the output has closed it, as in ``portal check | true``."""


class CommandFailed(Exception):
    """``str(error)`` is for the user."""

    def __init__(self, message: str, *, exit_code: int = MISTAKEN) -> None:
        super().__init__(message)
        self.exit_code = exit_code
