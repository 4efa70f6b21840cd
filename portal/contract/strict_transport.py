"""How long browsers use only https for the hosts of portal and apps (RFC 6797)."""

from typing import Final

STRICT_TRANSPORT: Final = "max-age=31536000"
"""``Strict-Transport-Security`` of every answer at an https address; for this host only, since others may own names
below it."""
