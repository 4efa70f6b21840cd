"""A company's forward proxy: speaks CONNECT, resolves names as it likes, and remembers what it was asked for."""

import base64
import contextlib
import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Final

from tests.provider.loopback_server import loopback_server

NAME: Final = "portal"
PASSWORD: Final = "pass-of-the-proxy"


@dataclass
class ForwardProxy:
    """A proxy that answers."""

    port: int
    names: dict[str, int] = field(default_factory=dict)
    """Port on this machine, by ``host:port`` as it is asked for; everything else is unknown."""
    asked: list[str] = field(default_factory=list)
    """``METHOD target`` of each request, in order."""
    wants_password: bool = False

    @property
    def url(self) -> str:
        """Its address, with the name and password it may want."""
        return f"http://{NAME}:{PASSWORD}@127.0.0.1:{self.port}"

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Say whether *headers* hold the password, if it is wanted."""
        basic = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
        return not self.wants_password or headers.get("Proxy-Authorization") == f"Basic {basic}"


@contextmanager
def forward_proxy(*, tls: ssl.SSLContext | None = None) -> Iterator[ForwardProxy]:
    """Run a proxy on a free loopback port until the block ends; with *tls*, it speaks TLS itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            proxy.asked.append(f"CONNECT {self.path}")
            self.close_connection = True
            if not proxy.admits(dict(self.headers)):
                self.send_error(407)
            elif self.path not in proxy.names:
                self.send_error(502)
            else:
                with socket.create_connection(("127.0.0.1", proxy.names[self.path]), timeout=60) as there:
                    self.send_response_only(200)
                    self.end_headers()
                    _carry(self.connection, there)

        def do_GET(self) -> None:
            self._refuse()

        def do_POST(self) -> None:
            self._refuse()

        def _refuse(self) -> None:
            proxy.asked.append(f"{self.command} {self.path}")
            self.send_error(501)

    with loopback_server(Handler, tls=tls) as port:
        proxy = ForwardProxy(port=port)
        yield proxy


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one of the two hangs up."""
    to = {one: other, other: one}
    with contextlib.suppress(OSError):
        while True:
            # What TLS has read already no longer shows as readable.
            pending = [each for each in to if isinstance(each, ssl.SSLSocket) and each.pending()]
            for ready in pending or select.select([one, other], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                to[ready].sendall(data)
