"""Taking secrets out of text that somebody will read: the same on both sides."""

from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "********"
SHORTEST_SECRET: Final = 4
"""Shorter ones are left: they stand in ordinary words, and hide nothing."""


def redacted(text: str, *, hidden: Iterable[str]) -> str:
    """Return *text* with every one of *hidden*, and every line of one, replaced."""
    parts = {part for value in hidden for part in (value, *value.splitlines()) if len(part) >= SHORTEST_SECRET}
    for part in sorted(parts, key=len, reverse=True):  # the longest first: one may stand inside another
        text = text.replace(part, HIDDEN)
    return text
