"""How an app stands: what ``portal apps`` shows of it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["starting", "running", "stopped", "crashed"]
Order = Literal["restart", "restart-now", "start", "stop"]
"""What an operator may ask for; ``restart`` puts a new process in the place of the old one without a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppStatus:
    """One state of one app; times are of the monotonic clock."""

    state: State
    since: float
    pid: int | None = None
    starts: int = 0
    """Processes started so far."""
    reason: str | None = None
    """Of ``crashed``: a sentence."""
    next_start: float | None = None
    """Of ``crashed``: when it is started again."""
    replacing: bool = False
    """Whether a new process comes up beside the one that answers."""
    failed_replacements: int = 0
    """How often the new process did not come up."""
    problem: str | None = None
    """Why the last one did not, until one does."""

    def described(self, now: float) -> dict[str, object]:
        """Return this as members of the control protocol (:mod:`gradio_apps.runtime.supervisor.control`)."""
        return {
            "state": self.state,
            "seconds": round(now - self.since, 1),
            "pid": self.pid,
            "restarts": max(0, self.starts - 1),
            "reason": self.reason,
            "replacing": self.replacing,
            "failed_replacements": self.failed_replacements,
            "problem": self.problem,
            "pause": None if self.next_start is None else round(max(0.0, self.next_start - now), 1),
        }
