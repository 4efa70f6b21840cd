"""Serves the app of a script that defined one and did not launch it."""

from collections.abc import Mapping
from typing import Any, Final

import gradio.blocks
from starlette.applications import Starlette

from gradio_apps.runtime.host.gradio_hooks import owner_of
from gradio_apps.runtime.host.gradio_minors import installed_minor

_NAMES: Final = ("app", "demo", "application", "iface", "interface", "blocks", "ui", "server", "main")
"""Names that are tried first, in this order."""


def app_in(namespace: Mapping[str, Any]) -> Any | None:
    """Return the app in *namespace*, that of a finished script, or ``None``.

    A FastAPI or Starlette app comes before Blocks, which may be mounted in it, and a well-known name before others; an
    app with another name is used only if it is the only one.
    """
    for kind in (Starlette, gradio.blocks.Blocks):
        named = [namespace[name] for name in _NAMES if isinstance(namespace.get(name), kind)]
        if named:
            return named[0]
        others = {id(value): value for value in namespace.values() if isinstance(value, kind)}
        if len(others) == 1:
            return next(iter(others.values()))
    return None


def serve(app: Any, *, capture: Any) -> None:
    """Start *app* without blocking: by its own ``launch()`` if it has one, else through *capture*."""
    launching = tuple(getattr(*owner_of(path)) for path in installed_minor().launching)
    if isinstance(app, launching):
        app.launch(prevent_thread_lock=True)
    else:
        capture(app).ready()
