"""People's pictures: the only content that pages load from another origin."""

import re
from typing import Final

_HTTPS_ORIGIN: Final = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?(?=[/?#]|\Z)")


def safe_picture(picture: str | None) -> str | None:
    """Return *picture* if it is an https URL whose origin can go into a policy, else ``None``."""
    return picture if picture_origin(picture) else None


def picture_origin(picture: str | None) -> str | None:
    """Return the https origin of *picture*, without characters that could end a policy directive."""
    match = None if picture is None else _HTTPS_ORIGIN.match(picture)
    return match.group() if match else None
