"""Judging names, certificates and protocols: what happens before a request.  Pure."""

from collections.abc import Iterator
from typing import Final

from portal.doctor.findings import Check, Finding, ok, problem, warning
from portal.doctor.observations import Answer, CertificateProblem, Connection, Unreached, quoted

SOON: Final = 14 * 86400
"""A certificate that ends within this many seconds is worth a word."""
_DAY: Final = 86400
_OLD_TLS: Final = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})

_CERTIFICATES: Final[dict[CertificateProblem, tuple[str, str]]] = {
    "expired": (
        "The certificate has ended.",
        "Renew it, have the web server load it (nginx -s reload), and find out why that was not done by itself.",
    ),
    "not-yet-valid": (
        "The certificate is not valid yet.",
        "Set the clock of this machine, or wait for its first day.",
    ),
    "wrong-name": (
        "The certificate is for another name.",
        (
            "Get one that names this host (for apps_url = https://{app}.apps…: *.apps…), and give it to the web server "
            "for this name; nginx picks the server block by server_name."
        ),
    ),
    "self-signed": (
        "The certificate is signed by itself; browsers warn everybody.",
        "Get one of your company's authority, or of a public one (Caddy does that by itself).",
    ),
    "unknown-authority": (
        "The certificate is of an authority that this machine does not know.",
        (
            "If it is your company's and browsers know it: portal doctor --ca FILE. "
            "Portal and apps that call each other there need it too: portal.ca_file, PORTAL_CA_FILE."
        ),
    ),
    "unknown-issuer": (
        "The certificate's issuer is not known: the chain is not complete, or the authority is not known here.",
        (
            "Give the web server the certificate together with those between it and the authority, in one file "
            "(nginx: ssl_certificate fullchain.pem). If the authority is your company's: portal.ca_file, or --ca FILE."
        ),
    ),
    "incomplete": (
        "The certificate, or its authority's, lacks what RFC 5280 asks for, and Python 3.13 and later refuse it.",
        (
            "Have the authority issue it anew, with key identifiers and key usage. Browsers pass over that, but portal "
            "and apps that call each other there do not; with Python 3.12 they do."
        ),
    ),
    "other": ("The certificate is refused.", "Look at it: openssl s_client -connect HOST:443 -servername HOST"),
}


def judge_connection(subject: str, seen: Connection, *, now: int) -> Iterator[Finding]:
    """Yield what *seen* means; the first problem is the last, since nothing after it can be."""
    if not seen.addresses:
        yield problem(
            subject,
            Check.NAME,
            f"{seen.host} does not resolve here.",
            "Add it to DNS; for apps_url = https://{app}.apps… one wildcard, *.apps…, does for all apps.",
        )
        return
    known = ", ".join(seen.addresses)
    if len(seen.silent) == len(seen.addresses):
        yield problem(
            subject,
            Check.NAME,
            f"Nobody takes connections at {known}.",
            "Start the web server, and let the firewall pass its port.",
        )
        return
    if seen.silent:
        yield warning(
            subject,
            Check.NAME,
            f"{seen.host} also means {', '.join(seen.silent)}, where nobody takes connections.",
            "Have the web server listen there too (nginx: listen [::]:443), or take the address out of DNS.",
        )
    else:
        yield ok(subject, Check.NAME, f"{seen.host} is {known}.")
    if seen.certificate is not None:
        yield problem(subject, Check.CERTIFICATE, *_CERTIFICATES[seen.certificate])
    elif seen.tls_error is not None:
        yield problem(
            subject,
            Check.CERTIFICATE,
            f"No TLS there: {seen.tls_error}.",
            "Does the web server end TLS on this port? nginx: listen 443 ssl; portal config nginx writes it.",
        )
    elif seen.tls_version is not None:
        yield _lifetime(subject, seen, now=now)
        yield _http2(subject, seen)


def judge_plain_http(subject: str, answer: Answer | Unreached) -> Finding:
    """Return what becomes of somebody who types the name without https."""
    if isinstance(answer, Unreached):
        return ok(subject, Check.PLAIN_HTTP, "Nothing answers plain http.")
    [target] = answer.values("location")[:1] or [""]
    if answer.status in {301, 302, 303, 307, 308} and target.startswith("https://"):
        return ok(subject, Check.PLAIN_HTTP, "Plain http leads to https.")
    return warning(
        subject,
        Check.PLAIN_HTTP,
        f"Plain http answers with status {answer.status}, and does not lead to https.",
        "nginx: a server block on port 80 with return 308 https://$host$request_uri; Caddy does it by itself.",
    )


def _lifetime(subject: str, seen: Connection, *, now: int) -> Finding:
    old = seen.tls_version in _OLD_TLS
    if old:
        return warning(
            subject,
            Check.CERTIFICATE,
            f"TLS is an old version, {quoted(seen.tls_version)}.",
            "nginx: ssl_protocols TLSv1.2 TLSv1.3;",
        )
    if seen.ends_at is None:
        return ok(subject, Check.CERTIFICATE, f"It is good, by {seen.tls_version}.")
    days = (seen.ends_at - now) // _DAY
    if seen.ends_at - now < SOON:
        return warning(
            subject,
            Check.CERTIFICATE,
            f"The certificate ends in {days} days." if days else "The certificate ends within a day.",
            "Renew it, and see to it that this happens by itself.",
        )
    return ok(subject, Check.CERTIFICATE, f"It is good for {days} days, by {seen.tls_version}.")


def _http2(subject: str, seen: Connection) -> Finding:
    if seen.protocol == "h2":
        return ok(subject, Check.HTTP2, "Offered.")
    return warning(
        subject,
        Check.HTTP2,
        "Not offered. Browsers open six connections to a host without it, and each Gradio tab holds some: "
        "the third or fourth tab hangs.",
        "nginx: listen 443 ssl http2; (from 1.25.1 on: http2 on;). Caddy offers it by itself. "
        "A load balancer in front must offer it too.",
    )
