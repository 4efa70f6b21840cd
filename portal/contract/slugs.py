"""Names that stand in addresses, host names and folders: of apps and of providers."""

import re
from typing import Final

LONGEST: Final = 63
"""Characters of a name: as many as a label of a host name has (RFC 1035, 2.3.4)."""
RULE: Final = f"1 to {LONGEST} lower-case letters, digits and hyphens, none of these at an end"
"""The rule in words."""
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OTHERS: Final = re.compile(r"[^a-z0-9]+")


def is_slug(value: object) -> bool:
    """Say whether *value* may be the name of an app or a provider."""
    return type(value) is str and _SLUG.fullmatch(value) is not None


def slug_from(text: str, *, longest: int = LONGEST) -> str:
    """Return what is left of *text* as a name, of at most *longest* characters; empty where that is nothing."""
    return _OTHERS.sub("-", text.lower()).strip("-")[:longest].rstrip("-")
