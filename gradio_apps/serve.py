"""One app, one process: ``python -m gradio_apps.serve SOURCE``.

SOURCE is a file, a module, or a Space folder.  The portal's address, the app's name and its secret come from the
environment (:mod:`gradio_apps.runtime.guard.settings`); the socket is inherited (systemd's socket activation) or
opened by ``--host`` and ``--port``.
"""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Final

import gradio_apps.runtime.guard
import gradio_apps.runtime.host
import portal.contract
from gradio_apps.runtime.channel_handler import ChannelHandler, channel_from
from gradio_apps.runtime.guard import Guard, GuardSettingsError, guard_settings_from
from gradio_apps.runtime.host import HostedApp, ServerThread, SourceError, read_source, run
from gradio_apps.runtime.host.module_names import import_all
from gradio_apps.runtime.host.process import GRACE
from gradio_apps.runtime.startup_state import SECRET_NAMES, USUAL, startup_state_from
from portal.contract.argument_types import PORT_OR_ANY
from portal.contract.descriptors import raise_limit

EXIT_USAGE: Final = 2
"""Exit code if the command line, the environment or the source is not usable."""
FIRST_DESCRIPTOR: Final = 3
"""Descriptor of the first socket in systemd's protocol, ``sd_listen_fds(3)``."""
FAILURE_PAUSE: Final = "PORTAL_FAILURE_PAUSE"
"""Seconds to keep answering after the app failed to load; the supervisor's growing pause."""

START_TIMEOUT: Final = "PORTAL_START_TIMEOUT"
"""Seconds in which the app must come up."""

STOP_GRACE: Final = "PORTAL_STOP_GRACE"
"""Seconds that running requests get when the process is asked to stop."""

_SECRETS: Final = ("PORTAL_APP_SECRET", "PORTAL_APP_SECRET_FILE", "PORTAL_APP_SECRET_FD")
_ACTIVATION: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
_GRADIO_LAUNCH: Final = ("GRADIO_NUM_WORKERS", "GRADIO_ROOT_PATH", "GRADIO_SHARE", "GRADIO_SSR_MODE")
_LONGEST_PAUSE: Final = 60.0
_LONGEST_GRACE: Final = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one app until the process is asked to stop, and end it; return an exit code if that cannot begin."""
    options = command_line().parse_args(arguments)
    _log_to_stderr()
    raise_limit()
    try:
        settings = guard_settings_from(os.environ)
        source = read_source(options.source, base=Path.cwd())
        sock = inherited_socket(os.environ) or _bound(options.host, options.port)
    except GuardSettingsError as error:
        return _refuse(*error.problems)
    except SourceError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{options.host}:{options.port}: {error.strerror}. Choose another with --port.")
    linger, allowed, grace = failure_pause(os.environ), start_timeout(os.environ), stop_grace(os.environ)
    channel = channel_from(os.environ)
    startup = startup_state_from(os.environ, secret=settings.secret)
    scrub(os.environ)
    for package in (gradio_apps.runtime.guard, gradio_apps.runtime.host, portal.contract):
        import_all(package, but=("gradio_hooks", "unlaunched_apps"))  # those import Gradio, which takes seconds
    host = HostedApp(path=settings.path)
    guard = Guard(
        host,
        settings=settings,
        state=lambda: host.state,
        progress=startup.of(host),
        login_button=lambda: host.login_button,
        interface=lambda: host.interface,
    )
    host.before_stop(guard.work.stop)
    control = None
    if channel is not None:
        control = ChannelHandler(channel, guard=guard, state=lambda: host.state, problem=lambda: host.problem).start
    server = ServerThread(guard, host=host, sock=sock, grace=grace, control=control, trusted=settings.trusted_proxies)
    server.start()
    return run(source, host=host, server=server, linger=linger, cwd=options.cwd, allowed=allowed)


def inherited_socket(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Return the listening socket that this process inherited, or ``None``."""
    # Another LISTEN_PID was meant for a parent that did not clean up.
    if environ.get("LISTEN_PID") != str(os.getpid()) or environ.get("LISTEN_FDS", "0") in {"", "0"}:
        return None
    os.set_inheritable(FIRST_DESCRIPTOR, False)  # the author's child processes must not inherit it
    return socket.socket(fileno=FIRST_DESCRIPTOR)


def failure_pause(environ: MutableMapping[str, str]) -> float:
    """Return how long to keep answering after a failed start, in seconds."""
    value = environ.get(FAILURE_PAUSE, "")
    return min(float(value), _LONGEST_PAUSE) if value.isascii() and value.isdigit() else 0.0


def start_timeout(environ: Mapping[str, str]) -> float | None:
    """Return the seconds in which the app must come up, or ``None`` without a limit."""
    value = environ.get(START_TIMEOUT, "")
    return float(value) if value.isascii() and value.isdigit() and int(value) > 0 else None


def stop_grace(environ: Mapping[str, str]) -> int:
    """Return the seconds that running requests get when the process is asked to stop."""
    value = environ.get(STOP_GRACE, "")
    return min(int(value), _LONGEST_GRACE) if value.isascii() and value.isdigit() and int(value) > 0 else GRACE


def scrub(environ: MutableMapping[str, str]) -> None:
    """Remove from *environ* what the author's code and its child processes must not see or follow."""
    ours = (FAILURE_PAUSE, START_TIMEOUT, STOP_GRACE, USUAL, SECRET_NAMES)
    for name in (*_SECRETS, *_ACTIVATION, *_GRADIO_LAUNCH, *ours):
        environ.pop(name, None)
    environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(2048)
    except OSError:
        sock.close()
        raise
    return sock


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Say whether to log *record* of uvicorn; it also reports answers that the guard itself cut off."""
    return record.getMessage() != "ASGI callable returned without completing response."


def _log_to_stderr() -> None:
    logging.getLogger("uvicorn.error").addFilter(is_worth_a_line)
    # An own logger, so that the author's logging.basicConfig finds the root logger unchanged.
    logger = logging.getLogger("gradio_portal")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("portal: %(levelname)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _refuse(*problems: str) -> int:
    for problem in problems:
        sys.stderr.write(f"portal: {problem}\n")
    return EXIT_USAGE


def command_line() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(prog="python -m gradio_apps.serve", description="Serve one Gradio app.")
    parser.add_argument("source", help="a file, a module, or a Space folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on, if no socket is inherited")
    parser.add_argument("--port", type=PORT_OR_ANY, default=7860, help="port to listen on, if no socket is inherited")
    parser.add_argument("--cwd", type=Path, help="the app's working directory (default: the source's folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
