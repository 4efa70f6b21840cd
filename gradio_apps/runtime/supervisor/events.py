"""What the supervisor reports: one JSON object per line on standard error."""

import json
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TextIO, TypeAlias


class SupervisorEvent(StrEnum):
    """What happened.  Keep the list alphabetized."""

    APP_CRASHED = "app-crashed"
    APP_FAILED = "app-failed"
    APP_LEFT = "app-left"
    APP_NOT_ENDED = "app-not-ended"
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


_LEVELS: Final = {
    SupervisorEvent.APP_CRASHED: "error",
    SupervisorEvent.APP_FAILED: "error",
    SupervisorEvent.APP_NOT_ENDED: "warning",
    SupervisorEvent.APP_NOT_REPLACED: "warning",
    SupervisorEvent.APP_OVER_MEMORY: "warning",
    SupervisorEvent.CONTROL_FAILED: "error",
    SupervisorEvent.PORT_TAKEN: "error",
    SupervisorEvent.REFUSED: "error",
}
"""Levels other than ``info``."""

Report: TypeAlias = Callable[..., None]
"""Takes a :class:`SupervisorEvent`, and its details by keyword; never a secret."""


def reporter(stream: TextIO) -> Report:
    """Return a function that writes events to *stream*."""

    def report(event: SupervisorEvent, **details: object) -> None:
        line = {  # in the form of the portal's own lines
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "level": _LEVELS.get(event, "info"),
            "logger": "supervisor",
            "event": event.value,
        }
        stream.write(json.dumps(line | details) + "\n")
        stream.flush()

    return report
