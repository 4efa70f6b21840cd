"""Hooks that stop Gradio's ``launch()`` before it starts a server, and leave the rest of it alone.

They replace internals; :mod:`~gradio_apps.runtime.host.gradio_minors` names each of them, for each minor version of
Gradio, and a test fails if one has moved.
"""

import functools
import importlib
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import gradio
import gradio.blocks
import gradio.components.login_button
import gradio.http_server
import gradio.oauth
import gradio.route_utils
import gradio.routes
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from gradio_apps.runtime.host.gradio_minors import ON_THE_SERVER, Minor, installed_minor
from gradio_apps.runtime.host.hosted import Captured, HostedApp
from gradio_apps.runtime.host.idle_polling import IdlePause
from gradio_apps.runtime.host.person import PersonSession, username_for
from gradio_apps.runtime.host.self_requests import in_own_call
from portal.contract.guard_paths import SIGN_OUT_PATH

_LOGOUT: Final = "/logout"
logger = logging.getLogger("gradio_portal.host")

_LOGGED: Final = ("auth", "auth_dependency", "server_name", "server_port", "share", "ssr_mode", "root_path")


def install(host: HostedApp) -> None:
    """Replace what the installed Gradio's entry names so that launched apps are handed to *host*.

    Must run before the author's code: leaving a ``with gr.Blocks()`` already builds routes.

    Raises:
        UnknownGradio: the host does not support the installed Gradio.
    """
    minor = installed_minor()
    blocks = gradio.blocks.Blocks
    arguments = inspect.signature(blocks.launch)
    blocks.launch = _launch_for(blocks.launch, minor)
    for path in minor.overriding:
        kind = getattr(*owner_of(path))
        kind.launch = _outer_launch_for(kind.launch, arguments, minor)
    blocks.block_thread = _block_thread
    for path, value in (*minor.node, *minor.fixed):
        owner, name = owner_of(path)
        setattr(owner, name, _always(value))
    for path, rest in minor.pauses.items():
        owner, name = owner_of(path)
        setattr(owner, name, IdlePause(name, rest))
    gradio.http_server.start_server = _start_server_for(host)
    gradio.routes.attach_oauth = _attach_oauth_for(host)
    no_empty_token(gradio.oauth.OAuthToken)
    take_lists(gradio.route_utils.Obj)
    button = gradio.components.login_button
    button._js_handle_redirect = redirect_under(host.path, button._js_handle_redirect)  # noqa: SLF001  ours to fix
    gradio.routes.App.api_info = SeparateForOwnCalls("api_info")
    gradio.routes.App.create_app = staticmethod(_create_app_for(gradio.routes.App.create_app, host, minor))


def owner_of(path: str) -> tuple[Any, str]:
    """Return the object with the attribute *path* (``module:attribute``), and the attribute's name."""
    module, _, dotted = path.partition(":")
    *between, name = dotted.split(".")
    return functools.reduce(getattr, between, importlib.import_module(module)), name


def no_empty_token(kind: type) -> None:
    """Make *kind*, Gradio's ``OAuthToken``, return ``None`` for an empty token: the portal gives no token to an app.

    Gradio then behaves as without a token: a handler gets ``None`` if it allows that, else Gradio's own error.
    With an empty token, Hugging Face's libraries would use the token of the process (``HF_TOKEN``) for the person.
    """

    def made(cls: type, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls) if (args or (kwargs.get("token", True),))[0] else None

    kind.__new__ = made  # type: ignore[assignment]  # replacing it is the point


def take_lists(kind: type) -> None:
    """Make *kind*, the object that ``gr.Request`` builds from a dictionary, leave lists unchanged.

    Gradio treats a list as a dictionary and fails, on any session with a list, such as one of roles.
    """

    def members(self: Any, values: Mapping[str, Any]) -> None:
        self.__dict__.update(
            {name: kind(value) if isinstance(value, dict) else value for name, value in values.items()}
        )

    kind.__init__ = members  # type: ignore[misc]  # replacing it is the point


def leave_sign_out_to_portal(app: Any, *, path: str) -> None:
    """Redirect Gradio's own ``/logout`` of *app*, under *path*, to the portal's sign-out; an author's route stays."""
    routes = app.router.routes
    for index, route in enumerate(routes):
        if getattr(route, "path", "") == _LOGOUT and route.endpoint.__module__ == gradio.routes.__name__:
            routes[index] = Route(_LOGOUT, _to_sign_out(path), include_in_schema=False)


def _to_sign_out(path: str) -> Callable[[Request], RedirectResponse]:
    def to_sign_out(_request: Request) -> RedirectResponse:
        return RedirectResponse(path + SIGN_OUT_PATH, 303)

    return to_sign_out


def redirect_under(path: str, script: str) -> str:
    """Return the *script* of ``gr.LoginButton``, which goes to the host's root, for an app under *path*."""
    return script.replace("'/login/huggingface", f"'{path}/login/huggingface").replace("'/logout", f"'{path}/logout")


class SeparateForOwnCalls:
    """An attribute *name* of Gradio's app with one value for people, and another for the app's calls to itself.

    Gradio caches its API description, with the address of the first request for it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else vars(instance).get(self._key)

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self._key] = value

    @property
    def _key(self) -> str:
        return f"{self._name} of its own calls" if in_own_call.get() else self._name


class CapturedServer:
    """Stands in for Gradio's running server."""

    def __init__(self, captured: Captured) -> None:
        self.captured = captured

    def close(self) -> None:
        """Stop serving, as ``Blocks.close`` asks."""
        self.captured.close()


def _launch_for(original: Callable[..., Any], minor: Minor) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        replaced = [name for name in _LOGGED if bound.arguments.get(name)]
        if replaced:
            logger.info("launch(%s=…) is left to the portal.", "=…, ".join(replaced))
        bound.arguments.update(minor.launch)
        if bound.arguments.get("enable_monitoring"):
            bound.arguments["enable_monitoring"] = None  # the same, but does not print an address with a key in it
        result = original(*bound.args, **bound.kwargs)
        if getattr(self, "mcp_error", None):
            logger.error("%s", self.mcp_error)
        _serving(self)
        return result

    return launch


def _outer_launch_for(original: Callable[..., Any], arguments: inspect.Signature, minor: Minor) -> Callable[..., Any]:
    """Return *original*, a ``launch()`` that wraps that of Blocks, with the portal's values for its own arguments."""

    @functools.wraps(original)
    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:
        values = dict(arguments.bind(self, *args, **kwargs).arguments)
        del values["self"]
        return original(self, **values | {name: minor.launch[name] for name in ON_THE_SERVER})

    return launch


def _always(value: Any) -> Callable[..., Any]:
    def replaced(*_args: Any, **_kwargs: Any) -> Any:
        return value

    return replaced


def _block_thread(self: Any) -> None:
    """Block while the app is served, instead of Gradio's loop, which only a signal ends."""
    captured = _serving(self)
    if captured is not None:
        captured.wait(until=lambda: not self.is_running)


def _serving(blocks: Any) -> Captured | None:
    """Mark *blocks* as started, after its startup events and example caching; return its captured app."""
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
    def attach_oauth(app: Any) -> None:
        # Outside Hugging Face it needs a hub token and a network call; the guard answers its other routes.
        host.login_button = True
        app.add_route(_LOGOUT, _to_sign_out(host.path), include_in_schema=False)

    return attach_oauth


def _create_app_for(original: Callable[..., Any], host: HostedApp, minor: Minor) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def create_app(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["blocks"].auth = None  # the portal's sign-in replaces it
        theirs = bound.arguments.get("auth_dependency")
        bound.arguments["auth_dependency"] = username_for(theirs, awaited=minor.awaits)
        bound.arguments.update(minor.create_app)
        app = original(*bound.args, **bound.kwargs)
        leave_sign_out_to_portal(app, path=host.path)
        app.add_middleware(PersonSession)
        host.before_stop(app.stop_event.set)  # otherwise open heartbeats last until the graceful timeout
        return app

    return create_app
