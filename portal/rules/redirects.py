"""The one answer to "where may we send this browser?" after sign-in.

What counts as a path of ours is the contract's rule, so that portal and guard agree.
"""

from typing import Final
from urllib.parse import unquote

from portal.contract import local_path

HOME: Final = "/"
_WITHOUT_PAGES: Final = ("/.well-known/", "/api/", "/app-states/", "/auth/", "/login/", "/oauth/", "/static/")
"""Folders of the portal that hold no page, or whose pages begin a sign-in."""
_NO_RETURN: Final = frozenset(
    {"/auth", "/healthz", "/login", "/logout", "/readyz", "/sign-in", "/sign-out", "/signed-out", "/tenant"}
)
"""Single places that make no sense to come back to."""


def safe_next(target: object, *, default: str = HOME) -> str:
    """Return *target*, encoded where it must be, if it is a page of this portal worth returning to, else *default*."""
    wanted = local_path(target, default="")
    if not wanted:
        return default
    path = unquote(wanted.partition("?")[0].partition("#")[0])  # as the router will read it
    if path.startswith(_WITHOUT_PAGES) or path.rstrip("/") in _NO_RETURN:
        return default
    match path.split("/"):
        case ["", "apps", _, ".portal", *_]:
            return default  # only the portal's own page may begin a launch
        case ["", "apps", slug, *_] if slug:
            return wanted  # what stands below is the app's
    return default if "//" in path else wanted
