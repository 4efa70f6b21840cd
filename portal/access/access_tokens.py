"""Access tokens for the portal's API: an app, acting for one person in one app session, for a minute.

A token says what was asked for, not what is allowed: every use looks again at the app session,
the sign-in and the roles, so a token outlives none of them.
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
    """What a genuine, fresh token stands for."""

    app: str
    """The app that acts, by its slug."""
    session: str
    """``sid`` of the app session whose person it acts for."""
    scopes: frozenset[str]
    """Rights granted when it was issued."""


class AccessTokens:
    """Issues and reads access tokens; keeps none."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def issue(self, *, app: str, session: str, scopes: Collection[str], now: int) -> str:
        """Return a token for *app* in *session*, good for :data:`LIFETIME` seconds from *now*."""
        content = {"app": app, "sid": session, "scopes": sorted(scopes), "exp": now + LIFETIME}
        return self._sealer.seal(json.dumps(content, separators=(",", ":")).encode("ascii"))

    def read(self, token: str, *, now: int) -> AccessGrant | None:
        """Return what *token* stands for, or ``None`` if it is not ours or too old."""
        if not token.isascii() or len(token) > _LONGEST:
            return None
        opened = self._sealer.open(token)
        if opened is None:
            return None
        content = json.loads(opened)  # sealed under our key for this purpose alone: the shape is ours
        if now >= content["exp"]:
            return None
        return AccessGrant(app=content["app"], session=content["sid"], scopes=frozenset(content["scopes"]))
