"""The lifespan of one captured app: startup, the state it hands to requests, shutdown.

ASGI lifespan 2.0.  An app that does not know lifespan events is taken as started.
"""

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message

logger = logging.getLogger("gradio_portal.host")


class StartupFailed(Exception):
    """The app said, or showed, that it cannot start; why stands in the log."""


class Lifespan:
    """Drives *app* through its lifespan; start and stop run in one event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        """What the app wants in the ``state`` of each request."""
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[None] | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run the app's startup to its end.

        Raises:
            StartupFailed: the app reported a failure.
        """
        loop = asyncio.get_running_loop()
        self._started, self._stopped = loop.create_future(), loop.create_future()
        self._task = loop.create_task(self._run())
        self._to_app.put_nowait({"type": "lifespan.startup"})
        await self._started

    async def stop(self) -> None:
        """Run the app's shutdown to its end, where it ever started."""
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
                # The specification lets an app that knows no lifespan raise; it is served all the same.
                logger.debug("The app takes no lifespan events (%s).", type(error).__name__)
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
    """Set *future* if it is still open; say whether it was."""
    if future is None or future.done():
        return False
    future.set_result(None)
    return True
