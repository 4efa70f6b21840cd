"""The one answer to "where may we send this browser?" after sign-in.

What counts as a path of ours is the contract's rule, so that portal and guard agree.
"""

from typing import Final

from portal.contract import is_local_path

HOME: Final = "/"
_NEVER_AGAIN: Final = ("/auth/", "/sign-in", "/sign-out", "/signed-out", "/login/")
"""Places that make no sense to come back to: they would begin or end a sign-in."""


def safe_next(target: object, *, default: str = HOME) -> str:
    """Return *target* if it is a page of this portal worth returning to, else *default*."""
    if type(target) is not str or not is_local_path(target):
        return default
    path = target.partition("?")[0].partition("#")[0]
    if path.startswith(_NEVER_AGAIN) or path.endswith("/launch"):
        return default
    return target
