"""A provider's keys: RFC 7517, reduced to keys that may verify a signature.

Pure.  Of published keys symmetric ones never pass (a public key must not become an HMAC secret), nor do private ones
(a published one is compromised).  If a client is registered for HMAC, its secret is the only key.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from portal.errors import ProviderUnavailable
from portal.settings import SHARED_SECRET_ALGORITHMS, algorithm_named

MAX_KEYS: Final = 512
"""Most keys that a JWK set may list."""
_LEAST_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""
_MOST_RSA_BITS: Final = 8192
"""Longer keys cost too much time to verify with; no provider uses them."""
_PRIVATE: Final = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})

FAMILY_OF: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Key type and curve of each signature algorithm of published keys; all asymmetric."""
SHARED: Final = frozenset(SHARED_SECRET_ALGORITHMS)
"""Algorithms of clients that are registered for signing with their secret (OpenID Connect Core, section 10.1)."""


class VerificationKey:
    """One key, and what it may be used for."""

    __slots__ = ("algorithms", "issuer", "key", "kid")

    def __init__(self, *, kid: str | None, algorithms: frozenset[str], key: Key, issuer: object = None) -> None:
        self.kid = kid
        self.issuer = issuer
        """The member ``issuer`` beside it, from some providers with many tenants."""
        self.algorithms = algorithms
        self.key = key


def read_keys(document: Mapping[str, object]) -> tuple[VerificationKey, ...]:
    """Return the usable keys of the JWK set *document*; unusable ones are skipped (section 5).

    Raises:
        ProviderUnavailable: it is not a JWK set, is too long, or holds no usable key.
    """
    members = document.get("keys")
    if type(members) is not list or len(members) > MAX_KEYS:
        raise ProviderUnavailable("the JWK set has no list of keys, or too many")
    keys = tuple(key for key in map(_read_key, members) if key is not None)
    if not keys:
        raise ProviderUnavailable("the JWK set holds no key that can verify an ID token")
    return keys


def shared_key(secret: str) -> VerificationKey:
    """Return the client secret as a key: its UTF-8 octets (OpenID Connect Core, section 10.1)."""
    return VerificationKey(kid=None, algorithms=SHARED, key=OctKey.import_key(secret))


def _read_key(member: object) -> VerificationKey | None:
    if type(member) is not dict or not _PRIVATE.isdisjoint(member):
        return None
    family = (member.get("kty"), member.get("crv") if member.get("kty") != "RSA" else None)
    written = member.get("alg")
    meant = algorithm_named(written) if isinstance(written, str) else written
    algorithms = frozenset(name for name, expected in FAMILY_OF.items() if expected == family and meant in (None, name))
    operations = member.get("key_ops")
    may_verify = operations is None or (type(operations) is list and "verify" in operations)
    kid = member.get("kid")
    if not algorithms or not may_verify or member.get("use") not in {None, "sig"} or not isinstance(kid, str | None):
        return None
    key = _imported(member)
    if key is None:
        return None
    return VerificationKey(kid=kid, algorithms=algorithms, key=key, issuer=member.get("issuer"))


def _imported(member: dict[str, object]) -> Key | None:
    # Only the members of the key itself.
    written = {name: value for name, value in member.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    # Some providers write Base64 with padding, or its other alphabet (RFC 4648, section 4).
    numbers: dict[str, str | list[str]] = {
        name: value if name in {"kty", "crv"} else value.rstrip("=").replace("+", "-").replace("/", "_")
        for name, value in written.items()
        if isinstance(value, str)
    }
    if numbers.keys() != written.keys():
        return None
    try:
        match numbers["kty"]:
            case "RSA":
                if not _LEAST_RSA_BITS <= _bits(numbers["n"]) <= _MOST_RSA_BITS:
                    return None
                return RSAKey.import_key(numbers)
            case "EC":
                return ECKey.import_key(numbers)
            case _:
                return OKPKey.import_key(numbers)
    except (JoseError, ValueError, TypeError, KeyError):  # not a key
        return None


def _bits(number: object) -> int:
    text = str(number)
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4))).bit_length()
