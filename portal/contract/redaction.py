"""Redacts secrets in text that people read."""

from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "********"
SHORTEST_SECRET: Final = 4
"""Shorter ones stay: they are parts of ordinary words."""


def redact(text: str, *, hidden: Iterable[str]) -> str:
    """Return *text* with every one of *hidden*, and every line of one, replaced."""
    parts = {part for value in hidden for part in (value, *value.splitlines()) if len(part) >= SHORTEST_SECRET}
    for part in sorted(parts, key=len, reverse=True):  # the longest first: one may be part of another
        text = text.replace(part, HIDDEN)
    return text
