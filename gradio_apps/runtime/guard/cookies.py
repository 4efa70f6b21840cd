"""The app-session cookie ``sid.mac``, and the part of a ``Cookie`` header that an app may see.

The key of the MAC is derived from the app's client secret, so every replica of the app recognizes a session
that the portal opened, also after a restart.
"""

import hmac
from base64 import urlsafe_b64encode
from typing import Final

from gradio_apps.runtime.guard.settings import GuardSettings

COOKIE_PURPOSE: Final = b"gradio-portal app-session cookie v1"
MAX_SID: Final = 512
_PREFIXES: Final = (b"__host-", b"__secure-")


def hkdf(secret: bytes, *, info: bytes) -> bytes:
    """Return 32 bytes for *info* from *secret*: HKDF-SHA256 without salt (RFC 5869)."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


class CookieSeal:
    """Seals and opens the one cookie of one app."""

    __slots__ = ("_attributes", "_key", "_name", "_prefix", "_probe")

    def __init__(self, settings: GuardSettings) -> None:
        self._key = hkdf(settings.secret.encode("utf-8"), info=COOKIE_PURPOSE)
        self._name = settings.cookie_name
        self._prefix = settings.cookie_name.encode("ascii") + b"="
        self._probe = settings.cookie_name.removesuffix(f"portal-app-{settings.app}") + "portal-probe"
        attributes = ["HttpOnly", f"Path={settings.path}/"]
        if settings.secure_cookies:
            attributes.append("Secure")
        if settings.cookies == "partitioned":
            attributes += ["SameSite=None", "Partitioned"]
        else:
            attributes.append("SameSite=Lax")
        self._attributes = "; ".join(attributes)

    def probe_cookie(self, value: str) -> str:
        """Return a ``Set-Cookie`` value with a session's attributes that the browser drops at once."""
        return f"{self._probe}={value}; {self._attributes}; Max-Age=0"

    def set_cookie(self, sid: str) -> str:
        """Return the ``Set-Cookie`` value that keeps *sid* until the browser is closed."""
        return f"{self._name}={self.seal(sid)}; {self._attributes}"

    def seal(self, sid: str) -> str:
        """Return ``sid.mac``."""
        return f"{sid}.{self._mac(sid.encode('utf-8')).decode('ascii')}"

    def open(self, value: bytes) -> str | None:
        """Return the ``sid`` in *value*, or ``None`` if the MAC is wrong."""
        sid, dot, mac = value.rpartition(b".")
        if not dot or not sid or len(sid) > MAX_SID or not hmac.compare_digest(mac, self._mac(sid)):
            return None
        return sid.decode("utf-8")

    def read(self, header: bytes) -> tuple[str | None, bytes]:
        """Return the session in a ``Cookie`` header, and the header without the portal's cookies.

        Two cookies of this name are both ignored: one was planted, and the header does not show which
        (cookie tossing).
        """
        values: list[bytes] = []
        others: list[bytes] = []
        for part in header.split(b";"):
            pair = part.strip()
            if pair.startswith(self._prefix):
                values.append(pair[len(self._prefix) :])
            elif pair and not is_portal_cookie(pair.partition(b"=")[0]):
                others.append(pair)
        sid = self.open(values[0]) if len(values) == 1 else None
        return sid, b"; ".join(others)

    def _mac(self, sid: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(self._key, sid, "sha256")).rstrip(b"=")


def is_portal_cookie(name: bytes) -> bool:
    """Say whether the cookie *name* is the portal's or a guard's; apps neither see nor set those."""
    bare = name.strip().lower()
    for prefix in _PREFIXES:
        if bare.startswith(prefix):
            bare = bare[len(prefix) :]
            break
    return bare == b"portal" or bare.startswith(b"portal-")
