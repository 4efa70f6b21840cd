"""What we lean on inside Gradio is where we left it.

When one of these fails after an upgrade, the host does not work with that Gradio: write an entry in
``gradio_minors`` before raising the pin in ``pyproject.toml``.  The last Gradio 5 runs these very tests in an
environment of its own (``test_gradio_five``), so nothing here may need what it has not.
"""

import ast
import asyncio
import copy
import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import gradio
import gradio.blocks
import gradio.components.login_button
import gradio.http_server
import gradio.oauth
import gradio.route_utils
import gradio.routes
import gradio.utils
import pytest
import uvicorn
from starlette.requests import Request

from gradio_apps.runtime.host.gradio_hooks import (
    leave_sign_out_to_portal,
    no_empty_token,
    owner_of,
    redirect_under,
    take_lists,
)
from gradio_apps.runtime.host.gradio_minors import ON_THE_SERVER, installed_minor


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


MINOR = installed_minor()


REPLACED = [
    *MINOR.replaced,
    *(path for path, _ in (*MINOR.node, *MINOR.fixed)),
    *MINOR.launching,
    *MINOR.overriding,
]


@pytest.mark.parametrize("path", REPLACED)
def test_what_is_replaced_is_there(path: str) -> None:
    assert callable(getattr(*owner_of(path))) or path.endswith("_js_handle_redirect")


@pytest.mark.parametrize("name", sorted(MINOR.launch))
def test_launch_takes_what_is_overridden(name: str) -> None:
    assert name in parameters(gradio.blocks.Blocks.launch)


def test_launch_takes_nothing_unknown_that_could_open_a_port() -> None:
    """
    A new argument of launch() must be reviewed before it is allowed.
    """
    assert MINOR.reviewed | set(MINOR.launch) == set(parameters(gradio.blocks.Blocks.launch))


def test_whatever_of_gradios_own_overrides_launch_is_known() -> None:
    """
    Such a launch() may open a browser, or print a secret, around the one that is replaced.

    Read, not imported: some of Gradio's modules build an app when they are.
    """
    folder = Path(gradio.__path__[0])
    found = {
        f"gradio.{'.'.join(file.relative_to(folder).with_suffix('').parts)}:{one.name}"
        for file in folder.rglob("*.py")
        for one in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(one, ast.ClassDef)
        and any(isinstance(member, ast.FunctionDef) and member.name == "launch" for member in one.body)
    }
    known = [getattr(*owner_of(path)) for path in (*MINOR.launching, *MINOR.overriding)]

    assert found == {f"{kind.__module__}:{kind.__qualname__}" for kind in known}
    for path in MINOR.overriding:
        source = inspect.getsource(getattr(*owner_of(path)).launch)
        assert "super().launch(**kwargs)" in source
        assert set(ON_THE_SERVER) <= set(re.findall(r'kwargs\.get\("(\w+)"', source))


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
    assert {"blocks", "auth_dependency", *MINOR.create_app} <= set(parameters(gradio.routes.App.create_app))
    source = inspect.getsource(gradio.routes.App.create_app)
    assert "app.auth_dependency(request)" in source
    assert "attach_oauth(app)" in source
    assert "App(auth_dependency=auth_dependency" in source
    assert "self.auth_dependency = auth_dependency" in inspect.getsource(gradio.routes.App.__init__)


def test_sign_ins_are_read_from_the_session() -> None:
    for read in (gradio.helpers.special_args, gradio.LoginButton._check_login_status):
        source = inspect.getsource(read)
        assert "oauth_info" in source
        assert "session" in source


def test_no_node_process_stands_in_front_unless_it_was_started_by_what_is_replaced() -> None:
    """
    Wherever one could be started, what is replaced is asked first, or is what would start it.
    """
    named = {path.rpartition(":")[2].rpartition(".")[2] for path, _ in MINOR.node}
    assert "ssr_mode" in MINOR.launch
    assert any(name in inspect.getsource(gradio.routes.mount_gradio_app) for name in named)


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


def test_gradios_own_sign_out_is_found_and_an_authors_is_not_touched() -> None:
    def theirs(_request: Request) -> None: ...

    async def built() -> Any:
        with gradio.Blocks() as blocks:
            gradio.Markdown()
        return gradio.routes.App.create_app(blocks)

    app = asyncio.run(built())  # outside of a running loop, Gradio makes loops that it never closes
    before = [route for route in app.router.routes if getattr(route, "path", "") == "/logout"]
    app.add_route("/logout", theirs)
    leave_sign_out_to_portal(app, path="/run/forecast")
    ours, token_ = [route for route in app.router.routes if getattr(route, "path", "") == "/logout"]

    assert len(before) == 1
    assert ours is not before[0]
    assert ours.endpoint(None).headers["location"] == "/run/forecast/.portal/sign-out"
    assert token_.endpoint is theirs


def test_an_empty_token_is_none_and_what_is_one_stays() -> None:
    """
    Gradio makes its token of what the session says, and asks whether there is one only afterwards.
    """
    source = inspect.getsource(gradio.helpers.special_args)
    assert re.search(r"oauth\.OAuthToken\(\s*token=oauth_info", source)
    assert "if oauth_token is None and type_hint == oauth.OAuthToken:" in source

    token: Any = type("Token", (gradio.oauth.OAuthToken,), {})

    no_empty_token(token)
    assert token(token="", scope="openid", expires_at=1) is None
    assert token("", "openid", 1) is None
    token_ = token(token="hf_x", scope="openid", expires_at=1)
    assert (token_.token, token_.scope) == ("hf_x", "openid")
    assert dataclasses.replace(token_, token="hf_y").token == "hf_y"
    assert copy.copy(token_).token == "hf_x"


def test_what_is_kept_of_its_api_is_an_attribute_of_the_app_alone() -> None:
    app = gradio.routes.App

    assert "self.api_info = None" in inspect.getsource(app.__init__)
    assert not hasattr(app, "api_info")


def test_a_list_in_a_session_is_a_list() -> None:
    kind: Any = type("Obj", (gradio.route_utils.Obj,), {})
    take_lists(kind)
    made = kind({"user": {"roles": ["a", {"b": 1}], "empty": []}, "n": 1})

    assert (made.user.roles, made["user"].get("empty"), made.n) == (["a", {"b": 1}], [], 1)
    assert isinstance(made.user, kind)
    assert "json.dumps(d), object_hook=Obj" in inspect.getsource(gradio.route_utils.Request.dict_to_obj)
