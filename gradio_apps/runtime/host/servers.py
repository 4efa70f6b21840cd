"""The guard's own uvicorn servers, which stay real while the app's servers are captured.

The methods are bound here, before anything on ``uvicorn.Server`` is replaced.
"""

import asyncio
import contextlib
import importlib.util
import socket
import time
from asyncio.constants import ACCEPT_RETRY_DELAY
from collections.abc import Awaitable, Callable, Collection, Generator
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import WS_PROTOCOLS

from gradio_apps.runtime.guard.connections import Connections, Room
from gradio_apps.runtime.host.protocols import HttpProtocol
from portal.contract import TrustedProxies, descriptors

LARGEST_HEAD: Final = 64 * 1024
"""Longest head of a request, in bytes; addresses and cookies of real pages are shorter."""
_AT_A_TIME: Final = 8
"""Connections that are accepted in one step of the loop.

asyncio opens them a few steps later, and only then can another one be closed for them, so there must be fewer than
descriptors in reserve.  asyncio also passes this number to the system as the backlog, which must be larger.
"""
_NONE_LEFT: Final = "socket.accept() out of system resource"
"""asyncio's message when there was no descriptor for a connection."""
_CLOSE: Final = (b"connection", b"close")
_TICKS: Final = 10
"""Number of uvicorn's ticks per second."""
_STEPS: Final = 10
"""Steps of the loop until the first bytes of an accepted connection are read, with a margin."""


def own_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """Return the configuration of one of the guard's servers for *app*; *options* are uvicorn's own.

    Loop and parsers are named, so that they do not depend on what an app installs.  With ``uvicorn[standard]``, uvicorn
    would use httptools, which does not limit the head, and uvloop, which keeps accepting after
    :meth:`PublicServer.stop_listening`.
    """
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws=websocket_implementation(WS_PROTOCOLS, installed=importlib.util.find_spec("websockets") is not None),
        log_config=None,
        access_log=False,  # it would log query strings
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        **options,
    )


def websocket_implementation(known: Collection[str], *, installed: bool) -> str:
    """Return uvicorn's name of the WebSocket implementation, of those in *known*.

    Gradio installs the package websockets, so it is used even if an app also has wsproto.  Of uvicorn's two
    implementations with it, the older one is deprecated.  Without the package, WebSockets are refused.
    """
    if not installed:
        return "none"
    return "websockets-sansio" if "websockets-sansio" in known else "websockets"


class OwnServer(uvicorn.Server):
    """A server that is not affected by changes to ``uvicorn.Server``, and does not handle signals."""

    run = uvicorn.Server.run
    serve = uvicorn.Server.serve
    startup = uvicorn.Server.startup
    shutdown = uvicorn.Server.shutdown

    def __init__(self, config: uvicorn.Config, *, trusted: TrustedProxies | None = None) -> None:
        room = Room(descriptors.limit())
        self._connections = Connections(room, trusted=trusted or TrustedProxies(), clock=time.monotonic)
        config.http = partial(HttpProtocol, connections=self._connections)  # type: ignore[assignment]  # it is only called
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Close connections that have waited too long, once a second."""
        if counter % _TICKS == 0:
            self._connections.sweep()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing: the process handles signals."""
        yield


class PublicServer(OwnServer):
    """The server for people's requests.  :attr:`stop_requested` may be set from a signal handler: it needs no lock.

    With *control*, it does not accept connections by itself: *control* is called once everything else is ready.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        sock: socket.socket,
        before_stop: Callable[[], None],
        control: Callable[["PublicServer"], Awaitable[None]] | None = None,
        trusted: TrustedProxies | None = None,
    ) -> None:
        super().__init__(config, trusted=trusted)
        self._spare = descriptors.Spare()
        self.stop_requested = False
        self._socket = sock
        self._before_stop = before_stop
        self._control = control
        self._open = True

    @property
    def accepting(self) -> bool:
        """Whether it accepts connections."""
        return self._open and any(server.is_serving() for server in self.servers)

    @property
    def connected(self) -> bool:
        """Whether any connection is open."""
        return bool(self.server_state.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  uvicorn's own
        """Start the app, and listen, or leave that to *control*."""
        await super().startup(sockets=[])
        if self._control is None:
            await self.listen()
        else:
            await self._control(self)

    async def listen(self) -> None:
        """Accept connections, those in the backlog first."""
        if not self.servers:
            protocol = partial(
                HttpProtocol,
                connections=self._connections,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(self._handle)
            self.servers.append(await loop.create_server(protocol, sock=self._socket, backlog=_AT_A_TIME))
            self._restore_reserves()

    def _restore_reserves(self) -> None:
        """Restore the backlog of the system, and the descriptors in reserve."""
        self._spare.take()
        if self.accepting:
            self._socket.listen(self.config.backlog)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") == _NONE_LEFT:
            # asyncio retries after a second, with its own backlog.  Until then there must be room, even if the app
            # itself uses all descriptors.
            self._connections.make_room(_AT_A_TIME)
            self._spare.close()
            loop.call_later(2 * ACCEPT_RETRY_DELAY, self._restore_reserves)
        else:
            loop.default_exception_handler(context)

    def stop_listening(self) -> None:
        """Accept no more connections; open ones get ``Connection: close`` with their next answer.

        Connections accepted in this step of the loop still open: :meth:`settle` waits for them.
        """
        self._open = False
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for sock in server.sockets:
                loop.remove_reader(sock.fileno())
        self.config.encoded_headers.append(_CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def settle(self) -> None:
        """Close the listening servers once every accepted connection is open: asyncio would drop the others."""
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    async def on_tick(self, counter: int) -> bool:
        """Check for a requested stop, ten times a second."""
        if self.stop_requested:
            self._before_stop()
            return True
        return await super().on_tick(counter)
