"""The hosted app: an ASGI app that exists before the author's app, while it loads, and after it failed.

The author's code runs in another thread and hands over its app; captured apps run in the event loop that serves the
guard.
"""

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from gradio_apps.runtime.channel import State
from gradio_apps.runtime.host.callers import Callers
from gradio_apps.runtime.host.interfaces import only_interface
from gradio_apps.runtime.host.lifespan import Lifespan
from gradio_apps.runtime.host.person import SIGN_IN, person_in
from gradio_apps.runtime.host.self_requests import ADDRESS, SelfRequestListener

logger = logging.getLogger("gradio_portal.host")

_SHUTDOWN: Final = 1.0
"""Seconds that a captured app gets for its own shutdown."""


class Captured:
    """An app that was handed over; :meth:`ready` and :meth:`close` may be called from any thread."""

    def __init__(self, host: "HostedApp", app: ASGIApp, *, on_close: Callable[[], None] | None = None) -> None:
        self.app = app
        self.lifespan = Lifespan(app)
        self.listener: SelfRequestListener | None = None
        self.port = 0
        """Port of the app's calls to itself; 0 if it has none."""
        self.is_ready = False
        self.is_open = True
        self._host = host
        self._on_close = on_close

    @property
    def url(self) -> str:
        """Address of the app's calls to itself."""
        return f"http://{ADDRESS}:{self.port}/"

    def ready(self) -> None:
        """Note that the app is started: from now on it answers."""
        self.is_ready = True

    def wait(self, *, until: Callable[[], bool]) -> None:
        """Block until the process has stopped serving, or *until* is true."""
        while self.is_open and not until() and not self._host.stopped.wait(0.1):
            pass

    def close(self) -> None:
        """Stop serving this app; the next captured one takes its place."""
        self._host.close_from_outside(self)

    async def shut(self) -> None:
        """Do the work of :meth:`close`, in the serving loop; a second call does nothing."""
        if not self.is_open:
            return
        self.is_open = False
        try:
            async with asyncio.timeout(_SHUTDOWN):
                if self.listener is not None:
                    await self.listener.close()
                await self.lifespan.stop()
        except TimeoutError:
            logger.warning("The app's own shutdown took too long and was abandoned.")
        finally:
            if self._on_close is not None:
                self._on_close()


class HostedApp:
    """ASGI app in the place of the author's app, before and after that is there."""

    def __init__(self, *, path: str = "") -> None:
        self.path = path
        """Path of the app's public address: empty, or with a leading and no trailing slash."""
        self.stopped = threading.Event()
        """Set when serving has ended; the author's blocking calls return then."""
        self.login_button = False
        """Whether the app has a ``gr.LoginButton``."""
        self._captures: list[Captured] = []
        self._callers = Callers()
        self._failed = False
        self._launched = False
        self.problem = ""
        """Why the author's code cannot be served, in a sentence that is safe on a page."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._has_loop = threading.Event()
        self._before_stop: list[Callable[[], None]] = []

    @property
    def state(self) -> State:
        """The state of the author's code."""
        if self._failed:
            return "failed"
        return "running" if self.current is not None else "starting"

    @property
    def phase(self) -> str:
        """What the start is doing, in a few words; empty once it is over."""
        if self.state != "starting":
            return ""
        return "Starting the app" if self._launched else "Loading the app"

    @property
    def current(self) -> Captured | None:
        """The served app: the first captured one that is still open, once it is ready."""
        first = next((one for one in self._captures if one.is_open), None)
        return first if first is not None and first.is_ready else None

    @property
    def interface(self) -> str | None:
        """Path of the only interface below the root of the served app; see :func:`only_interface`."""
        current = self.current
        return None if current is None else only_interface(current.app)

    @property
    def serves_anything(self) -> bool:
        """Whether any captured app is still open."""
        return any(one.is_open for one in self._captures)

    @property
    def captures(self) -> int:
        """Number of apps captured so far."""
        return len(self._captures)

    def fail(self, problem: str = "") -> None:
        """Note that the author's code cannot be served, because of *problem*."""
        self.problem = problem
        self._failed = True

    def before_stop(self, action: Callable[[], None]) -> None:
        """Run *action* in the serving loop when a stop is requested, before connections drain."""
        self._before_stop.append(action)

    def run_before_stop(self) -> None:
        """Run the registered actions; called in the serving loop."""
        for action in self._before_stop:
            action()

    def capture(self, app: ASGIApp, *, own_calls: bool = False, on_close: Callable[[], None] | None = None) -> Captured:
        """Take *app* over from the calling thread and run its startup.

        With *own_calls*, it gets an address for calls to itself.

        Raises:
            StartupFailed: the app's own startup failed.
            RuntimeError: called from within a request that is being served.
        """
        return self.capture_soon(app, own_calls=own_calls, on_close=on_close).result()

    def capture_soon(
        self, app: ASGIApp, *, own_calls: bool = False, on_close: Callable[[], None] | None = None
    ) -> "concurrent.futures.Future[Captured]":
        """Do the same as :meth:`capture`, without waiting."""
        self._launched = True
        self._has_loop.wait()
        if self._loop is None or self._loop_thread == threading.get_ident():
            raise RuntimeError("An app cannot be launched from within a request that is being served.")
        return asyncio.run_coroutine_threadsafe(self._open(app, own_calls=own_calls, on_close=on_close), self._loop)

    def close_from_outside(self, captured: Captured) -> None:
        """Close *captured* from any thread, and wait for it, except in the serving loop itself."""
        if self._loop is None or self._loop.is_closed() or not captured.is_open:
            return
        closing = asyncio.run_coroutine_threadsafe(captured.shut(), self._loop)
        if self._loop_thread != threading.get_ident():
            concurrent.futures.wait([closing], timeout=_SHUTDOWN * 2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on to the served app."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        current = self.current
        if person_in(scope) is None:
            # The guard always names a person; this is in case there is no guard.
            await _refuse(401, "Not signed in.", scope, receive, send)
        elif current is None:
            await _refuse(503, "The app is not running.", scope, receive, send)
        else:
            scope["state"] = dict(current.lifespan.state)
            scope[SIGN_IN] = scope.get("session") or {}
            self._callers.mark(scope)
            await current.app(scope, receive, send)

    async def _open(self, app: ASGIApp, *, own_calls: bool, on_close: Callable[[], None] | None) -> Captured:
        captured = Captured(self, app, on_close=on_close)
        await captured.lifespan.start()
        if own_calls:
            captured.listener = SelfRequestListener(app, state=captured.lifespan.state, callers=self._callers)
            captured.port = await captured.listener.open()
        if self.serves_anything:
            logger.warning("A second app was launched. One address serves one app, so nobody can open the second.")
        self._captures.append(captured)
        return captured

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._has_loop.set()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.gather(*(captured.shut() for captured in self._captures))
        await send({"type": "lifespan.shutdown.complete"})


async def _refuse(status: int, detail: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await JSONResponse({"detail": detail}, status)(scope, receive, send)
    else:
        await WebSocketClose(1008)(scope, receive, send)
