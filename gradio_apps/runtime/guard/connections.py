"""The open connections of one process: which of them may stay, and which goes when there are too many.

A connection *serves* while a request of a session runs on it; all others *wait*: they have sent nothing, part of a
head, or a request that has shown no session.  Those that serve are counted, for each person and altogether, and stay.
One that waits costs a stranger nothing, so it has little time, and the one that has waited longest goes when another
comes and descriptors are short.  So there is always room for the portal's notifications, and for people who come in.

The system gives the lowest free number to a new descriptor; the number of a new connection therefore says how many are
taken, by connections or by whatever else the app has open.
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
"""Where a scope has its :class:`Connection`, if it came by a server of ours."""
HEAD_TIME: Final = 20.0
"""Seconds that a connection may wait for the whole head of a request, from its beginning or the last answer on."""
STRANGER_TIME: Final = 40.0
"""Seconds that a request without a session may take, from its head to the end of its answer."""
PER_PERSON: Final = 128
"""Requests and sockets of one person that run in one process at once."""
MOST_SERVING: Final = 16_384
"""Requests and sockets of all sessions that run in one process at once."""
MOST_WAITING: Final = 4_096
"""Connections that wait at once."""
_LEAST_RESERVE: Final = 64
_MOST_RESERVE: Final = 512
_LEAST_OF_PEER: Final = 32
_SAY_EVERY: Final = 10.0


class Transport(Protocol):
    """What is needed of an asyncio transport."""

    def get_extra_info(self, name: str) -> Any:
        """Return the socket, or the other end's address."""

    def abort(self) -> None:
        """Close at once, whatever has not been sent."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many connections a process with so many descriptors takes."""

    descriptors: int

    @property
    def reserve(self) -> int:
        """Descriptors that no connection may use up: for notifications, for asking the portal, for the app itself."""
        return min(_MOST_RESERVE, max(_LEAST_RESERVE, self.descriptors // 8))

    @property
    def for_connections(self) -> int:
        """Descriptors below which a new connection closes none of the others."""
        return max(1, self.descriptors - self.reserve)

    @property
    def serving(self) -> int:
        """Connections that serve at once: three quarters, so that there is always one that can be closed."""
        return min(MOST_SERVING, max(1, self.for_connections * 3 // 4))

    @property
    def waiting(self) -> int:
        """Connections that wait at once."""
        return min(MOST_WAITING, self.for_connections)

    @property
    def waiting_of_peer(self) -> int:
        """Connections of one address that wait at once; web servers in front are believed to speak for many."""
        return max(_LEAST_OF_PEER, self.waiting // 4)


class Connection:
    """One open connection."""

    __slots__ = ("_connections", "_request", "_transport", "peer", "since", "stranger")

    def __init__(self, connections: "Connections", transport: Transport, *, peer: Hashable) -> None:
        self._connections = connections
        self._transport = transport
        self._request = 0
        self.peer = peer
        """Whose it is, as far as that is bounded; ``None`` for a web server in front."""
        self.since = 0.0
        """When it began to wait for what it waits for now."""
        self.stranger = False
        """Whether a request has begun that has shown no session yet."""

    def begin(self) -> None:
        """Note that the head of a request is here."""
        self._request += 1
        self._connections.wait(self, stranger=True)

    def answered(self) -> None:
        """Note that the answer is complete: the next request may come."""
        self._request += 1
        self._connections.wait(self, stranger=False)

    @contextmanager
    def serving(self) -> Iterator[bool]:
        """Let the connection stay as long as the block lasts; give ``False`` where too many do already."""
        request = self._request
        if not self._connections.serve(self):
            yield False
            return
        try:
            yield True
        finally:
            if self._request == request:  # else another one runs here by now, or it is closed
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
        """The one that has waited longest first."""
        self._of_peer: dict[Hashable, OrderedDict[Connection, None]] = {}
        self._serving: set[Connection] = set()
        self._cut: Counter[str] = Counter()
        self._said = float("-inf")

    def opened(self, transport: Transport) -> Connection:
        """Take in a new connection, and close another where there are too many."""
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
        """Note that *connection* serves from now on; say whether it may."""
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
        """Close the *count* that have waited longest: there was no descriptor for a new one."""
        for _ in range(min(count, len(self._waiting))):
            self._cut_first(self._waiting, "no-descriptors")

    def sweep(self) -> None:
        """Close what has waited too long, and say now and then how many were closed."""
        now = self._clock()
        for connection in tuple(self._waiting):
            waited = now - connection.since
            if waited <= HEAD_TIME:  # those behind it have waited for less
                break
            if not connection.stranger or waited > STRANGER_TIME:
                self._end(connection, "too-slow")
        if self._cut and now - self._said >= _SAY_EVERY:
            self._said = now
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
    """Return what a client at *address* is counted by; ``None`` for a web server in front, which speaks for many."""
    if address is None or address in trusted:
        return None
    return rate_limit_key(address)


class AtOnce:
    """Bounds how much runs at once for one key; nothing for ``None``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[Hashable] = Counter()

    @contextmanager
    def one(self, key: Hashable) -> Iterator[bool]:
        """Count one more for *key* as long as the block lasts; give ``False`` where there are too many already."""
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
    """Let the connection of *scope* stay as long as the block lasts, where a server of ours brought it."""
    connection = scope.get(CONNECTION)
    if not isinstance(connection, Connection):
        yield True
        return
    with connection.serving() as stays:
        yield stays
