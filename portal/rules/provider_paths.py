"""The portal's addresses that belong to one provider.  All but the first are registered there."""

import re
from typing import Final

PREFIX: Final = "/auth/oauth/"
"""With the provider's id, the address that leads to it."""
CALLBACK: Final = "/callback"
BACK_CHANNEL_LOGOUT: Final = "/backchannel-logout"
"""Takes logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.5)."""
FRONT_CHANNEL_LOGOUT: Final = "/frontchannel-logout"
"""Is framed in the browser of the person who signs out (OpenID Connect Front-Channel Logout 1.0, section 3)."""
_BACK_CHANNEL: Final = re.compile(f"{PREFIX}[^/]+{BACK_CHANNEL_LOGOUT}")


def provider_path(provider: str, end: str = "") -> str:
    """Return the path for the *provider* with this id, in a URL or, as ``<provider>``, in a route."""
    return f"{PREFIX}{provider}{end}"


def takes_logout_tokens(path: str) -> bool:
    """Return whether a provider's server posts logout tokens to *path*: by its own proof, and without a cookie."""
    return _BACK_CHANNEL.fullmatch(path) is not None
