"""What one process knows of its own start: since when, how long it usually takes, what it printed last."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gradio_apps.runtime.host import HostedApp
from gradio_apps.runtime.last_line import last_line
from gradio_apps.runtime.progress import Progress

USUAL: Final = "PORTAL_USUAL_START"
"""Seconds a start usually takes, as the supervisor remembers it."""
SECRET_NAMES: Final = "PORTAL_SECRET_NAMES"  # noqa: S105  the name of a variable that holds names
"""Names of the app's variables whose values no page may show, with commas."""
_STDERR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupState:
    """What is read once, before the author's code can change it."""

    begun: float
    usual: float | None
    hidden: tuple[str, ...]
    log: int
    """Where this process's output goes; its last line is shown if that is a file that can be read back."""
    log_since: int
    """Size of that file when the process began: what stands before is of another process."""

    def progress(self, host: HostedApp, *, now: float) -> Progress:
        """Return how far *host* has come; *now* is of the monotonic clock."""
        return Progress(
            phase=host.phase,
            elapsed=now - self.begun,
            usual=self.usual,
            last_line=last_line(self.log, hidden=self.hidden, since=self.log_since),
            problem=host.problem,
        )

    def of(self, host: HostedApp) -> Callable[[], Progress]:
        """Return what the guard asks for its pages."""
        return lambda: self.progress(host, now=time.monotonic())


def startup_state_from(environ: Mapping[str, str], *, secret: str) -> StartupState:
    """Read from *environ* what the supervisor said of this app's starts; *secret* is the app's client secret."""
    usual = environ.get(USUAL, "")
    names = [name for name in environ.get(SECRET_NAMES, "").split(",") if name]
    return StartupState(
        begun=time.monotonic(),
        usual=float(usual) if usual.isascii() and usual.isdigit() else None,
        hidden=(secret, *(environ[name] for name in names if name in environ)),
        log=os.dup(_STDERR),  # the author's code may send its own elsewhere
        log_since=os.fstat(_STDERR).st_size,
    )
