"""The current state of one app, as its process manager tracks it."""

from dataclasses import dataclass

from portal.contract.supervisor_messages import State


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentState:
    """One state of one app; times are of the monotonic clock.

    See :class:`portal.contract.supervisor_messages.AppStatus` for the members that both have.
    """

    state: State
    since: float
    pid: int | None = None
    starts: int = 0
    """Processes started so far."""
    reason: str | None = None
    next_start: float | None = None
    """Of ``crashed``: when it is started again."""
    replacing: bool = False
    failed_replacements: int = 0
    problem: str | None = None
