"""What we lean on inside Gradio is where we left it.

When one of these fails after an upgrade, the host does not work with that Gradio: mend
``gradio_hooks`` before raising the pin in ``pyproject.toml``.
"""

import inspect
from importlib.metadata import version
from typing import Any

import gradio
import gradio.blocks
import gradio.components.login_button
import gradio.http_server
import gradio.routes
import gradio.utils
import pytest
import uvicorn

from gradio_apps.runtime.host.gradio_hooks import INTERNALS, LAUNCH_OVERRIDES, redirect_under


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_minor_is_the_one_the_host_was_written_for() -> None:
    assert version("gradio").startswith("6.31."), "Read gradio_hooks against the new minor, then change this line."


@pytest.mark.parametrize(("owner", "name"), INTERNALS, ids=lambda part: getattr(part, "__name__", part))
def test_what_is_replaced_is_there(owner: Any, name: str) -> None:
    assert callable(getattr(owner, name)) or name == "_js_handle_redirect"


@pytest.mark.parametrize("name", sorted(LAUNCH_OVERRIDES))
def test_launch_takes_what_is_overridden(name: str) -> None:
    assert name in parameters(gradio.blocks.Blocks.launch)


def test_launch_takes_nothing_unknown_that_could_open_a_port() -> None:
    """
    A new argument of launch() is looked at by somebody before it is let through.
    """
    looked_at = {
        "self", "inline", "debug", "max_threads", "auth_message", "prevent_thread_lock", "show_error", "height",
        "width", "favicon_path", "ssl_keyfile_password", "ssl_verify", "footer_links", "run_history", "allowed_paths",
        "blocked_paths", "app_kwargs", "state_session_capacity", "share_server_address", "share_server_protocol",
        "share_server_tls_certificate", "max_file_size", "enable_monitoring", "strict_cors", "node_server_name",
        "node_port", "mcp_server", "_app", "_frontend", "i18n", "theme", "css", "css_paths", "js", "head", "head_paths",
    }  # fmt: skip

    assert looked_at | set(LAUNCH_OVERRIDES) == set(parameters(gradio.blocks.Blocks.launch))


def test_launch_asks_for_its_server_and_its_app_when_called() -> None:
    source = inspect.getsource(gradio.blocks.Blocks.launch)

    assert "http_server.start_server(" in source
    assert "App.create_app(" in source
    assert "self.block_thread()" in source
    assert "startup-events" in source
    assert "self._queue.set_server_app(self.server_app)" in source


def test_a_started_server_is_asked_to_close_and_no_more() -> None:
    assert "self.server.close()" in inspect.getsource(gradio.blocks.Blocks.close)
    returned = inspect.getsource(gradio.http_server.start_server)
    assert "return server_name, port, path_to_local_server, server" in returned


def test_apps_are_built_from_blocks_with_an_auth_dependency() -> None:
    assert {"blocks", "auth_dependency"} <= set(parameters(gradio.routes.App.create_app))
    source = inspect.getsource(gradio.routes.App.create_app)
    assert "app.auth_dependency(request)" in source
    assert "attach_oauth(app)" in source
    assert "app.auth_dependency = auth_dependency" in source


def test_sign_ins_are_read_from_the_session() -> None:
    source = inspect.getsource(gradio.oauth._get_valid_oauth_info_from_session)

    assert 'session.get("oauth_info")' in source


def test_apps_have_an_event_that_ends_their_streams() -> None:
    assert "self.stop_event = utils.safe_get_stop_event()" in inspect.getsource(gradio.routes.App.__init__)


def test_uvicorn_serves_by_way_of_what_is_replaced() -> None:
    assert {"run", "serve", "startup", "shutdown", "capture_signals", "on_tick"} <= set(dir(uvicorn.Server))
    source = inspect.getsource(uvicorn.Server._serve)
    assert "await self.startup(sockets=sockets)" in source
    assert "await self.shutdown(sockets=sockets)" in source
    assert "create_server" in inspect.getsource(uvicorn.Server.startup)


def test_the_login_button_goes_to_two_addresses_and_both_are_moved_under_the_apps_path() -> None:
    script = gradio.components.login_button._js_handle_redirect
    moved = redirect_under("/run/forecast", script)

    assert script.count("'/") == moved.count("'/run/forecast/") == 2
    assert "'/run/forecast/login/huggingface?_target_url=/REDIRECT_URL'" in moved
    assert "'/run/forecast/logout?_target_url=/REDIRECT_URL'" in moved
    assert redirect_under("", script) == script
    assert "_js_handle_redirect.replace(" in inspect.getsource(gradio.LoginButton.activate)
