"""Standard input, output and error, where one of them is closed or has no reader any more."""

import os
import sys
from contextlib import suppress
from typing import Final

_STANDARD: Final = (0, 1, 2)


def open_descriptors() -> None:
    """Have each standard stream be something: the next file that is opened must not take a closed one's number.

    Else what is printed, here or by a process that is started, would go into that file.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def discard_output() -> None:
    """Have whatever is still to be printed go nowhere, so that nothing fails once more when Python ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
