"""The lifespan of one captured app: startup, its state for requests, shutdown.

ASGI lifespan 2.0.  An app without support for lifespan events counts as started.
"""

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message

logger = logging.getLogger("gradio_portal.host")


class StartupFailed(Exception):
    """The app's startup failed; the reason is in the log."""


class Lifespan:
    """Drives *app* through its lifespan; start and stop run in one event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        """The app's values for the ``state`` of each request."""
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[None] | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run the app's startup.

        Raises:
            StartupFailed: the app reported a failure.
        """
        loop = asyncio.get_running_loop()
        self._started, self._stopped = loop.create_future(), loop.create_future()
        self._task = loop.create_task(self._run())
        self._to_app.put_nowait({"type": "lifespan.startup"})
        await self._started

    async def stop(self) -> None:
        """Run the app's shutdown, if it has started."""
        if self._task is None or self._stopped is None or self._task.done():
            return
        self._to_app.put_nowait({"type": "lifespan.shutdown"})
        await self._stopped
        await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._to_app.get, self._send)
        except Exception as error:
            if not _settle(self._started) and not _settle(self._stopped):
                logger.exception("The app's lifespan ended in an error.")
            else:
                # By the specification, an app without lifespan support may raise; it is served all the same.
                logger.debug("The app does not support lifespan events (%s).", type(error).__name__)
        finally:
            _settle(self._started)
            _settle(self._stopped)

    async def _send(self, message: Message) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                _settle(self._started)
            case "lifespan.startup.failed":
                if message.get("message"):
                    logger.error("The app's startup failed.\n%s", message["message"])
                if self._started is not None and not self._started.done():
                    self._started.set_exception(StartupFailed("the app's startup failed"))
            case "lifespan.shutdown.failed":
                logger.error("The app's shutdown failed.\n%s", message.get("message", ""))
                _settle(self._stopped)
            case _:
                _settle(self._stopped)


def _settle(future: asyncio.Future[None] | None) -> bool:
    """Set *future* if it is not done; say whether it was set."""
    if future is None or future.done():
        return False
    future.set_result(None)
    return True
