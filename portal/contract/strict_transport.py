"""How long browsers use https alone, for the portal's host and for each app's (RFC 6797)."""

from typing import Final

STRICT_TRANSPORT: Final = "max-age=31536000"
"""``Strict-Transport-Security`` of every answer at an https address: for this very host, since what lies below it may
be another's."""
