"""Real failures of real calls, and what an operator reads about them."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.contract.call_errors import describe_call_error


def failure_of(url: str) -> Exception:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.RequestException) as caught:
            session.get(url, timeout=60)
    return caught.value


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """An https address with an untrusted certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "both.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # the other side hangs up
                context.wrap_socket(connection, server_side=True).recv(1)

        thread = threading.Thread(target=shake_hands, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(timeout=60)


def test_a_name_nobody_knows() -> None:
    # RFC 6761, section 6.4: never resolved.
    assert describe_call_error(failure_of("https://id.invalid/")) == "its host name is unknown"


def test_an_address_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert describe_call_error(failure_of(f"http://127.0.0.1:{port}/")) == "the connection was refused"


def test_an_untrusted_certificate(self_signed: str) -> None:
    assert describe_call_error(failure_of(self_signed)).startswith("its certificate is not trusted: self")
