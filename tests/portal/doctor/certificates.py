"""Certificates that something may be wrong with."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.journeys.front import Certificate

_PEM = serialization.Encoding.PEM
_LONG = timedelta(days=400)


def a_certificate(
    folder: Path, names: Sequence[str], *, ends: timedelta = _LONG, chain: bool = True, by_itself: bool = False
) -> Certificate:
    """Make a certificate for *names* that *ends* from now; with *chain* its authority's stands in the same file."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"The authority of {folder.name}")])
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey, end: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(own if by_itself else authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LONG)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=subject is authority, path_length=None), critical=True)
        )

    root = builder(authority, authority_key.public_key(), now + _LONG).sign(authority_key, hashes.SHA256())
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    leaf = (
        builder(own, key.public_key(), now + ends)
        .add_extension(alternatives, critical=False)
        .sign(key if by_itself else authority_key, hashes.SHA256())
    )
    made = Certificate(
        certificate=folder / "certificate.pem", key=folder / "key.pem", authority=folder / "authority.pem", pin=""
    )
    made.authority.write_bytes(root.public_bytes(_PEM))
    made.certificate.write_bytes(leaf.public_bytes(_PEM) + (root.public_bytes(_PEM) if chain else b""))
    made.key.write_bytes(
        key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return made
