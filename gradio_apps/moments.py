"""Times in words: how long ago, how long still, and exactly when."""

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = (("day", 86400), ("hour", 3600), ("minute", 60))


def span(seconds: int) -> str:
    """Return *seconds* in the largest unit that fits, for example ``3 hours``."""
    for name, length in _UNITS:
        count = seconds // length
        if count:
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "less than a minute"


def ago(then: int, *, now: int) -> str:
    """Return how long before *now* the moment *then* was; both in Unix seconds."""
    return "just now" if now - then < 60 else f"{span(now - then)} ago"  # noqa: PLR2004 - a minute


def ahead(then: int, *, now: int) -> str:
    """Return how long after *now* the moment *then* will be; both in Unix seconds."""
    # Rounded up to a minute: 30 days, read a second later, are not 29 days.
    return f"in {span(-(-(then - now) // 60) * 60)}" if then > now else "now"


def exactly(moment: int) -> str:
    """Return *moment*, in Unix seconds, as date and time in UTC."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%-d %b %Y, %H:%M UTC")
