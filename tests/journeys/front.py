"""A real nginx with TLS in front of a house, as ``portal config nginx`` has it; and an authority of the tests."""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_START: Final = 30
_AROUND: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {configuration};
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate with its key, as files."""

    certificate: Path
    key: Path
    authority: Path
    """Who signed it."""
    pin: str
    """SHA-256 of its public key in base64: what Chromium is told to accept."""


def issue(folder: Path, names: Sequence[str]) -> Certificate:
    """Make an authority, and have it sign a certificate for *names* that is good for a day."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The authority of the tests")])
    now = datetime.now(UTC)

    def builder(
        subject: x509.Name, public: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )

    root = builder(authority, authority_key.public_key(), is_authority=True).sign(authority_key, hashes.SHA256())
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key.public_key(), is_authority=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    made = Certificate(
        certificate=folder / "certificate.pem",
        key=folder / "key.pem",
        authority=folder / "authority.pem",
        pin=base64.b64encode(
            hashlib.sha256(
                key.public_key().public_bytes(
                    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            ).digest()
        ).decode("ascii"),
    )
    made.authority.write_bytes(root.public_bytes(pem))
    made.certificate.write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
    made.key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return made


def nginx() -> str:
    """Return the path of nginx; skip the test where there is none."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found
    explanation = "install nginx (Debian: apt-get install nginx-light) to try the portal behind a web server"
    if os.environ.get("CI") == "true":
        pytest.fail(explanation)
    pytest.skip(explanation)


def whole_configuration(folder: Path, configuration: Path) -> Path:
    """Write what stands around *configuration* on a server of its own, and return where."""
    whole = folder / "nginx.conf"
    whole.write_text(_AROUND.format(folder=folder, configuration=configuration))
    return whole


@contextmanager
def running_front(
    folder: Path, environ: Mapping[str, str], certificate: Certificate, *, ports: tuple[int, int]
) -> Iterator[None]:
    """Run nginx on the second of *ports*, in front of a portal on the first, until the block ends."""
    port, front_port = ports
    command = [sys.executable, "-m", "portal.cli", "config", "nginx", "--port", str(port)]
    command += ["--certificate", str(certificate.certificate), "--key", str(certificate.key)]
    command += ["--output", str(folder / "portal.conf")]
    subprocess.run(command, env=dict(environ), cwd=folder, check=True, timeout=_START * 2)
    whole = whole_configuration(folder, folder / "portal.conf")
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen([nginx(), "-p", str(folder), "-c", str(whole)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START
        while True:
            assert process.poll() is None, (folder / "nginx.log").read_text()
            assert time.monotonic() < deadline, "nginx does not answer"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", front_port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=15)
