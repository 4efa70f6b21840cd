"""One process, one app: the guard in a thread of its own, the author's code in the main thread.

Many apps expect the main thread (signal handlers, event loops, GUI toolkits), so they get it.
"""

import faulthandler
import importlib
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Final

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
"""Seconds that running requests get when the process is told to stop, where nobody says otherwise."""
_CLEANUP: Final = 0.6
"""Seconds the author's code then gets, before and again after it is interrupted."""
_STDERR: Final = 2
_MODULE: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)
_ENVIRONMENT: Final = type(os.environ).__getitem__.__code__
_CAUSES: Final = 8
"""How many errors behind an error are looked at."""


class ServerThread:
    """The thread that serves *app* on *sock*, and the way to end it.

    *control* says when it takes connections, and when no more.  Web servers that are *trusted* speak
    for many: their connections are not counted as one client's.
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
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; may be called from a signal handler."""
        self._server.stop_requested = True

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._server.stop_requested

    def main_is_done(self, exit_code: int) -> None:
        """Say that the author's code has ended for good, and what the process says of it."""
        self._exit_code = self._exit_code or exit_code
        self._main_done.set()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException:  # whatever it is, a process without its guard must end
            logger.exception("The server ended in an error.")
            self._exit_code = 1
        self.ended = True
        self._host.stopped.set()
        if not self._main_done.wait(_CLEANUP):
            # The second signal interrupts whatever the author's code still does.
            signal.pthread_kill(self._main, signal.SIGTERM)
            self._main_done.wait(_CLEANUP)
        # Threads the author left running must not keep the process.
        time.sleep(_CLEANUP)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(self._exit_code)


def run(
    source: Source,
    *,
    host: HostedApp,
    front: ServerThread,
    linger: float,
    cwd: Path | None = None,
    allowed: float | None = None,
) -> int:
    """Run *source* in this, the main thread, until the process is told to stop; return its exit code.

    Code that does not come up, or not within *allowed* seconds, leaves *host* failed, and answering so,
    for *linger* seconds.
    """
    _take_signals(front)
    if allowed is not None:
        late = threading.Timer(allowed, _too_late, [allowed], {"host": host, "front": front, "linger": linger})
        late.daemon = True
        late.start()
    exit_code = 0
    problem = _outcome_of(source, host=host, front=front, cwd=cwd)
    if problem is not None:
        exit_code = 1 if host.serves_anything else FAILED_TO_LOAD
        host.fail(problem)
        logger.error("%s", problem)
        if exit_code == FAILED_TO_LOAD:
            host.stopped.wait(linger)
        front.stop()
    host.stopped.wait()
    front.main_is_done(exit_code)
    return exit_code


def _outcome_of(source: Source, *, host: HostedApp, front: ServerThread, cwd: Path | None) -> str | None:
    """Run the author's code; return what is wrong with how it ended, or ``None``."""
    try:
        _load(source, host=host, cwd=cwd)
    except SystemExit as ending:
        if front.stopping:
            return None
        if isinstance(ending.code, str):
            sys.stderr.write(f"{ending.code}\n")
        code = ending.code if isinstance(ending.code, int) else 1
        return _missing(ending) or f"The app ended itself (exit code {code})."
    except (SourceError, UnknownGradio) as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001  the author's code may raise anything
        if front.stopping:
            return None
        traceback.print_exc()
        return _named(error)
    if host.serves_anything or front.stopping:
        return None
    return "The app's code came to its end and there is nothing to serve: no launch(), and no demo or app."


def _named(error: BaseException) -> str:
    """Return a sentence about *error* that may stand on a page: its kind, and nothing of what it says."""
    missing = _missing(error)
    if missing is not None:
        return missing
    if isinstance(error, ModuleNotFoundError) and error.name and _MODULE.fullmatch(error.name):
        return f"The module {error.name!r} is not installed where the app runs."
    return f"The app's code ended in an error ({type(error).__name__})."


def _missing(error: BaseException) -> str | None:
    """Return the sentence about the variable that ``os.environ`` was asked for in vain, if that led to *error*."""
    cause: BaseException | None = error
    for _ in range(_CAUSES):
        if cause is None:
            break
        frames = [frame for frame, _ in traceback.walk_tb(cause.__traceback__)]
        if isinstance(cause, KeyError) and frames and frames[-1].f_code is _ENVIRONMENT:
            return missing_variable(cause.args[0])
        cause = cause.__cause__ or cause.__context__
    return None


def _too_late(allowed: float, *, host: HostedApp, front: ServerThread, linger: float) -> None:
    """End a process whose app has not come up in time, whatever its main thread is doing."""
    if host.state != "starting" or front.stopping:
        return
    faulthandler.dump_traceback(_STDERR, all_threads=True)  # for the log: where it stands
    problem = f"The app did not come up within {spoken(allowed)}."
    host.fail(problem)
    logger.error("%s", problem)
    host.stopped.wait(linger)
    front.main_is_done(FAILED_TO_LOAD)
    front.stop()


def _load(source: Source, *, host: HostedApp, cwd: Path | None) -> None:
    keep_from_proxies(os.environ)
    # Gradio takes seconds to import; until here the guard has answered alone.
    hooks: list[Callable[[HostedApp], None]] = [
        importlib.import_module(f"gradio_apps.runtime.host.{name}").install
        for name in ("uvicorn_hooks", "gradio_hooks")
    ]
    found = importlib.import_module("gradio_apps.runtime.host.unlaunched_apps")
    for install in hooks:
        install(host)
    script.enter(source, cwd=cwd)
    module_names.make_room(source.folder)
    before = host.captures
    namespace = script.run_as_main(source)
    if host.captures == before:
        app = found.app_in(vars(namespace))
        if app is not None:
            found.serve(app, capture=host.capture)


def _take_signals(front: ServerThread) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        if front.ended:
            sys.exit(0)
        front.stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
