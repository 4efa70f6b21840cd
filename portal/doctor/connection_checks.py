"""Checks of names, certificates and protocols, before any request.  Pure."""

from collections.abc import Iterator
from typing import Final

from portal.contract.truncation import quoted
from portal.doctor.findings import Check, Finding, ok, problem, warning
from portal.doctor.observations import Answer, CertificateProblem, ConnectionResult, Unreached

SOON: Final = 14 * 86400
"""A certificate that expires within this many seconds is a warning."""
_DAY: Final = 86400
_OLD_TLS: Final = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})

_CERTIFICATES: Final[dict[CertificateProblem, tuple[str, str]]] = {
    "expired": (
        "The certificate has expired.",
        "Renew it, reload the web server (nginx -s reload), and find out why it was not renewed automatically.",
    ),
    "not-yet-valid": (
        "The certificate is not valid yet.",
        "Check the clock of this machine, or wait until the certificate is valid.",
    ),
    "wrong-name": (
        "The certificate is for another name.",
        (
            "Get one that names this host (for apps_url = https://{app}.apps…: *.apps…), and configure it in the web "
            "server for this name; nginx picks the server block by server_name."
        ),
    ),
    "self-signed": (
        "The certificate is self-signed; browsers show a warning.",
        "Get one from your company's authority or a public one (Caddy does this by itself).",
    ),
    "unknown-authority": (
        "The certificate is from an authority that this machine does not know.",
        (
            "If it is your company's and browsers know it: portal doctor --ca FILE. "
            "Portal and apps need it too, to call each other: portal.ca_file, PORTAL_CA_FILE."
        ),
    ),
    "unknown-issuer": (
        "The certificate's issuer is unknown: the chain is not complete, or this machine does not know the authority.",
        (
            "Give the web server the certificate and the intermediate ones in one file "
            "(nginx: ssl_certificate fullchain.pem). If the authority is your company's: portal.ca_file, or --ca FILE."
        ),
    ),
    "incomplete": (
        "The certificate, or its authority's, lacks what RFC 5280 requires, and Python 3.13 and later refuse it.",
        (
            "Have the authority issue it again, with key identifiers and key usage. Browsers accept this one; portal "
            "and apps need a complete one to call each other, except with Python 3.12 or earlier."
        ),
    ),
    "other": ("The certificate is refused.", "Inspect it: openssl s_client -connect HOST:443 -servername HOST"),
}


def check_connection(subject: str, connection: ConnectionResult, *, now: int) -> Iterator[Finding]:
    """Yield findings about *connection*; the first problem is the last finding, because nothing works after it."""
    if not connection.addresses:
        yield problem(
            subject,
            Check.NAME,
            f"{connection.host} does not resolve here.",
            "Add it to DNS; for apps_url = https://{app}.apps… one wildcard, *.apps…, is enough for all apps.",
        )
        return
    known = ", ".join(connection.addresses)
    if len(connection.silent) == len(connection.addresses):
        yield problem(
            subject,
            Check.NAME,
            f"No server accepts connections at {known}.",
            "Start the web server, and open its port in the firewall.",
        )
        return
    if connection.silent:
        yield warning(
            subject,
            Check.NAME,
            f"{connection.host} is also {', '.join(connection.silent)}, where no server accepts connections.",
            "Have the web server listen there too (nginx: listen [::]:443), or remove the address from DNS.",
        )
    else:
        yield ok(subject, Check.NAME, f"{connection.host} is {known}.")
    if connection.certificate is not None:
        yield problem(subject, Check.CERTIFICATE, *_CERTIFICATES[connection.certificate])
    elif connection.tls_error is not None:
        yield problem(
            subject,
            Check.CERTIFICATE,
            f"There is no TLS: {connection.tls_error}.",
            "Terminate TLS on this port. nginx: listen 443 ssl; portal config nginx writes it.",
        )
    elif connection.tls_version is not None:
        yield _lifetime(subject, connection, now=now)
        yield _http2(subject, connection)


def check_plain_http(subject: str, answer: Answer | Unreached) -> Finding:
    """Return whether plain http leads to https."""
    if isinstance(answer, Unreached):
        return ok(subject, Check.PLAIN_HTTP, "No server answers plain http.")
    [target] = answer.values("location")[:1] or [""]
    if answer.status in {301, 302, 303, 307, 308} and target.startswith("https://"):
        return ok(subject, Check.PLAIN_HTTP, "Plain http leads to https.")
    return warning(
        subject,
        Check.PLAIN_HTTP,
        f"Plain http answers with status {answer.status} and does not lead to https.",
        "nginx: a server block on port 80 with return 308 https://$host$request_uri; Caddy does this by default.",
    )


def _lifetime(subject: str, connection: ConnectionResult, *, now: int) -> Finding:
    old = connection.tls_version in _OLD_TLS
    if old:
        return warning(
            subject,
            Check.CERTIFICATE,
            f"The TLS version is outdated: {quoted(connection.tls_version)}.",
            "nginx: ssl_protocols TLSv1.2 TLSv1.3;",
        )
    if connection.ends_at is None:
        return ok(subject, Check.CERTIFICATE, f"It is valid ({connection.tls_version}).")
    days = (connection.ends_at - now) // _DAY
    if connection.ends_at - now < SOON:
        return warning(
            subject,
            Check.CERTIFICATE,
            f"The certificate expires in {days} days." if days else "The certificate expires within a day.",
            "Renew it, and make sure that it is renewed automatically.",
        )
    return ok(subject, Check.CERTIFICATE, f"It is valid for {days} days ({connection.tls_version}).")


def _http2(subject: str, connection: ConnectionResult) -> Finding:
    if connection.protocol == "h2":
        return ok(subject, Check.HTTP2, "Offered.")
    return warning(
        subject,
        Check.HTTP2,
        "Not offered. Without it, browsers open only six connections to a host and each Gradio tab holds some: "
        "the third or fourth tab hangs.",
        "nginx: listen 443 ssl http2; (from 1.25.1 on: http2 on;). Caddy offers it by default. "
        "A load balancer before it must offer it too.",
    )
