"""Slugs: the names of apps and providers in addresses, host names and folders."""

import re
from typing import Final

LONGEST: Final = 63
"""In characters: as many as a label of a host name may have (RFC 1035, section 2.3.4)."""
RULE: Final = f"1 to {LONGEST} lower-case letters, digits and hyphens, with no hyphen at either end"
"""The rule in words."""
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OTHERS: Final = re.compile(r"[^a-z0-9]+")


def is_slug(value: object) -> bool:
    """Return whether *value* may be the name of an app or a provider."""
    return type(value) is str and _SLUG.fullmatch(value) is not None


def slug_from(text: str, *, longest: int = LONGEST) -> str:
    """Return *text* as a slug of at most *longest* characters; empty if none of it can be used."""
    return _OTHERS.sub("-", text.lower()).strip("-")[:longest].rstrip("-")
