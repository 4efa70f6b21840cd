"""The one answer to "where may we send this browser?" after sign-in.

What counts as a path of ours is the contract's rule, so that portal and guard agree.
"""

from typing import Final
from urllib.parse import unquote

from portal.contract import is_local_path

HOME: Final = "/"
_NO_PAGES: Final = ("/.well-known/", "/api/", "/auth/", "/login/", "/oauth/", "/static/")
"""Folders of the portal that hold no page, or whose pages begin a sign-in."""
_NEVER_AGAIN: Final = frozenset(
    {"/auth", "/healthz", "/login", "/logout", "/readyz", "/sign-in", "/sign-out", "/signed-out", "/tenant"}
)
"""Single places that make no sense to come back to."""


def safe_next(target: object, *, default: str = HOME) -> str:
    """Return *target* if it is a page of this portal worth returning to, else *default*."""
    if type(target) is not str or not is_local_path(target):
        return default
    path = unquote(target.partition("?")[0].partition("#")[0])  # as the router will read it
    if path.startswith(_NO_PAGES) or path.rstrip("/") in _NEVER_AGAIN or _is_launch(path):
        return default
    return target


def _is_launch(path: str) -> bool:
    match path.split("/"):
        case ["", "apps", _, "launch"]:
            return True  # only the portal's own page may begin a launch
        case _:
            return False
