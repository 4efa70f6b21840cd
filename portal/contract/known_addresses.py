"""Addresses that unmodified apps link to and that the portal serves: Gradio's own, and the Descope tutorial's.

The portal answers them at its root, a guard where its app has no such page.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

KnownAddress: TypeAlias = Literal["sign-in", "sign-out", "dashboard", "admin-dashboard", "user-dashboard"]
"""The page behind an address; the guard's page sends it to the portal's page around it."""

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
"""The portal's path of each."""


def known_address(path: str) -> KnownAddress | None:
    """Return the page behind *path* of an app or of the portal, or ``None`` if it is not one of these."""
    return KNOWN_ADDRESSES.get(path.removesuffix("/"))
