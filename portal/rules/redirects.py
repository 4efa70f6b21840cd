"""Which page a browser may return to after sign-in.

The contract defines what a local path is, so that portal and guard agree.
"""

from typing import Final
from urllib.parse import unquote

from portal.contract import local_path

HOME: Final = "/"
_WITHOUT_PAGES: Final = ("/.well-known/", "/api/", "/app-states/", "/auth/", "/login/", "/oauth/", "/static/")
"""Folders of the portal without pages, or whose pages begin a sign-in."""
_NO_RETURN: Final = frozenset(
    {"/auth", "/healthz", "/login", "/logout", "/readyz", "/sign-in", "/sign-out", "/signed-out", "/tenant"}
)
"""Single addresses that a browser does not return to."""


def safe_next(target: object, *, default: str = HOME) -> str:
    """Return *target*, percent-encoded where needed, if it is a page of this portal to return to, else *default*."""
    path_and_query = local_path(target, default="")
    if not path_and_query:
        return default
    path = unquote(path_and_query.partition("?")[0].partition("#")[0])  # as the router reads it
    if path.startswith(_WITHOUT_PAGES) or path.rstrip("/") in _NO_RETURN:
        return default
    match path.split("/"):
        case ["", "apps", _, ".portal", *_]:
            return default  # only the portal's own page may begin a launch
        case ["", "apps", slug, *_] if slug:
            return path_and_query  # the rest is the app's own
    return default if "//" in path else path_and_query
