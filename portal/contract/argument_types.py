"""Types of ``argparse`` for numbers on the command lines of portal and apps."""

import argparse
from dataclasses import dataclass
from typing import Final

_MOST_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number within bounds."""

    what: str
    """Name in an error message, with its article."""
    lowest: int
    highest: int

    def __call__(self, text: str) -> int:
        """Return the number in *text*.

        Raises:
            ArgumentTypeError: *text* is not a number within the bounds.
        """
        # Digits alone: int() also takes spaces, signs, underscores and the digits of other scripts.
        if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
            number = int(text)
            if self.lowest <= number <= self.highest:
                return number
        raise argparse.ArgumentTypeError(f"{text!r} is not {self.what} from {self.lowest} to {self.highest}")


PORT: Final = WholeNumber("a port", 1, 65535)
PORT_OR_ANY: Final = WholeNumber("a port, or 0 for any free one,", 0, 65535)
WORKERS: Final = WholeNumber("a number of processes", 1, 256)
THREADS: Final = WholeNumber("a number of threads", 1, 1024)
LINES: Final = WholeNumber("a number of lines", 0, 1_000_000)
