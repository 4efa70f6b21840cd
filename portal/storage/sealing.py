"""Keys with one purpose each, derived from the portal's secret keys, and sealing under them.

A value that is sealed for one purpose opens for no other.  The first secret key seals and all of them
open, so that a key can be replaced without losing values in the database.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.settings import Secret


def derive_key(secret: Secret, purpose: str) -> bytes:
    """Return the 32-byte key that is derived from *secret* for *purpose* (HKDF-SHA256, RFC 5869)."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"gradio-portal {purpose} v1".encode())
    return derivation.derive(secret.reveal().encode())


class Sealer:
    """Encrypts and authenticates short values for one purpose."""

    def __init__(self, secret_keys: Sequence[Secret], *, purpose: str) -> None:
        if not secret_keys:
            raise ValueError("sealing needs at least one secret key")
        keys = [Fernet(urlsafe_b64encode(derive_key(secret, purpose))) for secret in secret_keys]
        self._first = keys[0]
        self._fernet = MultiFernet(keys)

    def seal(self, value: bytes) -> str:
        """Return *value* sealed under the first secret key, as ASCII text."""
        return self._fernet.encrypt(value).decode("ascii")

    def open(self, sealed: str) -> bytes | None:
        """Return the value, or ``None`` if it was changed, or sealed under another key or for another purpose."""
        try:
            return self._fernet.decrypt(sealed.encode("utf-8", "replace"))
        except InvalidToken:
            return None

    def is_under_first(self, sealed: str) -> bool:
        """Return whether *sealed* is sealed under the first secret key."""
        try:
            self._first.decrypt(sealed.encode("utf-8", "replace"))
        except InvalidToken:
            return False
        return True
