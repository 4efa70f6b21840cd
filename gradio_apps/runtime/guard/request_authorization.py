"""Request authorization: whether a request enters, is challenged or is refused, by its headers.

Pure.  Other apps of the portal are same-site, so ``SameSite`` does not keep them apart; ``Sec-Fetch-*`` and
``Origin`` do.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

_OWN_SITES: Final = frozenset({b"same-origin", b"none"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_DOCUMENTS: Final = frozenset({b"document", b"iframe", b"frame"})


class RequestRefusal(StrEnum):
    """Why a request is refused whoever sends it.  Values are logged; never reuse one."""

    CROSS_ORIGIN = "cross-origin"
    SERVICE_WORKER = "service-worker"
    UNKNOWN_HOST = "unknown-host"

    @property
    def status(self) -> int:
        """Its HTTP status."""
        return 421 if self is RequestRefusal.UNKNOWN_HOST else 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """The parts of a request that authorization reads; header values as bytes, ``None`` where absent."""

    method: str = "GET"
    """In upper case; ``WEBSOCKET`` for a handshake."""
    host: bytes | None = None
    origin: bytes | None = None
    fetch_site: bytes | None = None
    fetch_mode: bytes | None = None
    fetch_dest: bytes | None = None
    accepts_html: bool = False
    service_worker: bool = False
    """Whether the request would install a service worker."""
    sid: str | None = None
    """The app session of a cookie with a valid MAC."""
    if_none_match: bytes | None = None
    """The ETags of answers that the browser has cached."""
    mcp_session: bytes | None = None
    """Its session with an MCP server in the app (``Mcp-Session-Id``)."""

    @property
    def navigation(self) -> Literal["document", "frame"] | None:
        """``document``: the answer is for a tab; ``frame``: for a frame; ``None``: for a script."""
        if self.method not in _SAFE_METHODS:
            return None
        if self.fetch_mode is None:
            return "frame" if self.accepts_html else None
        if self.fetch_mode != b"navigate":
            return None
        return "document" if self.fetch_dest == b"document" else "frame"


@dataclass(frozen=True, slots=True)
class Enter:
    """The request names a session and comes from the app itself or from the user."""

    sid: str

    def __bool__(self) -> Literal[True]:
        return True


@dataclass(frozen=True, slots=True)
class Challenge:
    """The request names no session: the person has to come from the portal."""

    def __bool__(self) -> Literal[False]:
        return False


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request is wrong whoever sends it."""

    reason: RequestRefusal

    def __bool__(self) -> Literal[False]:
        return False


Authorization: TypeAlias = Enter | Challenge | Refuse

_CHALLENGE: Final = Challenge()


def misdirected(presented: Presented, *, hosts: frozenset[bytes]) -> Refuse | None:
    """Return the refusal of a request that is wrong whatever its session, or ``None``."""
    if presented.host is None or presented.host.lower() not in hosts:
        return Refuse(RequestRefusal.UNKNOWN_HOST)
    if presented.service_worker:  # a worker would outlive the session and answer in place of the guard
        return Refuse(RequestRefusal.SERVICE_WORKER)
    return None


def authorize(presented: Presented, *, hosts: frozenset[bytes], origin: bytes) -> Authorization:
    """Decide about *presented*, for an app at *origin* whose ``Host`` is one of *hosts*."""
    wrong = misdirected(presented, hosts=hosts)
    if wrong is not None:
        return wrong
    if presented.sid is None:
        return _CHALLENGE
    if not _is_same_origin(presented, origin=origin):
        return Refuse(RequestRefusal.CROSS_ORIGIN)
    return Enter(presented.sid)


def _is_same_origin(presented: Presented, *, origin: bytes) -> bool:
    if presented.method == "WEBSOCKET":  # browsers always send Origin with a handshake (RFC 6455, 4.1)
        return presented.origin == origin and presented.fetch_site in {None, b"same-origin"}
    # Firefox labels the GET after the ticket's POST cross-site, and links from other sites are allowed:
    # a GET navigation changes nothing by itself, and frame-ancestors keeps strangers' frames out.
    if (
        presented.method == "GET"
        and presented.fetch_mode == b"navigate"
        and presented.fetch_dest in _DOCUMENTS
        and presented.fetch_site is not None
    ):
        return True
    if presented.fetch_site is not None and presented.fetch_site not in _OWN_SITES:
        return False
    if presented.origin is not None and presented.origin != origin:
        return False
    if presented.method in _SAFE_METHODS or presented.fetch_site is not None:
        return True
    return presented.origin == origin
