"""Takes over the apps that an author serves with uvicorn directly.

``uvicorn.run``, ``Server.run`` and ``await Server.serve()`` would each open a port without a guard.  They hand their
app over instead, and then behave as if they were serving.
"""

import asyncio
import contextlib
import functools
import importlib
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
import uvicorn.config

from gradio_apps.runtime.host.bridge import in_loop
from gradio_apps.runtime.host.hosted import Captured, HostedApp
from gradio_apps.runtime.host.lifespan import StartupFailed

logger = logging.getLogger("gradio_portal.host")

_CAPTURED: Final = "_gradio_apps_captured"


def install(host: HostedApp) -> None:
    """Make ``uvicorn.Server`` and ``uvicorn.run`` hand their apps over to *host*."""
    uvicorn.Server.run = _run_for(host)  # type: ignore[method-assign]  # replacing it is the point
    uvicorn.Server.startup = _startup_for(host)  # type: ignore[method-assign]  # replacing it is the point
    uvicorn.Server.shutdown = _shutdown  # type: ignore[method-assign]  # replacing it is the point
    uvicorn.Server.capture_signals = _no_signals  # type: ignore[method-assign]  # replacing it is the point
    main: Any = importlib.import_module("uvicorn.main")  # the attribute of that name is its command
    uvicorn.run = main.run = _one_process(uvicorn.run)
    # An app's Config enables the access log for every server of the process, which would log query strings.
    logging.getLogger("uvicorn.access").addFilter(_silence)


def _run_for(host: HostedApp) -> Callable[..., None]:
    def run(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG001  uvicorn's own
        _load(self.config)
        try:
            captured = host.capture(self.config.loaded_app, on_close=lambda: _end(self))
        except StartupFailed:
            sys.exit(uvicorn.config.STARTUP_FAILURE)
        self.started = True
        captured.ready()
        captured.wait(until=lambda: self.should_exit)
        captured.close()

    return run


def _startup_for(host: HostedApp) -> Callable[..., Any]:
    async def startup(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG001  uvicorn's own
        app = in_loop(self.config.loaded_app, asyncio.get_running_loop())
        try:
            captured = await asyncio.wrap_future(host.capture_soon(app, on_close=lambda: _end(self)))
        except StartupFailed:
            sys.exit(uvicorn.config.STARTUP_FAILURE)
        setattr(self, _CAPTURED, captured)
        self.servers = []
        self.started = True
        captured.ready()

    return startup


async def _shutdown(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG001  uvicorn's own
    captured: Captured = getattr(self, _CAPTURED)
    # In a thread, because the app's own shutdown runs in this loop meanwhile.
    await asyncio.to_thread(captured.close)


@contextlib.contextmanager
def _no_signals(self: uvicorn.Server) -> Iterator[None]:  # noqa: ARG001  uvicorn's own
    # The process's own handler handles signals, and ends streams first.
    yield


def _one_process(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def run(app: Any, **options: Any) -> None:
        reload, workers = options.pop("reload", False), options.pop("workers", None)
        if reload or (workers or 1) > 1:
            logger.info("uvicorn.run(reload=…, workers=…) is left to the portal: one process serves the app.")
        original(app, **options, reload=False, workers=1)

    return run


def _load(config: uvicorn.Config) -> None:
    if not config.loaded:
        config.ssl_keyfile = config.ssl_certfile = None  # TLS is terminated before the guard
        config.proxy_headers = False  # the guard has already set the client's address
        config.load()


def _silence(_record: logging.LogRecord) -> bool:
    return False


def _end(server: uvicorn.Server) -> None:
    server.should_exit = True
