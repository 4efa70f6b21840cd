"""Gunicorn's threaded worker, except that a request gets a thread only when all of it has arrived.

Gunicorn's own worker reads head and body in the thread, without a timeout: as many slow clients as there are threads
block everyone else.  Here the loop that accepts connections also buffers the requests, as a buffering reverse proxy
does.  Requests that gunicorn would refuse with a bare page get the portal's own page.
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

REQUEST_TIMEOUT: Final = 20.0
"""Seconds that a connection has for a whole request, head and body."""
SEND_TIMEOUT: Final = 10.0
"""Seconds that a client has to take an answer."""
LINGER_TIME: Final = 2.0
"""Seconds that a client has to notice the end of the connection (RFC 9112, section 9.6)."""
MAX_BUFFERED: Final = 32 * 1024 * 1024
"""Maximum bytes of unfinished requests in one worker."""
SEND_BUFFER: Final = 256 * 1024
"""Bytes of an answer that the kernel takes, so that no thread waits for a slow client; pages are shorter."""
_OTHER_FILES: Final = 256
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


class BufferedConnection(TConn):  # type: ignore[misc] # gunicorn ships no types
    """One connection, with the request that is arriving on it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.incoming = IncomingRequest()
        self.since = time.monotonic()
        self.buffered = 0
        """Bytes of the request that are buffered."""
        self.is_leaving = False
        """Whether the last answer was sent."""

    def begin_anew(self) -> None:
        """Wait for the next request."""
        self.incoming, self.since = IncomingRequest(), time.monotonic()

    @property
    def deadline(self) -> float:
        """When the connection is closed, if nothing else happens."""
        return self.since + (LINGER_TIME if self.is_leaving else REQUEST_TIMEOUT)

    def init(self) -> None:
        """Give the parser the request, and the socket a timeout for sending: everything has arrived."""
        super().init()
        self.sock.settimeout(SEND_TIMEOUT)
        self.parser.unreader.unread(self.incoming.content())


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn ships no types
    """The worker; ``worker_class`` of gunicorn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[BufferedConnection, None] = {}
        """Connections whose request is incomplete, or that are leaving; oldest first."""
        self._checked_at = 0.0
        self._buffered = 0

    def init_process(self) -> None:
        """Allow as many connections as the limit on open files does."""
        self.worker_connections: int = min(self.cfg.worker_connections, raise_limit() - _OTHER_FILES)
        self.max_keepalived = max(1, self.worker_connections - self.cfg.threads)
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and wait for its request; if there are too many, close the oldest one that waits."""
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._make_room()
            return  # the client is gone, or another worker was faster
        self.nr_conns += 1
        with contextlib.suppress(OSError):
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._wait(BufferedConnection(self.cfg, accepted, client, listener.getsockname()))
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def on_client_socket_readable(self, conn: BufferedConnection, client: socket.socket) -> None:
        """Start with the next request of a keep-alive connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        conn.begin_anew()
        self._wait(conn)

    def murder_pending(self) -> None:
        """Close connections that are past their deadline; checks once a second."""
        now = time.monotonic()
        if now - self._checked_at < 1:
            return
        self._checked_at = now
        # A worker that stops waits for requests that have begun, not for idle connections.
        if not self.alive:
            now += REQUEST_TIMEOUT - LINGER_TIME
        for conn in [conn for conn in self._waiting if conn.deadline <= now]:
            if conn.incoming.has_begun and not conn.is_leaving:
                with contextlib.suppress(OSError):
                    conn.sock.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self._drop(conn)

    def handle(self, conn: BufferedConnection) -> bool:
        """Answer the complete request; return whether another may follow on this connection."""
        refusal = conn.incoming.refusal
        if refusal is not None:
            conn.sock.settimeout(SEND_TIMEOUT)
            self._refuse(conn.sock, conn.client, refusal)
            return False
        conn.data_ready = True
        # Bytes after the request are dropped: a client that pipelines has to send them again.
        return bool(super().handle(conn)) and not conn.incoming.has_more

    def handle_request(self, req: Any, conn: BufferedConnection) -> bool:
        """Answer *req*; give up on a client that does not read the answer.

        Raises:
            StopIteration: the client did not read the answer.
        """
        try:
            return bool(super().handle_request(req, conn))
        except TimeoutError:
            raise StopIteration from None

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn refuses with the portal's own page."""
        is_ours = isinstance(exc, (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName))
        status = None if is_ours else next((status for kind, status in _STATUSES if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
        else:
            self._refuse(client, addr, status)

    def finish_request(self, conn: BufferedConnection, fs: "Future[bool]") -> None:
        """Keep the connection for the next request, or end it without blocking."""
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
            return
        with contextlib.suppress(OSError):
            conn.sock.shutdown(socket.SHUT_WR)
        conn.is_leaving, conn.since = True, time.monotonic()
        self._wait(conn)

    def _wait(self, conn: BufferedConnection) -> None:
        conn.sock.setblocking(False)
        self._waiting[conn] = None
        try:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_readable, conn))
        except (OSError, ValueError):
            self._drop(conn)

    def _on_readable(self, conn: BufferedConnection, sock: socket.socket) -> None:
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
        self._buffered += len(data)
        conn.buffered += len(data)
        interim = conn.incoming.feed(data)
        if interim:
            with contextlib.suppress(OSError):
                sock.send(interim)
        if conn.incoming.is_complete:
            self.poller.unregister(sock)
            self._release(conn)
            self.enqueue_req(conn)
        elif self._buffered > MAX_BUFFERED:
            self._make_room()

    def _make_room(self) -> None:
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            self._drop(oldest)
        elif self.keepalived_conns:
            self.keepalived_conns[0].timeout = 0.0
            self.murder_keepalived()

    def _release(self, conn: BufferedConnection) -> None:
        self._waiting.pop(conn, None)
        self._buffered -= conn.buffered
        conn.buffered = 0

    def _drop(self, conn: BufferedConnection) -> None:
        self._release(conn)
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _refuse(self, sock: socket.socket, client: Any, status: HTTPStatus) -> None:
        """Answer with the portal's page for *status*."""
        environ: dict[str, Any] = {REFUSAL: int(status), "PATH_INFO": "/refused"}
        environ["REMOTE_ADDR"] = client[0] if isinstance(client, tuple) else ""
        setup_testing_defaults(environ)
        try:
            with contextlib.suppress(TimeoutError, ConnectionError):
                sock.sendall(_answer(self.wsgi, environ))
        except Exception:
            self.log.exception("the page of a refused request could not be sent")


def _answer(wsgi: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> bytes:
    """Return the bytes of *wsgi*'s response to *environ*."""
    responses: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], None]:
        responses.append((status, headers))
        return lambda _data: None

    chunks = wsgi(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = responses[-1]
    fields = [(name, value) for name, value in headers if name.lower() not in {"connection", "content-length"}]
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body
