"""The open connections of one process: which may stay, and which is closed when there are too many.

A connection *serves* while a request of a session runs on it; all others *wait*: they have sent nothing, part of a
head, or a request without a session.  Serving connections are counted, per person and in total, and stay.
A waiting one costs a stranger nothing, so its time is short, and the one that has waited longest is closed for a new
one when descriptors run out.  So there is always room for the portal's notifications and for people who arrive.

The system gives a new descriptor the lowest free number, so the number of a new connection shows how many are in use,
by connections or anything else in the app.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from portal.contract import TrustedProxies, read_address
from portal.contract.forwarded import Address, rate_limit_key

log = logging.getLogger("gradio_portal.guard")

CONNECTION: Final = "gradio_portal.connection"
"""Scope key of the :class:`Connection`, set by our own servers."""
HEAD_TIME: Final = 20.0
"""Seconds in which the whole head of a request must arrive, after the connection opened or the last answer ended."""
STRANGER_TIME: Final = 40.0
"""Seconds that a request without a session may take, from its head to the end of the answer."""
PER_PERSON: Final = 128
"""Requests and sockets of one person that run in one process at once."""
MOST_SERVING: Final = 16_384
"""Requests and sockets of all sessions that run in one process at once."""
MOST_WAITING: Final = 4_096
"""Connections that wait at once."""
_LEAST_RESERVE: Final = 64
_MOST_RESERVE: Final = 512
_LEAST_OF_PEER: Final = 32
_LOG_EVERY: Final = 10.0


class ConnectionTransport(Protocol):
    """The used part of an asyncio transport."""

    def get_extra_info(self, name: str) -> Any:
        """Return the socket, or the peer's address."""

    def abort(self) -> None:
        """Close at once, without sending what is left."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many connections a process with this many descriptors accepts."""

    descriptors: int

    @property
    def reserve(self) -> int:
        """Descriptors kept free of connections: for calls to the portal and for the app itself."""
        return min(_MOST_RESERVE, max(_LEAST_RESERVE, self.descriptors // 8))

    @property
    def for_connections(self) -> int:
        """Descriptors that connections may use before a new one closes another."""
        return max(1, self.descriptors - self.reserve)

    @property
    def serving(self) -> int:
        """Most serving connections: three quarters, so that there is always one that can be closed."""
        return min(MOST_SERVING, max(1, self.for_connections * 3 // 4))

    @property
    def waiting(self) -> int:
        """Most waiting connections."""
        return min(MOST_WAITING, self.for_connections)

    @property
    def waiting_of_peer(self) -> int:
        """Most waiting connections of one address; trusted reverse proxies have no such limit."""
        return max(_LEAST_OF_PEER, self.waiting // 4)


class Connection:
    """One open connection."""

    __slots__ = ("_connections", "_request", "_transport", "peer", "since", "stranger")

    def __init__(self, connections: "Connections", transport: ConnectionTransport, *, peer: Hashable) -> None:
        self._connections = connections
        self._transport = transport
        self._request = 0
        self.peer = peer
        """The client it is counted for; ``None`` for a trusted reverse proxy."""
        self.since = 0.0
        """When it began to wait."""
        self.stranger = False
        """Whether its request has shown no session yet."""

    def begin(self) -> None:
        """Note that the head of a request has arrived."""
        self._request += 1
        self._connections.wait(self, stranger=True)

    def answered(self) -> None:
        """Note that the answer is complete."""
        self._request += 1
        self._connections.wait(self, stranger=False)

    @contextmanager
    def serving(self) -> Iterator[bool]:
        """Let the connection serve while the block runs; yield ``False`` if too many do already."""
        request = self._request
        if not self._connections.serve(self):
            yield False
            return
        try:
            yield True
        finally:
            if self._request == request:  # otherwise another request runs here, or it is closed
                self._connections.wait(self, stranger=False)

    def closed(self) -> None:
        """Note that it is closed."""
        self._request += 1
        self._connections.forget(self)

    def cut(self) -> None:
        """Close it at once."""
        self._transport.abort()


class Connections:
    """The connections of one process."""

    def __init__(self, room: Room, *, trusted: TrustedProxies, clock: Callable[[], float]) -> None:
        self._room = room
        self._trusted = trusted
        self._clock = clock
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        """Ordered; the first has waited longest."""
        self._of_peer: dict[Hashable, OrderedDict[Connection, None]] = {}
        self._serving: set[Connection] = set()
        self._cut: Counter[str] = Counter()
        self._logged_at = float("-inf")

    def opened(self, transport: ConnectionTransport) -> Connection:
        """Register a new connection, and close another if there are too many."""
        peer = self._peer(transport.get_extra_info("peername"))
        connection = Connection(self, transport, peer=peer)
        self.wait(connection, stranger=False)
        sock = transport.get_extra_info("socket")
        if peer is not None and len(self._of_peer[peer]) > self._room.waiting_of_peer:
            self._cut_first(self._of_peer[peer], "too-many-of-one-address")
        elif len(self._waiting) > self._room.waiting:
            self._cut_first(self._waiting, "too-many")
        elif sock is not None and sock.fileno() >= self._room.for_connections and len(self._waiting) > 1:
            self._cut_first(self._waiting, "no-descriptors")
        return connection

    def wait(self, connection: Connection, *, stranger: bool) -> None:
        """Note that *connection* waits from now on."""
        self.forget(connection)
        connection.since, connection.stranger = self._clock(), stranger
        self._waiting[connection] = None
        if connection.peer is not None:
            self._of_peer.setdefault(connection.peer, OrderedDict())[connection] = None

    def serve(self, connection: Connection) -> bool:
        """Note that *connection* serves from now on; return whether it may."""
        if len(self._serving) >= self._room.serving:
            return False
        self.forget(connection)
        self._serving.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """Note that *connection* neither waits nor serves."""
        self._serving.discard(connection)
        self._waiting.pop(connection, None)
        if connection.peer is not None and (others := self._of_peer.get(connection.peer)) is not None:
            others.pop(connection, None)
            if not others:
                del self._of_peer[connection.peer]

    def make_room(self, count: int) -> None:
        """Close the *count* connections that have waited longest, because there was no descriptor for a new one."""
        for _ in range(min(count, len(self._waiting))):
            self._cut_first(self._waiting, "no-descriptors")

    def sweep(self) -> None:
        """Close connections that have waited too long, and log the number of closed ones now and then."""
        now = self._clock()
        for connection in tuple(self._waiting):
            waited = now - connection.since
            if waited <= HEAD_TIME:  # those behind it have waited for less
                break
            if not connection.stranger or waited > STRANGER_TIME:
                self._end(connection, "too-slow")
        if self._cut and now - self._logged_at >= _LOG_EVERY:
            self._logged_at = now
            for code, count in self._cut.items():
                log.warning("connections-closed code=%s count=%d", code, count)
            self._cut.clear()

    def _cut_first(self, among: Mapping[Connection, None], code: str) -> None:
        self._end(next(iter(among)), code)

    def _end(self, connection: Connection, code: str) -> None:
        self._cut[code] += 1
        self.forget(connection)
        connection.cut()

    def _peer(self, name: object) -> Hashable:
        return limit_key(read_address(name[0]) if isinstance(name, tuple) and name else None, self._trusted)


def limit_key(address: Address | None, trusted: TrustedProxies) -> str | None:
    """Return the key that counts a client at *address*; ``None`` for a trusted reverse proxy."""
    if address is None or address in trusted:
        return None
    return rate_limit_key(address)


class AtOnce:
    """Limits how many run at once per key; without limit for ``None``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[Hashable] = Counter()

    @contextmanager
    def one(self, key: Hashable) -> Iterator[bool]:
        """Count one more for *key* while the block runs; yield ``False`` if there are too many already."""
        if key is not None and self._running[key] >= self._most:
            yield False
            return
        self._running[key] += 1
        try:
            yield True
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]


@contextmanager
def serving(scope: Mapping[str, Any]) -> Iterator[bool]:
    """Let the connection of *scope* serve while the block runs; yield whether it may."""
    connection = scope.get(CONNECTION)
    if not isinstance(connection, Connection):
        yield True
        return
    with connection.serving() as stays:
        yield stays
