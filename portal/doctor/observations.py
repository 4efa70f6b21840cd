"""Results of probes, as values; none of it is trusted or assessed here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

CertificateProblem: TypeAlias = Literal[
    "expired",
    "not-yet-valid",
    "wrong-name",
    "self-signed",
    "unknown-authority",
    "unknown-issuer",
    "incomplete",
    "other",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionResult:
    """How far a browser gets before its first request."""

    host: str
    addresses: tuple[str, ...] = ()
    """Addresses of the name; empty if it does not resolve here."""
    silent: tuple[str, ...] = ()
    """Those of them that accept no connection."""
    certificate: CertificateProblem | None = None
    """Why TLS failed, if the certificate is the reason."""
    tls_error: str | None = None
    """Why TLS failed otherwise."""
    tls_version: str | None = None
    protocol: str | None = None
    """The protocol chosen by ALPN (RFC 7301)."""
    ends_at: int | None = None
    """When the certificate expires, in Unix seconds."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return len(self.silent) < len(self.addresses) and self.certificate is None and self.tls_error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer, from any server."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    """In their order, names in lower case."""
    body: Mapping[str, object] = field(default_factory=dict)
    """The JSON object in it; empty if there is none."""
    at: int = 0
    """When the request was sent, in Unix seconds of this machine."""

    def values(self, name: str) -> list[str]:
        """Return every value of the header *name*."""
        return [value for header, value in self.headers if header == name]


@dataclass(frozen=True, slots=True)
class Unreached:
    """There was no complete answer."""

    how: Literal["refused", "timeout", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """An event stream as it arrived."""

    status: int
    asked_for: int
    pause: float
    """Seconds between two events when they were sent."""
    arrivals: tuple[float, ...] = ()
    """Seconds from the request to each event."""
    encoding: str | None = None
    """``Content-Encoding``."""
    seconds: float = 0.0
    """Seconds until it ended or was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """An upload or a download."""

    size: int
    arrived: int
    status: int | None
    """``None``: the connection broke."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """Result of a WebSocket's handshake (RFC 6455, section 4)."""

    status: int | None
    message: bool = False
    """Whether the one message arrived."""
    upgrade_arrived: bool | None = None
    """If there was no WebSocket: whether the guard received ``Upgrade``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """A request as portal or guard report that it arrived."""

    now: int
    peer: str | None
    client: str | None
    forwarded_for: tuple[str, ...]
    path: str
    headers: Mapping[str, Sequence[str]]
    cookies: frozenset[str]
    answered: tuple[tuple[str, str], ...]
    """Headers of the answer as they were sent."""


def read_echo(body: Mapping[str, object]) -> Echo | None:
    """Return the echo in *body*, or ``None`` if it is not one: an app's process can answer anything."""
    now, path, headers = body.get("now"), body.get("path"), body.get("headers")
    forwarded, cookies, answered = body.get("forwarded_for"), body.get("cookies"), body.get("answered")
    if type(now) is not int or type(path) is not str or type(headers) is not dict or type(answered) is not list:
        return None
    if not (_are_texts(forwarded) and _are_texts(cookies) and all(map(_are_texts, headers.values()))):
        return None
    if not all(_are_texts(pair) and len(pair) == len(("name", "value")) for pair in answered):
        return None
    peer, client = body.get("peer"), body.get("client")
    return Echo(
        now=now,
        peer=peer if isinstance(peer, str) else None,
        client=client if isinstance(client, str) else None,
        forwarded_for=tuple(_texts(forwarded)),
        path=path,
        headers={str(name): _texts(values) for name, values in headers.items()},
        cookies=frozenset(_texts(cookies)),
        answered=tuple((name, value) for name, value in map(_texts, answered)),
    )


def _are_texts(value: object) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
