"""Keys with one purpose each, derived from the portal's secret, and sealing under them.

What is sealed under one purpose opens under no other.  Of several secrets the first seals and all
open, so that a secret can be replaced without losing what lies in the database.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.settings import Secret


def derive_key(secret: Secret, purpose: str) -> bytes:
    """Return the 32 bytes that *secret* gives for *purpose* (HKDF-SHA256, RFC 5869)."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"gradio-portal {purpose} v1".encode())
    return derivation.derive(secret.reveal().encode())


class Sealer:
    """Encrypts and authenticates short values for one purpose."""

    def __init__(self, secret_keys: Sequence[Secret], *, purpose: str) -> None:
        if not secret_keys:
            raise ValueError("sealing needs at least one secret")
        keys = [Fernet(urlsafe_b64encode(derive_key(secret, purpose))) for secret in secret_keys]
        self._first = keys[0]
        self._fernet = MultiFernet(keys)

    def seal(self, value: bytes) -> str:
        """Return *value* sealed under the first secret, as ASCII text."""
        return self._fernet.encrypt(value).decode("ascii")

    def open(self, sealed: str) -> bytes | None:
        """Return what was sealed, or ``None`` if it was sealed elsewhere, for another purpose, or changed."""
        try:
            return self._fernet.decrypt(sealed.encode("utf-8", "replace"))
        except InvalidToken:
            return None

    def is_under_first(self, sealed: str) -> bool:
        """Return whether *sealed* opens with the first secret alone."""
        try:
            self._first.decrypt(sealed.encode("utf-8", "replace"))
        except InvalidToken:
            return False
        return True
