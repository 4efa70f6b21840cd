"""What a process knows about its own start: when it began, how long it usually takes, its last log line."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gradio_apps.runtime.host import HostedApp
from gradio_apps.runtime.last_line import last_line
from gradio_apps.runtime.progress import Progress

USUAL: Final = "PORTAL_USUAL_START"
"""Seconds a start usually takes, as the supervisor remembers them."""
SECRET_NAMES: Final = "PORTAL_SECRET_NAMES"  # noqa: S105  the name of a variable that holds names
"""Names of the app's variables whose values no page may show, separated by commas."""
_STDERR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupState:
    """Values read once, before the author's code can change them."""

    begun: float
    usual: float | None
    hidden: tuple[str, ...]
    log: int
    """Descriptor of this process's output; its last line is shown if it is a readable file."""
    log_since: int
    """Size of that file when the process began; everything before is another process's."""

    def progress(self, host: HostedApp, *, now: float) -> Progress:
        """Return how far the start of *host* is; *now* is of the monotonic clock."""
        return Progress(
            phase=host.phase,
            elapsed=now - self.begun,
            usual=self.usual,
            last_line=last_line(self.log, hidden=self.hidden, since=self.log_since),
            problem=host.problem,
        )

    def of(self, host: HostedApp) -> Callable[[], Progress]:
        """Return a function that the guard calls for its pages."""
        return lambda: self.progress(host, now=time.monotonic())


def startup_state_from(environ: Mapping[str, str], *, secret: str) -> StartupState:
    """Return the state of a start from *environ*, which the supervisor set; *secret* is the app's client secret."""
    usual = environ.get(USUAL, "")
    names = [name for name in environ.get(SECRET_NAMES, "").split(",") if name]
    return StartupState(
        begun=time.monotonic(),
        usual=float(usual) if usual.isascii() and usual.isdigit() else None,
        hidden=(secret, *(environ[name] for name in names if name in environ)),
        log=os.dup(_STDERR),  # the author's code may redirect the original
        log_since=os.fstat(_STDERR).st_size,
    )
