"""Our own uvicorn servers, which stay real while the app's are captured.

The methods are bound here, before anything is replaced on ``uvicorn.Server``.
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
"""Longest head of a request, in bytes: addresses and cookies of real pages are shorter."""
_AT_A_TIME: Final = 8
"""Connections that are taken in one step of the loop.

asyncio makes something of them a few steps later, and only then another one can be closed for them; so there are to be
fewer under way than descriptors in reserve.  It says the same number to the system, which is to hold more meanwhile.
"""
_NONE_LEFT: Final = "socket.accept() out of system resource"
"""How asyncio says that there was no descriptor for a connection."""
_CLOSE: Final = (b"connection", b"close")
_TICKS: Final = 10
"""Looks of uvicorn's at a server within a second."""
_STEPS: Final = 10
"""Steps of the loop from a connection that was taken to the first bytes of it that were read, and some more."""


def own_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """Return the configuration of a server of ours for *app*; *options* are uvicorn's own.

    Loop and parsers are named, so that they do not depend on what an app installs: with ``uvicorn[standard]``, uvicorn
    would take httptools, which has no limit for a head, and uvloop, which goes on accepting after
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
    """Return uvicorn's name of the WebSocket implementation, of those it has *known*.

    The package websockets is what Gradio brings, also where an app has wsproto besides.  Of uvicorn's two ways to use
    it, the newer one: the other is deprecated by the package.  Without the package, sockets are refused.
    """
    if not installed:
        return "none"
    return "websockets-sansio" if "websockets-sansio" in known else "websockets"


class OwnServer(uvicorn.Server):
    """A server that serves, whatever happens to ``uvicorn.Server``, and leaves signals alone."""

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
        """Close what has waited too long, once a second."""
        if counter % _TICKS == 0:
            self._connections.sweep()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing: signals are the process's."""
        yield


class PublicServer(OwnServer):
    """The server people reach.  :attr:`stop_requested` may be set from a signal handler: it takes no lock.

    With *control* it takes no connection until it is told to: *control* is called once everything else is ready.
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
        self._takes = True

    @property
    def accepting(self) -> bool:
        """Whether it takes connections."""
        return self._takes and any(server.is_serving() for server in self.servers)

    @property
    def connected(self) -> bool:
        """Whether any connection is open."""
        return bool(self.server_state.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  uvicorn's own
        """Start the app, and listen unless that is to wait."""
        await super().startup(sockets=[])
        if self._control is None:
            await self.listen()
        else:
            await self._control(self)

    async def listen(self) -> None:
        """Take connections; what has waited in the backlog comes first."""
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
            self._hold_more()

    def _hold_more(self) -> None:
        """Have the system hold connections until they are taken, and some descriptors ready."""
        self._spare.take()
        if self.accepting:
            self._socket.listen(self.config.backlog)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") == _NONE_LEFT:
            # asyncio tries again after a second, and says its own number to the system; until then there is to be room,
            # also where no connection but the app itself has taken everything.
            self._connections.make_room(_AT_A_TIME)
            self._spare.close()
            loop.call_later(2 * ACCEPT_RETRY_DELAY, self._hold_more)
        else:
            loop.default_exception_handler(context)

    def stop_listening(self) -> None:
        """Take no more connections; those that are open are told with their next answer that it was the last.

        What was taken in this very step of the loop is still made a connection: :meth:`settle` waits for that.
        """
        self._takes = False
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for sock in server.sockets:
                loop.remove_reader(sock.fileno())
        self.config.encoded_headers.append(_CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def settle(self) -> None:
        """Close what was listened with, once all that was taken there is open: a closed server drops them (asyncio)."""
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    async def on_tick(self, counter: int) -> bool:
        """Look for a requested stop, ten times a second."""
        if self.stop_requested:
            self._before_stop()
            return True
        return await super().on_tick(counter)
