"""People's pictures: the one thing pages load from elsewhere, and only from where a policy can name it."""

import re
from typing import Final

_HTTPS_ORIGIN: Final = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?(?=[/?#]|\Z)")


def safe_picture(picture: str | None) -> str | None:
    """Return *picture* if it is an https address that a policy can name, else ``None``."""
    return picture if picture_origin(picture) else None


def picture_origin(picture: str | None) -> str | None:
    """Return the origin of *picture*, free of anything that could end a directive."""
    found = None if picture is None else _HTTPS_ORIGIN.match(picture)
    return found.group() if found else None
