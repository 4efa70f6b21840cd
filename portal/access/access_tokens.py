"""Access tokens for the portal's API: an app acts for one person in one app session, for a minute.

A token has the scopes that were requested, not what is allowed: every use checks the app session, the sign-in
and the roles again, so a token outlives none of them.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from portal.storage.sealing import Sealer

LIFETIME: Final = 60
"""In seconds."""
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGrant:
    """The content of a valid token."""

    app: str
    """The app that acts, by its slug."""
    session: str
    """``sid`` of the app session of the person it acts for."""
    scopes: frozenset[str]
    """Scopes of the token."""


class AccessTokens:
    """Issues and reads access tokens; stores none."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def issue(self, *, app: str, session: str, scopes: Collection[str], now: int) -> str:
        """Return a token for *app* in *session*, valid for :data:`LIFETIME` seconds from *now*."""
        content = {"app": app, "sid": session, "scopes": sorted(scopes), "exp": now + LIFETIME}
        return self._sealer.seal(json.dumps(content, separators=(",", ":")).encode("ascii"))

    def read(self, token: str, *, now: int) -> AccessGrant | None:
        """Return the content of *token*, or ``None`` if it is not the portal's or has expired."""
        if not token.isascii() or len(token) > _LONGEST:
            return None
        value = self._sealer.open(token)
        if value is None:
            return None
        content = json.loads(value)  # sealed by issue(), so its shape is known
        if now >= content["exp"]:
            return None
        return AccessGrant(app=content["app"], session=content["sid"], scopes=frozenset(content["scopes"]))
