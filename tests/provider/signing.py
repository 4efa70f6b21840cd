"""ID tokens for tests: valid ones, and every kind of invalid one."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.builders import NOW

ISSUER = "https://id.example.com"
CLIENT = "portal"
NONCE = "nonce-of-the-attempt"
ACCESS_TOKEN = "access-token"

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
JWKS: dict[str, Any] = {"keys": [key.as_dict(private=False) for key in (RSA, EC, ED)]}


def at_hash(access_token: str, name: str = "sha256") -> str:
    digest = hashlib.new(name, access_token.encode()).digest()
    return segment(digest[: len(digest) // 2])


def claims_of(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good ID token; ``None`` removes one."""
    claims = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "ana",
        "iat": NOW,
        "exp": NOW + 300,
        "nonce": NONCE,
        "name": "Ana Analyst",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def signed(claims: Mapping[str, Any] | bytes, *, key: Key = RSA, algorithm: str = "RS256", **header: Any) -> str:
    """Return *claims* signed with *key*, whatever the header says; ``None`` removes a header."""
    members = {"alg": algorithm, "kid": key.kid, **header}
    unsigned = forged({name: value for name, value in members.items() if value is not None}, claims).rstrip(".")
    return f"{unsigned}.{segment(JWSRegistry.algorithms[algorithm].sign(unsigned.encode(), key))}"


def forged(header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, signature: bytes = b"") -> str:
    """Return a token with any header, any payload and any signature at all."""
    parts = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in (header, claims))
    return ".".join([*(segment(part) for part in parts), segment(signature)])


def with_public_key_as_secret(claims: Mapping[str, Any]) -> str:
    """Return *claims* under HS256 with the provider's public key as the secret (CVE-2024-37568)."""
    unsigned = forged({"alg": "HS256", "kid": "rsa"}, claims).rstrip(".")
    return f"{unsigned}.{segment(hmac.digest(RSA.as_pem(private=False), unsigned.encode(), 'sha256'))}"


def segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
