"""Our own uvicorn servers, which stay real while the app's are captured.

The methods are bound here, before anything is replaced on ``uvicorn.Server``.
"""

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import Awaitable, Callable, Collection, Generator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import WS_PROTOCOLS

LARGEST_HEAD: Final = 64 * 1024
"""Longest head of a request, in bytes: addresses and cookies of real pages are shorter."""
_CLOSE: Final = (b"connection", b"close")
_STEPS: Final = 10
"""Steps of the loop from a connection that was taken to the first bytes of it that were read, and some more."""


def own_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """Return the configuration of a server of ours for *app*; *options* are uvicorn's own.

    Loop and parsers are named, so that they do not depend on what an app installs: with ``uvicorn[standard]``, uvicorn
    would take httptools, which has no limit for a head, and uvloop, which goes on accepting after
    :meth:`FrontServer.stop_listening`.
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

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing: signals are the process's."""
        yield


class FrontServer(OwnServer):
    """The server people reach.  :attr:`stop_requested` may be set from a signal handler: it takes no lock.

    With *steer* it takes no connection until it is told to: *steer* is called once everything else is ready.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        sock: socket.socket,
        before_stop: Callable[[], None],
        steer: Callable[["FrontServer"], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(config)
        self.stop_requested = False
        self._socket = sock
        self._before_stop = before_stop
        self._steer = steer
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
        if self._steer is None:
            await self.listen()
        else:
            await self._steer(self)

    async def listen(self) -> None:
        """Take connections; what has waited in the backlog comes first."""
        if not self.servers:
            config = self.config

            def protocol() -> asyncio.Protocol:
                made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]  # uvicorn's own call of it
                    config=config, server_state=self.server_state, app_state=self.lifespan.state
                )
                return made

            loop = asyncio.get_running_loop()
            self.servers.append(await loop.create_server(protocol, sock=self._socket, backlog=config.backlog))

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
