"""One process per app: the guard in its own thread, the author's code in the main thread.

Many apps need the main thread, for signal handlers, event loops or GUI toolkits.
"""

import atexit
import contextlib
import faulthandler
import gc
import importlib
import io
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final, NoReturn

from starlette.types import ASGIApp

from gradio_apps.runtime.host import module_names, script
from gradio_apps.runtime.host.gradio_minors import UnknownGradio
from gradio_apps.runtime.host.hosted import HostedApp
from gradio_apps.runtime.host.self_requests import keep_from_proxies
from gradio_apps.runtime.host.servers import PublicServer, own_config
from gradio_apps.runtime.host.source import Source, SourceError
from gradio_apps.runtime.progress import spoken
from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD
from portal.contract import TrustedProxies
from portal.contract.missing_variable import missing_variable

logger = logging.getLogger("gradio_portal.host")

GRACE: Final = 1
"""Seconds that running requests get by default when the process is asked to stop."""
_CLEANUP: Final = 0.6
"""Seconds that the author's code then gets, before and again after it is interrupted."""
_FILE: Final = io.IOBase.__base__ or io.IOBase
"""The base of all files: without the abstract base classes, a look at every object takes a quarter of the time."""
_STDERR: Final = 2
_MODULE: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)
_ENVIRONMENT: Final = type(os.environ).__getitem__.__code__
_CAUSES: Final = 8
"""Length of the chain of causes that is searched."""


class ServerThread:
    """The thread that serves *app* on *sock*.

    *control* decides when it accepts connections.  Connections of *trusted* reverse proxies are not counted as one
    client's.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: HostedApp,
        sock: socket.socket,
        grace: int = GRACE,
        control: Callable[[PublicServer], Awaitable[None]] | None = None,
        trusted: TrustedProxies | None = None,
    ) -> None:
        config = own_config(app, lifespan="on", timeout_graceful_shutdown=grace)
        self._server = PublicServer(
            config, sock=sock, before_stop=host.run_before_stop, control=control, trusted=trusted
        )
        self._host = host
        self._socket = sock
        self._main = threading.main_thread().ident or 0
        self._main_done = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="guard", daemon=True)
        self._exit_code = 0
        self.ended = False

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Request a stop; may be called from a signal handler."""
        self._server.stop_requested = True

    @property
    def stopping(self) -> bool:
        """Whether a stop was requested."""
        return self._server.stop_requested

    def main_is_done(self, exit_code: int) -> None:
        """Note that the author's code has ended; *exit_code* becomes the process's."""
        self._exit_code = self._exit_code or exit_code
        self._main_done.set()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException:  # after any error: a process without its guard must end
            logger.exception("The server ended in an error.")
            self._exit_code = 1
        self.ended = True
        self._host.stopped.set()
        if not self._main_done.wait(_CLEANUP):
            # The second signal interrupts the author's code if it still runs.
            signal.pthread_kill(self._main, signal.SIGTERM)
            self._main_done.wait(_CLEANUP)
        # Threads that the author left running must not keep the process alive.
        time.sleep(_CLEANUP)
        self._end()

    def exit(self, exit_code: int) -> NoReturn:
        """End the process from the main thread, once the author's code has ended: its exit handlers run first.

        The interpreter is not finalized: that would stop daemon threads where they are, and the process crashes if one
        is inside of a library in Rust or C++.
        """
        self.main_is_done(exit_code)
        try:
            # What Python itself does before it finalizes.
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
            atexit._run_exitfuncs()  # noqa: SLF001
            # As Python does when it finalizes.
            _flush(one for one in gc.get_objects() if issubclass(type(one), _FILE))
        finally:
            self._end()

    def _end(self) -> NoReturn:
        _flush((sys.stdout, sys.stderr))
        os._exit(self._exit_code)


def _flush(files: Iterable[IO[Any]]) -> None:
    for file in files:
        with contextlib.suppress(Exception):  # closed, or its reader has gone
            file.flush()


def run(
    source: Source,
    *,
    host: HostedApp,
    server: ServerThread,
    linger: float,
    cwd: Path | None = None,
    allowed: float | None = None,
) -> NoReturn:
    """Run *source* in this, the main thread, until the process is asked to stop, and end the process.

    If the code does not come up, or not within *allowed* seconds, *host* answers that it failed for *linger* seconds.
    """
    _take_signals(server)
    if allowed is not None:
        late = threading.Timer(allowed, _too_late, [allowed], {"host": host, "server": server, "linger": linger})
        late.daemon = True
        late.start()
    exit_code = 0
    problem = _outcome_of(source, host=host, server=server, cwd=cwd)
    if problem is not None:
        exit_code = 1 if host.serves_anything else FAILED_TO_LOAD
        host.fail(problem)
        logger.error("%s", problem)
        if exit_code == FAILED_TO_LOAD:
            host.stopped.wait(linger)
        server.stop()
    host.stopped.wait()
    server.exit(exit_code)


def _outcome_of(source: Source, *, host: HostedApp, server: ServerThread, cwd: Path | None) -> str | None:
    """Run the author's code; return why it failed, or ``None``."""
    try:
        _load(source, host=host, cwd=cwd)
    except SystemExit as ending:
        if server.stopping:
            return None
        if isinstance(ending.code, str):
            sys.stderr.write(f"{ending.code}\n")
        code = ending.code if isinstance(ending.code, int) else 1
        return _missing(ending) or f"The app ended itself (exit code {code})."
    except (SourceError, UnknownGradio) as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001  the author's code may raise anything
        if server.stopping:
            return None
        traceback.print_exc()
        return _named(error)
    if host.serves_anything or server.stopping:
        return None
    return "The app's code ended without anything to serve: no launch(), and no demo or app."


def _named(error: BaseException) -> str:
    """Return a sentence about *error* that is safe on a page: its type, and nothing of its message."""
    missing = _missing(error)
    if missing is not None:
        return missing
    if isinstance(error, ModuleNotFoundError) and error.name and _MODULE.fullmatch(error.name):
        return f"The module {error.name!r} is not installed where the app runs."
    return f"The app's code ended in an error ({type(error).__name__})."


def _missing(error: BaseException) -> str | None:
    """Return a sentence about the missing environment variable that caused *error*, if one did."""
    cause: BaseException | None = error
    for _ in range(_CAUSES):
        if cause is None:
            break
        frames = [frame for frame, _ in traceback.walk_tb(cause.__traceback__)]
        if isinstance(cause, KeyError) and frames and frames[-1].f_code is _ENVIRONMENT:
            return missing_variable(cause.args[0])
        cause = cause.__cause__ or cause.__context__
    return None


def _too_late(allowed: float, *, host: HostedApp, server: ServerThread, linger: float) -> None:
    """End the process if its app has not come up in time, whatever its main thread is doing."""
    if host.state != "starting" or server.stopping:
        return
    faulthandler.dump_traceback(_STDERR, all_threads=True)  # for the log
    problem = f"The app did not come up within {spoken(allowed)}."
    host.fail(problem)
    logger.error("%s", problem)
    host.stopped.wait(linger)
    server.main_is_done(FAILED_TO_LOAD)
    server.stop()


def _load(source: Source, *, host: HostedApp, cwd: Path | None) -> None:
    keep_from_proxies(os.environ)
    # Gradio takes seconds to import; meanwhile the guard already answers.
    hooks: list[Callable[[HostedApp], None]] = [
        importlib.import_module(f"gradio_apps.runtime.host.{name}").install
        for name in ("uvicorn_hooks", "gradio_hooks")
    ]
    unlaunched_apps = importlib.import_module("gradio_apps.runtime.host.unlaunched_apps")
    for install in hooks:
        install(host)
    script.enter(source, cwd=cwd)
    module_names.make_room(source.folder)
    before = host.captures
    namespace = script.run_as_main(source)
    if host.captures == before:
        app = unlaunched_apps.app_in(vars(namespace))
        if app is not None:
            unlaunched_apps.serve(app, capture=host.capture)


def _take_signals(server: ServerThread) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        if server.ended:
            sys.exit(0)
        server.stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
