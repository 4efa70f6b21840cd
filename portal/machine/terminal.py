"""Untrusted text on a terminal."""

from typing import Final

_HARMLESS: Final = "\n\t\u00a0\u200c\u200d"
"""Besides printable characters: the no-break space and the joiners of letters and emoji."""


def plain(text: str) -> str:
    """Return *text* with control characters escaped, except line breaks and tabs.

    An app, or a package that is being installed, must not control the terminal.
    """
    return "".join(one if one.isprintable() or one in _HARMLESS else ascii(one)[1:-1] for one in text)
