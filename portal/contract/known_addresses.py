"""Addresses that unmodified apps lead to although the portal answers them: Gradio's own, and the Descope tutorial's.

One list for both sides: the portal answers them at its root, a guard where its app has no such page.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

KnownAddress: TypeAlias = Literal["sign-in", "sign-out", "dashboard", "admin-dashboard", "user-dashboard"]
"""What a person wants who goes there; also what the guard's page tells the portal's page around it."""

KNOWN_ADDRESSES: Final[Mapping[str, KnownAddress]] = {
    "/login": "sign-in",
    "/logout": "sign-out",
    "/auth": "sign-in",
    "/auth/login": "sign-in",
    "/auth/logout": "sign-out",
    "/auth/error": "sign-in",
    "/auth/auth/callback": "sign-in",
    "/gradio": "dashboard",
    "/gradio/admin": "admin-dashboard",
    "/gradio/user": "user-dashboard",
}
"""Without the slash that may follow each."""

PORTAL_PATHS: Final[Mapping[KnownAddress, str]] = {
    "sign-in": "/sign-in",
    "sign-out": "/sign-out",
    "dashboard": "/gradio",
    "admin-dashboard": "/gradio/admin",
    "user-dashboard": "/gradio/user",
}
"""Where the portal answers each."""

SIGN_OUT_PATH: Final = "/.portal/sign-out"
"""Where every guard leads to the portal's page that asks about signing out, below the app's address."""


def known_address(path: str) -> KnownAddress | None:
    """Return what a person wants at *path* of an app or of the portal, or ``None`` where it is not one of these."""
    return KNOWN_ADDRESSES.get(path.removesuffix("/"))
