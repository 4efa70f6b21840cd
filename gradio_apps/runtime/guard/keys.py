"""The portal's public keys, cached and fetched only as often as needed."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from joserfc.jwk import KeySet

from gradio_apps.runtime.guard.portal_client import PortalAway, PortalClient
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import Rejected, Rejection

REFETCH_AFTER: Final = 600
"""Age from which keys are fetched again before use, in seconds; a removed key is accepted until then."""
UNKNOWN_KID_PAUSE: Final = 30
"""Shortest time between two fetches for an unknown ``kid``, in seconds."""
RETRY_PAUSE: Final = 5
"""Shortest time between two fetches while the portal is away, in seconds."""

Verified = TypeVar("Verified")
VerifiedToken_co = TypeVar("VerifiedToken_co", covariant=True)


class TokenVerifier(Protocol[VerifiedToken_co]):
    """One of the contract's functions that verify a token for this app."""

    def __call__(self, token: str, /, *, keys: KeySet, issuer: str, audience: str, now: int) -> VerifiedToken_co:
        """Return the content of *token*, or raise :class:`Rejected`."""


class PortalKeys:
    """Verifies tokens with the portal's keys; malformed or foreign ones cause no call to the portal."""

    def __init__(self, settings: GuardSettings, *, client: PortalClient, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at = float("-inf")
        self._unknown_kid_at = float("-inf")
        self._lock = asyncio.Lock()

    async def verify_token(self, verifier: TokenVerifier[VerifiedToken_co], token: str) -> VerifiedToken_co:
        """Return the content of *token*, verified for this app.

        Raises:
            Rejected: the token is refused.
            PortalAway: there are no keys yet to verify it.
        """
        issuer, audience = self._settings.portal_url, self._settings.app
        return await self.verify(
            lambda keys: verifier(token, keys=keys, issuer=issuer, audience=audience, now=int(self._clock()))
        )

    async def verify(self, check: Callable[[KeySet], Verified]) -> Verified:
        """Return the result of *check* with the current keys.

        Raises:
            Rejected: the token is refused.
            PortalAway: there are no keys yet to verify it.
        """
        keys = await self._current()
        try:
            return check(keys)
        except Rejected as error:
            if error.reason is not Rejection.UNKNOWN_KEY or not await self._refetch_for_unknown(keys):
                raise
        return check(self._keys or keys)

    async def _current(self) -> KeySet:
        # While another request fetches, which may take as long as the portal hangs, use the keys at hand.
        if not self._are_fresh() and (self._keys is None or not self._lock.locked()):
            async with self._lock:
                if not self._are_fresh():
                    await self._fetch()
        if self._keys is None:
            raise PortalAway("keys: none yet")
        return self._keys

    def _are_fresh(self) -> bool:
        return self._keys is not None and 0 <= self._clock() - self._fetched_at < REFETCH_AFTER

    async def _refetch_for_unknown(self, known: KeySet) -> bool:
        async with self._lock:
            if self._keys is not known:  # another request fetched meanwhile
                return True
            now = self._clock()
            if 0 <= now - self._unknown_kid_at < UNKNOWN_KID_PAUSE:
                return False
            self._unknown_kid_at = now
            await self._fetch()
        return self._keys is not known

    async def _fetch(self) -> None:
        """Fetch the keys, or keep the old ones: every ticket is still redeemed at the portal."""
        now = self._clock()
        if 0 <= now - self._tried_at < RETRY_PAUSE:
            return
        self._tried_at = now
        try:
            self._keys = await self._client.keys()
        except PortalAway:
            return
        self._fetched_at = now
        self._tried_at = float("-inf")
