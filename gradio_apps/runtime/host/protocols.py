"""uvicorn's HTTP and WebSocket protocols, which report each connection to :class:`Connections`."""

import asyncio
from functools import cache, partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gradio_apps.runtime.guard.connections import CONNECTION, Connection, Connections


class HttpProtocol(H11Protocol):
    """One connection over HTTP/1.1, which may become a WebSocket."""

    _connection: Connection

    def __init__(self, *, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._connections = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Register the connection."""
        self._connection = self._connections.opened(transport)
        self.app = _with_connection(self._connection, self.app)
        if self.ws_protocol_class is not None:
            self.ws_protocol_class = partial(_make_socket_protocol, self.ws_protocol_class, self._connection)  # type: ignore[assignment]  # it is only called
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed."""
        self._connection.closed()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Note that the answer is complete."""
        self._connection.answered()
        super().on_response_complete()


def _with_connection(connection: Connection, app: ASGIApp) -> Any:
    """Return *app* with *connection* in its scopes."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        connection.begin()
        scope[CONNECTION] = connection
        await app(scope, receive, send)

    return serve


def _make_socket_protocol(base: Any, connection: Connection, **options: Any) -> asyncio.Protocol:
    protocol = _socket_protocol(base)(**options)
    protocol.connection = connection
    protocol.app = _with_connection(connection, protocol.app)
    return protocol  # type: ignore[no-any-return]


@cache
def _socket_protocol(base: Any) -> Any:
    class SocketProtocol(base):  # type: ignore[misc]  # uvicorn's, whichever it is
        """One WebSocket."""

        connection: Connection

        def connection_lost(self, exc: Exception | None) -> None:
            """Note that the connection is closed."""
            self.connection.closed()
            super().connection_lost(exc)

    return SocketProtocol
