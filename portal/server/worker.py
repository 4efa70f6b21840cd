"""Gunicorn's worker with threads, but for who waits: a request gets a thread when all of it has come.

Gunicorn's own waits in the thread for head and body, without a limit of time; as many slow clients as there are
threads, and other clients are not served.  Here the one loop that accepts connections collects the requests too, as a
reverse proxy does that buffers them.  What gunicorn would refuse with a bare page gets the portal's own.
"""

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from wsgiref.util import setup_testing_defaults

from gunicorn.http import errors  # type: ignore[import-untyped] # gunicorn ships no types
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from portal.contract.descriptors import raise_limit
from portal.server.request_reader import REFUSAL, IncomingRequest

ARRIVES_WITHIN: Final = 20.0
"""Seconds that a connection has for a whole request, head and body."""
LEAVES_WITHIN: Final = 10.0
"""Seconds that a client has to take an answer."""
LINGERS: Final = 2.0
"""Seconds in which a client may take note that the connection ends (RFC 9112, section 9.6)."""
MOST_HELD: Final = 32 * 1024 * 1024
"""Most bytes of unfinished requests that a worker keeps."""
SENT_AT_ONCE: Final = 256 * 1024
"""Bytes of an answer that go to the kernel, so that no thread waits for a client that takes none; pages are shorter."""
_FILES_OF_OTHERS: Final = 256
"""Open files that are not for connections: databases, logs, requests to providers and apps."""
_CHUNK: Final = 65536
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_STATUSES: Final = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED),
    (errors.ParseException, HTTPStatus.BAD_REQUEST),
)


class Connection(TConn):  # type: ignore[misc] # gunicorn ships no types
    """One connection, with the request that is on its way on it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.arriving = IncomingRequest()
        self.since = time.monotonic()
        self.held = 0
        """Bytes of it that are kept."""
        self.is_leaving = False
        """Whether it was answered for the last time."""

    def begin_anew(self) -> None:
        """Wait for the next request."""
        self.arriving, self.since = IncomingRequest(), time.monotonic()

    @property
    def deadline(self) -> float:
        """When it is closed, if nothing else happens."""
        return self.since + (LINGERS if self.is_leaving else ARRIVES_WITHIN)

    def init(self) -> None:
        """Give the parser the request, and the socket a time-out, which is for sending: all has come."""
        super().init()
        self.sock.settimeout(LEAVES_WITHIN)
        self.parser.unreader.unread(self.arriving.whole())


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn ships no types
    """The worker; ``worker_class`` of gunicorn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Connection, None] = {}
        """Connections whose request has not come, or that are leaving; in the order of their time."""
        self._looked_at = 0.0
        self._held = 0

    def init_process(self) -> None:
        """Make room for as many connections as are allowed."""
        self.worker_connections: int = min(self.cfg.worker_connections, raise_limit() - _FILES_OF_OTHERS)
        self.max_keepalived = max(1, self.worker_connections - self.cfg.threads)
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, and wait for what it asks; where there are too many, the oldest that waits makes room."""
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._make_room()
            return  # else it is gone again, or another worker was faster
        self.nr_conns += 1
        with contextlib.suppress(OSError):
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_AT_ONCE)
        self._wait(Connection(self.cfg, accepted, client, listener.getsockname()))
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Begin with the next request of a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        conn.begin_anew()
        self._wait(conn)

    def murder_pending(self) -> None:
        """Close what had time enough; looks once a second."""
        now = time.monotonic()
        if now - self._looked_at < 1:
            return
        self._looked_at = now
        # A worker that stops waits for requests that have begun, and not for all that might.
        if not self.alive:
            now += ARRIVES_WITHIN - LINGERS
        for conn in [conn for conn in self._waiting if conn.deadline <= now]:
            if conn.arriving.has_begun and not conn.is_leaving:
                with contextlib.suppress(OSError):
                    conn.sock.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self._drop(conn)

    def handle(self, conn: Connection) -> bool:
        """Answer the request, which is whole; say whether another may follow on this connection."""
        refusal = conn.arriving.refusal
        if refusal is not None:
            conn.sock.settimeout(LEAVES_WITHIN)
            self._refuse(conn.sock, conn.client, refusal)
            return False
        conn.data_ready = True
        # What came behind the request is not looked at: who sends so early has to send it again.
        return bool(super().handle(conn)) and not conn.arriving.has_more

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Answer *req*; a client that does not take the answer is left.

        Raises:
            StopIteration: it was left.
        """
        try:
            return bool(super().handle_request(req, conn))
        except TimeoutError:
            raise StopIteration from None

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn refuses, with the portal's own page."""
        is_ours = isinstance(exc, (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName))
        status = None if is_ours else next((status for kind, status in _STATUSES if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
        else:
            self._refuse(client, addr, status)

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Keep the connection for the next request, or take leave of it without waiting."""
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
            return
        with contextlib.suppress(OSError):
            conn.sock.shutdown(socket.SHUT_WR)
        conn.is_leaving, conn.since = True, time.monotonic()
        self._wait(conn)

    def _wait(self, conn: Connection) -> None:
        conn.sock.setblocking(False)
        self._waiting[conn] = None
        try:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_readable, conn))
        except (OSError, ValueError):
            self._drop(conn)

    def _on_readable(self, conn: Connection, sock: socket.socket) -> None:
        try:
            data = sock.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
            return
        if conn.is_leaving:
            return
        self._held += len(data)
        conn.held += len(data)
        now = conn.arriving.feed(data)
        if now:
            with contextlib.suppress(OSError):
                sock.send(now)
        if conn.arriving.is_whole:
            self.poller.unregister(sock)
            self._release(conn)
            self.enqueue_req(conn)
        elif self._held > MOST_HELD:
            self._make_room()

    def _make_room(self) -> None:
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            self._drop(oldest)
        elif self.keepalived_conns:
            self.keepalived_conns[0].timeout = 0.0
            self.murder_keepalived()

    def _release(self, conn: Connection) -> None:
        self._waiting.pop(conn, None)
        self._held -= conn.held
        conn.held = 0

    def _drop(self, conn: Connection) -> None:
        self._release(conn)
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _refuse(self, sock: socket.socket, client: Any, status: HTTPStatus) -> None:
        """Have the portal say why a request with *status* was not taken."""
        environ: dict[str, Any] = {REFUSAL: int(status), "PATH_INFO": "/refused"}
        environ["REMOTE_ADDR"] = client[0] if isinstance(client, tuple) else ""
        setup_testing_defaults(environ)
        try:
            with contextlib.suppress(TimeoutError, ConnectionError):
                sock.sendall(_answer(self.wsgi, environ))
        except Exception:
            self.log.exception("a refusal could not be answered")


def _answer(wsgi: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> bytes:
    """Return what *wsgi* answers to *environ*, as it goes over the wire."""
    said: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], None]:
        said.append((status, headers))
        return lambda _data: None

    chunks = wsgi(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = said[-1]
    kept = [(name, value) for name, value in headers if name.lower() not in {"connection", "content-length"}]
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in kept)]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body
