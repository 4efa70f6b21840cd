"""An address at which an app can call itself, and that refuses everyone else.

``launch()`` promises a URL that works: Gradio fetches it while starting, and its MCP server and many scripts call it
later.  Behind the guard, such calls have no session.  So a listener on loopback serves connections that this process
itself has opened, and refuses all others.
"""

import asyncio
import os
import socket
import stat
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from gradio_apps.runtime.guard.connections import CONNECTION, serving
from gradio_apps.runtime.host.callers import Callers
from gradio_apps.runtime.host.person import OWN_CALL
from gradio_apps.runtime.host.servers import OwnServer, own_config

ADDRESS: Final = "127.0.0.1"
in_own_call: ContextVar[bool] = ContextVar("in_own_call", default=False)
"""Whether the current request is a call of the app to itself."""
_DESCRIPTORS: Final = Path("/dev/fd")
_NO_PROXY: Final = ("no_proxy", "NO_PROXY")
_THIS_MACHINE: Final = ("localhost", ".localhost", "127.0.0.1", "::1")


def keep_from_proxies(environ: MutableMapping[str, str]) -> None:
    """Add this machine to ``no_proxy`` in *environ*, for the app's HTTP clients and child processes.

    Otherwise a launch fails: Gradio would fetch the app's own address through the proxy, which cannot reach it.
    """
    excepted = next((environ[name].strip() for name in _NO_PROXY if environ.get(name, "").strip()), "")
    if excepted != "*":  # some clients know "*" only if it is the whole value
        missing = [host for host in _THIS_MACHINE if host not in excepted.replace(",", " ").split()]
        excepted = ",".join(filter(None, [excepted, *missing]))
    environ.update(dict.fromkeys(_NO_PROXY, excepted))


class SelfRequestsOnly:
    """ASGI middleware that serves only the process it runs in."""

    def __init__(self, app: ASGIApp, *, state: dict[str, Any], callers: Callers) -> None:
        self._app = app
        self._state = state
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if it comes from this process."""
        client, server = scope.get("client"), scope.get("server")
        if client and server and is_own_connection((client[0], client[1]), (server[0], server[1])):
            scope[OWN_CALL] = True
            self._callers.recall(scope)
            scope["state"] = dict(self._state)
            in_own_call.set(True)  # for this call only: uvicorn gives each its own context
            with serving(scope):  # without a limit
                scope.pop(CONNECTION, None)
                await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await JSONResponse({"detail": "This address is only for the app itself."}, 403)(scope, receive, send)
        else:
            await WebSocketClose(1008)(scope, receive, send)


def is_own_connection(peer: tuple[str, int], here: tuple[str, int]) -> bool:
    """Say whether this process itself holds the other end of the TCP connection from *peer* to *here*.

    Addresses and ports of a connection are unique on a machine, so no other process can hold it too.
    """
    for entry in _DESCRIPTORS.iterdir():
        with suppress(OSError, ValueError):  # closed meanwhile, not a socket, or not connected
            descriptor = int(entry.name)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as ours:
                    if ours.getsockname() == peer and ours.getpeername() == here:
                        return True
    return False


class SelfRequestListener:
    """A listener on loopback for the app's calls to itself; open and close it in one event loop."""

    def __init__(self, app: ASGIApp, *, state: dict[str, Any], callers: Callers) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind((ADDRESS, 0))
        config = own_config(
            SelfRequestsOnly(app, state=state, callers=callers), lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = OwnServer(config)
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port, chosen by the system."""
        port: int = self._socket.getsockname()[1]
        return port

    async def open(self) -> int:
        """Start to answer; return the port."""
        port = self.port
        self._socket.listen()
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(0.005)
        return port

    async def close(self) -> None:
        """Stop answering."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()
