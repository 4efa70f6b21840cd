"""Our own uvicorn servers, which stay real while the app's are captured.

The methods are bound here, before anything is replaced on ``uvicorn.Server``.
"""

import contextlib
from collections.abc import Callable, Generator

import uvicorn


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
    """The server people reach.  :attr:`stop_requested` may be set from a signal handler: it takes no lock."""

    def __init__(self, config: uvicorn.Config, *, before_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self.stop_requested = False
        self._before_stop = before_stop

    async def on_tick(self, counter: int) -> bool:
        """Look for a requested stop, ten times a second."""
        if self.stop_requested:
            self._before_stop()
            return True
        return await super().on_tick(counter)
