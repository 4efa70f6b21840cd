"""Probes of names, connections and certificates, as a browser uses them."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import httpx

from portal.contract import is_localhost_name
from portal.contract.egress import Egress, load_authorities
from portal.doctor.observations import Answer, CertificateProblem, ConnectionResult, Unreached

PATIENCE: Final = 10.0
"""Longest time for a name, a connection or a handshake, in seconds."""
_MOST: Final = 8
"""Addresses of one name that are tried."""
_PORTS: Final = {"http": 80, "https": 443}
_VERIFY_CODES: Final[dict[int, CertificateProblem]] = {
    7: "unknown-authority",  # one of the same name, with another key
    9: "not-yet-valid",
    10: "expired",
    18: "self-signed",
    19: "unknown-authority",
    20: "unknown-issuer",
    21: "unknown-issuer",
    62: "wrong-name",
    64: "wrong-name",
    **dict.fromkeys(range(80, 94), "incomplete"),  # RFC 5280, with X509_V_FLAG_X509_STRICT only
}
"""OpenSSL's reasons, ``X509_V_ERR_…`` of ``x509_vfy.h``."""

Resolve: TypeAlias = Callable[[str, int], Awaitable[tuple[str, ...]]]
"""Returns the addresses of a host name and port; empty if it does not resolve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAddress:
    """The parts of a public address."""

    scheme: str
    host: str
    """Without brackets."""
    port: int
    authority: str
    """Value of ``Host``."""
    path: str
    """Empty, or without a trailing slash."""


def public_address(url: str) -> PublicAddress:
    """Return the parts of *url*, from a checked configuration."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return PublicAddress(
        scheme=parts.scheme,
        host=host,
        port=parts.port or _PORTS[parts.scheme],
        authority=parts.netloc,
        path=parts.path.rstrip("/"),
    )


def trusting(egress: Egress, authority: Path | None) -> ssl.SSLContext:
    """Return a context that trusts what browsers here do: public authorities, this machine's, and the company's.

    Raises:
        NotABundle: *authority*, or a bundle of *egress*, cannot be read, or contains no certificate.
    """
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    for bundle in (egress.bundle, egress.authorities, authority):
        if bundle is not None:
            load_authorities(context, bundle)
    return context


async def resolve_name(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of *host* as this machine resolves it; names under ``.localhost`` are loopback."""
    if is_localhost_name(host):
        return ("127.0.0.1",)  # browsers do not resolve these (RFC 6761, section 6.3); resolvers may not know them
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))[:_MOST]


async def connection(target: PublicAddress, *, trust: ssl.SSLContext, resolve: Resolve) -> ConnectionResult:
    """Return how far a browser's connection to *target* gets."""
    addresses = await resolve(target.host, target.port)
    silent = tuple([one for one in addresses if not await _listens(one, target.port)])
    listening = [one for one in addresses if one not in silent]
    if not listening or target.scheme != "https":
        return ConnectionResult(host=target.host, addresses=addresses, silent=silent)
    context = trust
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(
                listening[0], target.port, ssl=context, server_hostname=target.host, ssl_handshake_timeout=PATIENCE
            )
    except ssl.SSLCertVerificationError as error:
        invalid = _VERIFY_CODES.get(error.verify_code, "other")
        return ConnectionResult(host=target.host, addresses=addresses, silent=silent, certificate=invalid)
    except (OSError, TimeoutError) as error:
        reason = "the handshake takes too long" if isinstance(error, TimeoutError) else type(error).__name__
        return ConnectionResult(host=target.host, addresses=addresses, silent=silent, tls_error=reason)
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        ends = (tls.getpeercert() or {}).get("notAfter")
        return ConnectionResult(
            host=target.host,
            addresses=addresses,
            silent=silent,
            tls_version=tls.version(),
            protocol=tls.selected_alpn_protocol(),
            ends_at=int(ssl.cert_time_to_seconds(ends)) if isinstance(ends, str) else None,
        )
    finally:
        await close_writer(writer)


async def plain_http(host: str, address: str, *, port: int = 80) -> Answer | Unreached:
    """Return the answer of *host* to a request without TLS."""
    authority = host if port == _PORTS["http"] else f"{host}:{port}"
    bracketed = f"[{address}]" if ":" in address else address
    try:
        async with (
            httpx.AsyncClient(timeout=PATIENCE, trust_env=False, verify=False) as client,  # noqa: S501 - no TLS is spoken here
            client.stream("GET", f"http://{bracketed}:{port}/", headers={"Host": authority}) as answer,
        ):
            headers = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
            return Answer(status=answer.status_code, headers=headers)
    except (httpx.HTTPError, OSError):
        return Unreached("refused")


async def close_writer(writer: asyncio.StreamWriter) -> None:
    """Close *writer*; errors of the other end do not matter."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


async def _listens(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    await close_writer(writer)
    return True
