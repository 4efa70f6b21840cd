"""Issues and reads the probe tokens that ``portal doctor`` sends to apps and to the portal."""

import secrets
from typing import Final

from portal.access.signing_keys import SigningKeys
from portal.contract import ProbeToken, sign_probe_token, verify_probe_token
from portal.contract.probe_tokens import MAX_LIFETIME

_UNGUESSABLE: Final = 16


class ProbeTokens:
    """Issues probe tokens under the portal's keys, and reads those for the portal itself."""

    def __init__(self, keys: SigningKeys, *, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer

    def make(self, *, audience: str | None, now: int) -> str:
        """Return a token for the app *audience*, or with ``None`` for the portal.

        Raises:
            StoreUnavailable: there is no key to sign with.
        """
        token = ProbeToken(
            id=secrets.token_urlsafe(_UNGUESSABLE),
            issuer=self._issuer,
            audience=self._issuer if audience is None else audience,
            issued_at=now,
            expires_at=now + MAX_LIFETIME,
        )
        return sign_probe_token(token, key=self._keys.signing_key(now))

    def read(self, token: object, *, now: int) -> ProbeToken:
        """Return the probe token, if it is for the portal.

        Raises:
            Rejected: it is not valid.
            StoreUnavailable: the keys cannot be read.
        """
        keys = self._keys.key_set(now)
        return verify_probe_token(token, keys=keys, issuer=self._issuer, audience=self._issuer, now=now)
