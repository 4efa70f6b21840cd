"""The one way a command gives up: a sentence for the person, and an exit code."""

from typing import Final

ENDED: Final = 1
"""Something that was running ended, or could not be started."""
MISTAKEN: Final = 2
"""The command or the configuration must be changed."""
INTERRUPTED: Final = 130
"""By Ctrl-C: 128 and the number of the signal, as shells have it."""
UNREAD: Final = 141
"""The reader of the output has gone, as in ``portal check | true``."""


class CommandFailed(Exception):
    """``str(error)`` is what to tell the person."""

    def __init__(self, message: str, *, exit_code: int = MISTAKEN) -> None:
        super().__init__(message)
        self.exit_code = exit_code
