"""What the supervisor reports: one JSON object per line on standard error."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import TextIO, TypeAlias


class Event(StrEnum):
    """What happened.  Keep the list alphabetized."""

    APP_CRASHED = "app-crashed"
    APP_FAILED = "app-failed"
    APP_LEFT = "app-left"
    APP_NOT_REPLACED = "app-not-replaced"
    APP_OVER_MEMORY = "app-over-memory"
    APP_READY = "app-ready"
    APP_REPLACED = "app-replaced"
    APP_STARTED = "app-started"
    APP_STOPPED = "app-stopped"
    CONTROL_FAILED = "control-failed"
    ORDERED = "ordered"
    PORT_TAKEN = "port-taken"
    REFUSED = "refused"
    RELOADED = "reloaded"
    STOPPED = "stopped"


Report: TypeAlias = Callable[..., None]
"""Takes an :class:`Event`, and by keyword whatever belongs to it; never a secret."""


def reporter(stream: TextIO) -> Report:
    """Return a function that writes events to *stream*."""

    def report(event: Event, **details: object) -> None:
        stream.write(json.dumps({"event": event.value, **details}) + "\n")
        stream.flush()

    return report
