"""Opening a browser for the user, if there is a screen."""

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping


def has_screen(environ: Mapping[str, str], *, platform: str = sys.platform, terminal: bool | None = None) -> bool:
    """Return whether a person sees a browser here: a terminal, no CI, and on Linux a display."""
    at_terminal = sys.stdout.isatty() if terminal is None else terminal
    if not at_terminal or environ.get("CI") or environ.get("SSH_CONNECTION"):
        return False
    return platform != "linux" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> None:
    """Open *url* without waiting: some browsers stay in the foreground until they are closed."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def show(url: str, *, wanted: bool, environ: Mapping[str, str] = os.environ, terminal: bool | None = None) -> None:
    """Open *url* in a browser, if that is *wanted* and there is a screen."""
    if wanted and has_screen(environ, terminal=terminal):
        open_browser(url)
