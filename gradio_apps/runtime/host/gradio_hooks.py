"""Stopping Gradio's ``launch()`` at the server, and leaving the rest of it alone.

These are internals of one Gradio minor; :data:`INTERNALS` names every one that is leaned on, and
a test fails loudly when one has moved.
"""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

import gradio
import gradio.blocks
import gradio.components.login_button
import gradio.http_server
import gradio.routes

from gradio_apps.runtime.host.hosted import Captured, HostedApp
from gradio_apps.runtime.host.person import PersonSession, username_for

logger = logging.getLogger("gradio_portal.host")

INTERNALS: Final[tuple[tuple[Any, str], ...]] = (
    (gradio.blocks.Blocks, "launch"),
    (gradio.blocks.Blocks, "block_thread"),
    (gradio.blocks.Blocks, "_resolve_ssr_mode"),
    (gradio.http_server, "start_server"),
    (gradio.routes, "attach_oauth"),
    (gradio.routes.App, "create_app"),
    (gradio.components.login_button, "_js_handle_redirect"),
)
"""What is replaced: owner and attribute."""

LAUNCH_OVERRIDES: Final[dict[str, Any]] = {
    "auth": None,
    "auth_dependency": None,
    "inbrowser": False,
    "num_workers": 0,  # its file servers listen on ports of their own
    "pwa": False,
    "quiet": True,  # it would print an address nobody else can use
    "root_path": "",
    "server_name": None,
    "server_port": None,
    "share": False,
    "ssl_certfile": None,
    "ssl_keyfile": None,
    "ssr_mode": False,  # its Node process would stand in front of the guard
}
"""Arguments of ``launch()`` that are the portal's to decide, whatever the author wrote."""

_WORTH_SAYING: Final = ("auth", "auth_dependency", "server_name", "server_port", "share", "ssr_mode", "root_path")


def install(host: HostedApp) -> None:
    """Replace :data:`INTERNALS` so that launched apps are handed to *host*.

    Must come before any of the author's code: leaving a ``with gr.Blocks()`` builds routes already.
    """
    blocks = gradio.blocks.Blocks
    blocks.launch = _launch_for(blocks.launch)
    blocks.block_thread = _block_thread
    blocks._resolve_ssr_mode = lambda *_args, **_kwargs: False  # noqa: SLF001  mounting asks it too
    gradio.http_server.start_server = _start_server_for(host)
    gradio.routes.attach_oauth = _attach_oauth_for(host)
    button = gradio.components.login_button
    button._js_handle_redirect = redirect_under(host.path, button._js_handle_redirect)  # noqa: SLF001  ours to mend
    gradio.routes.App.create_app = staticmethod(_create_app_for(gradio.routes.App.create_app, host))


def redirect_under(path: str, script: str) -> str:
    """Return the *script* of ``gr.LoginButton`` for an app that is reached under *path*: it goes to the host's root."""
    return script.replace("'/login/huggingface", f"'{path}/login/huggingface").replace("'/logout", f"'{path}/logout")


class CapturedServer:
    """What Gradio holds as its running server."""

    def __init__(self, captured: Captured) -> None:
        self.captured = captured

    def close(self) -> None:
        """Stop serving, as ``Blocks.close`` asks."""
        self.captured.close()


def _launch_for(original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        replaced = [name for name in _WORTH_SAYING if bound.arguments.get(name)]
        if replaced:
            logger.info("launch(%s=…) is left to the portal.", "=…, ".join(replaced))
        bound.arguments.update(LAUNCH_OVERRIDES)
        result = original(*bound.args, **bound.kwargs)
        if getattr(self, "mcp_error", None):
            logger.error("%s", self.mcp_error)
        _serving(self)
        return result

    return launch


def _block_thread(self: Any) -> None:
    """Block while the app is served, in place of Gradio's loop, which a signal would have to break."""
    captured = _serving(self)
    if captured is not None:
        captured.wait(until=lambda: not self.is_running)


def _serving(blocks: Any) -> Captured | None:
    """Say that *blocks* has started: its startup events have run, example caching included."""
    server = getattr(blocks, "server", None)
    if not isinstance(server, CapturedServer):
        return None
    server.captured.ready()
    return server.captured


def _start_server_for(host: HostedApp) -> Callable[..., tuple[str, int, str, CapturedServer]]:
    def start_server(app: Any, *_args: Any, **_kwargs: Any) -> tuple[str, int, str, CapturedServer]:
        captured = host.capture(app, own_calls=True)
        return "127.0.0.1", captured.port, captured.url, CapturedServer(captured)

    return start_server


def _attach_oauth_for(host: HostedApp) -> Callable[..., None]:
    def attach_oauth(_app: Any) -> None:
        # Off Hugging Face it needs a hub token and a network call; the guard answers its routes.
        host.login_button = True

    return attach_oauth


def _create_app_for(original: Callable[..., Any], host: HostedApp) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def create_app(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["blocks"].auth = None  # the portal's sign-in stands in its place
        bound.arguments["auth_dependency"] = username_for(bound.arguments.get("auth_dependency"))
        app = original(*bound.args, **bound.kwargs)
        app.add_middleware(PersonSession)
        host.before_stop(app.stop_event.set)  # else open heartbeats wait out the graceful time-out
        return app

    return create_app
