"""Certificates for tests, and the authority that signs each: good ones, and such as something is wrong with."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LONG: Final = timedelta(days=400)
_PEM: Final = serialization.Encoding.PEM
_KEY_USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate with its key, as files."""

    certificate: Path
    key: Path
    authority: Path
    """Who signed it."""
    pin: str
    """SHA-256 of its public key in base64: what Chromium is configured to accept."""


def issue(
    folder: Path,
    names: Sequence[str],
    *,
    ends: timedelta = _LONG,
    chain: bool = True,
    by_itself: bool = False,
    complete: bool = True,
) -> Certificate:
    """Make an authority, and have it sign a certificate for *names* that *ends* from now.

    With *chain* the authority's stands in the same file; *by_itself* it is nobody's but its own; a *complete* one has
    all that RFC 5280 asks for, without which Python 3.13 believes nobody.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"The authority of {folder.name}")])
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    signing = key if by_itself else authority_key
    now = datetime.now(UTC)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey, end: timedelta) -> x509.CertificateBuilder:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(own if by_itself else authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LONG)
            .not_valid_after(now + end)
            .add_extension(x509.BasicConstraints(ca=subject is authority, path_length=None), critical=True)
        )
        if not complete:
            return made
        use = "key_cert_sign" if subject is authority else "digital_signature"
        return (
            made.add_extension(x509.KeyUsage(**dict.fromkeys(_KEY_USES, False) | {use: True}), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        )

    root = builder(authority, authority_key.public_key(), _LONG).sign(authority_key, hashes.SHA256())
    leaf = (
        builder(own, key.public_key(), ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    made = Certificate(
        certificate=folder / "certificate.pem",
        key=folder / "key.pem",
        authority=folder / "authority.pem",
        pin=base64.b64encode(hashlib.sha256(public).digest()).decode("ascii"),
    )
    made.authority.write_bytes(root.public_bytes(_PEM))
    made.certificate.write_bytes(leaf.public_bytes(_PEM) + (root.public_bytes(_PEM) if chain else b""))
    made.key.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return made
