"""How far an app has come with starting, as its page tells it to the people who wait."""

from dataclasses import dataclass
from typing import Final

_MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment of a start; what is not known is empty."""

    phase: str = ""
    """In a few words: ``loading its code``, ``starting up``."""
    elapsed: float | None = None
    """Seconds since the process began."""
    usual: float | None = None
    """Seconds a start usually takes."""
    last_line: str = ""
    """Of the app's log, without its secrets."""
    problem: str = ""
    """Of a start that failed: why, in a sentence."""

    def in_words(self) -> str:
        """Return phase, elapsed and usual time as one sentence, or nothing."""
        words = []
        if self.phase:
            words.append(self.phase)
        if self.elapsed is not None:
            words.append(f"for {spoken(self.elapsed)}")
        if self.usual is not None:
            words.append(f"usually ready after {spoken(self.usual)}")
        sentence = ", ".join(words)
        return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def spoken(seconds: float) -> str:
    """Return *seconds* as ``12 s`` or ``3 min 5 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE} s"
