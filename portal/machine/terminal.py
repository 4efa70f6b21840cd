"""What others wrote, shown on a terminal."""

from typing import Final

_HARMLESS: Final = "\n\t\u00a0\u200c\u200d"
"""Besides what can be printed: a space that does not break, and what joins letters and emoji or keeps them apart."""


def plain(text: str) -> str:
    """Return *text* with control characters spelled out, but for line breaks and tabs.

    An app, or a package that is installed, must not steer the terminal its words are read in.
    """
    return "".join(one if one.isprintable() or one in _HARMLESS else ascii(one)[1:-1] for one in text)
