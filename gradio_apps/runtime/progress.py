"""How far an app's start has come, as its page shows it to people who wait."""

from dataclasses import dataclass
from typing import Final

_MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment of a start; unknown values are empty."""

    phase: str = ""
    """``Loading the app`` or ``Starting the app``."""
    elapsed: float | None = None
    """Seconds since the process began."""
    usual: float | None = None
    """Seconds a start usually takes."""
    last_line: str = ""
    """Of the app's log, without its secrets."""
    problem: str = ""
    """Why the start failed, in a sentence."""

    def summary(self) -> str:
        """Return the phase with its times, such as ``Loading the app (18 s)``; empty without a phase."""
        times = [] if self.elapsed is None else [spoken(self.elapsed)]
        if self.usual is not None:
            times.append(f"usually ready after {spoken(self.usual)}")
        return f"{self.phase} ({', '.join(times)})" if self.phase and times else self.phase


def spoken(seconds: float) -> str:
    """Return *seconds* as ``12 s`` or ``3 min 5 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE} s"
