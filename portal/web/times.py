"""Times on pages: UTC from the server; scripts convert them to the reader's time zone."""

from datetime import UTC, datetime


def utc(moment: int) -> str:
    """Return Unix time *moment* as text, such as ``2 January 2030, 03:04 UTC``."""
    at = datetime.fromtimestamp(moment, tz=UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
