"""uvicorn's HTTP and WebSocket protocols, with a word to :class:`Connections` of each connection."""

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
        """Begin."""
        self._connection = self._connections.opened(transport)
        self.app = _on(self._connection, self.app)
        if self.ws_protocol_class is not None:
            self.ws_protocol_class = partial(_made, self.ws_protocol_class, self._connection)  # type: ignore[assignment]  # it is only called
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._connection.closed()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._connection.answered()
        super().on_response_complete()


def _on(connection: Connection, app: ASGIApp) -> Any:
    """Return *app*, which finds *connection* in its scopes."""

    async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
        connection.begin()
        scope[CONNECTION] = connection
        await app(scope, receive, send)

    return with_connection


def _made(base: Any, connection: Connection, **options: Any) -> asyncio.Protocol:
    made = _socket_protocol(base)(**options)
    made.connection = connection
    made.app = _on(connection, made.app)
    return made  # type: ignore[no-any-return]


@cache
def _socket_protocol(base: Any) -> Any:
    class SocketProtocol(base):  # type: ignore[misc]  # uvicorn's, whichever it is
        """One WebSocket."""

        connection: Connection

        def connection_lost(self, exc: Exception | None) -> None:
            """End."""
            self.connection.closed()
            super().connection_lost(exc)

    return SocketProtocol
