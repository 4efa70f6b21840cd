"""Moments as pages show them: UTC from the server, in the person's own zone where scripts run."""

from datetime import UTC, datetime


def iso(moment: int) -> str:
    """Return Unix time *moment* for the ``datetime`` attribute."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(moment: int) -> str:
    """Return Unix time *moment* as a person reads it."""
    at = datetime.fromtimestamp(moment, tz=UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
