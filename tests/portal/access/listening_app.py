"""An app that takes logout notifications: records them and answers with the status set."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass(slots=True)
class ListeningApp:
    """What was received, and how it is answered."""

    port: int = 0
    status: int = 204
    before: Callable[[BaseHTTPRequestHandler], None] = lambda _handler: None
    """Called before the answer, with the request's handler."""
    received: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, Host and logout token of each request."""

    @property
    def tokens(self) -> list[str]:
        return [token for _, _, token in self.received]


@contextmanager
def listening() -> Iterator[ListeningApp]:
    """Run a server on a free loopback port."""
    app = ListeningApp()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            (token,) = parse_qs(body).get("logout_token", [""])
            app.received.append((self.path, self.headers["Host"], token))
            app.before(self)
            self.send_response(app.status)
            self.send_header("Location", f"http://127.0.0.1:{app.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep the test's output quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512  # many notifications come at once

        def handle_error(self, *_: Any) -> None:
            """Keep quiet about callers that hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        app.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield app
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def nobody_listening() -> Iterator[int]:
    """Yield a port that refuses connections: bound, so that no other process takes it, and not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
