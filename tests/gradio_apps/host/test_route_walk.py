"""Every route of guarded Gradio apps, knocked at by people who have no business there."""

import asyncio
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI, WebSocket
from gradio.routes import App
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from gradio_apps.runtime.guard.cookies import CookieSeal
from portal.contract import Inactive
from tests.asgi import Outcome, drive, http_scope, websocket_scope
from tests.gradio_apps.guard.deployment import APP, Deployment, a_deployment, guard_settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ODD_PATHS = (
    "//config",
    "/./config",
    "/x/../config",
    "/.portal/../config",
    "/.portal/session/../../config",
    "/.portal%2F..%2Fconfig",
    "/.PORTAL/health",
    "/gradio_api/queue/join/",
    "/gradio_api/mcp",
    "/gradio_api/mcp/",
    "/gradio_api/mcp/sse",
    "/GRADIO_API/info",
    "/login/huggingface",
    "/login/callback",
    "/nothing/here",
)


def add(left: float, right: float) -> float:
    """Add two numbers.

    Args:
        left: one
        right: other
    """
    return left + right


def a_server() -> FastAPI:
    """gr.Server with a page, an API and MCP, as its launch() builds it."""
    server = gr.Server()

    def mine(item: str) -> str:
        return item

    server.add_api_route("/mine/{item}", mine)

    with gr.Blocks(mode="server") as blocks:
        gr.api(add, api_name="add", queue=False)
    app: FastAPI = App.create_app(blocks, app=server, mcp_server=True)
    assert not blocks.mcp_error, blocks.mcp_error
    return app


def a_mounted_app() -> FastAPI:
    """A FastAPI with routes, files and a WebSocket of its own, and Gradio with MCP mounted in it."""
    app = FastAPI(docs_url="/docs")

    @app.api_route("/custom", methods=["GET", "POST", "PUT", "DELETE"])
    def custom() -> str:
        return "custom"

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    app.mount("/files", StaticFiles(directory="."))
    with gr.Blocks() as blocks:
        gr.Interface(add, ["number", "number"], "number", api_name="add")
        gr.UploadButton()
    gr.mount_gradio_app(app, blocks, path="/", mcp_server=True, pwa=True, enable_monitoring=True)
    assert not blocks.mcp_error, blocks.mcp_error
    return app


def doors(routes: list[Any], prefix: str = "") -> Iterator[str]:
    """Paths of all *routes*, parameters filled in, sub-apps and included routers descended into."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from doors(included.routes, prefix)
        elif isinstance(route, Mount):
            yield f"{prefix}{route.path}/"
            yield f"{prefix}{route.path}/some/file"
            yield from doors(getattr(route.app, "routes", []), prefix + route.path)
        elif isinstance(route, Route | WebSocketRoute):
            path = prefix + route.path
            for name in route.param_convertors:
                kinds = {"int": "1", "path": "some/file"}
                convertor = type(route.param_convertors[name]).__name__.removesuffix("Convertor").lower()
                filled = kinds.get(convertor, "something")
                path = path.replace(f"{{{name}:{convertor}}}", filled).replace(f"{{{name}}}", filled)
            yield path


Credentials = Callable[[Deployment], dict[str, str]]


def without(_deployment: Deployment) -> dict[str, str]:
    return {}


def ended(deployment: Deployment) -> dict[str, str]:
    deployment.portal.sessions["ended"] = Inactive(code="signed-out")
    return {"cookie": deployment.cookie("ended")}


def of_another_app(deployment: Deployment) -> dict[str, str]:
    """A good session of a sibling, under this app's cookie name and under its own."""
    deployment.portal.person("theirs")
    other = guard_settings(
        app="other", app_url="https://other.apps.example.com", secret="another-secret-of-32-characters"
    )
    value = CookieSeal(other).seal("theirs")
    return {"cookie": f"{deployment.settings.cookie_name}={value}; {other.cookie_name}={value}"}


def forged(deployment: Deployment) -> dict[str, str]:
    deployment.portal.person("app-session-1")
    return {"cookie": f"{deployment.settings.cookie_name}=app-session-1.{'A' * 43}"}


def asked_by_a_script() -> dict[str, str]:
    return {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "origin": APP}


def opened_in_a_frame() -> dict[str, str]:
    return {
        "sec-fetch-site": "same-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "iframe",
        "accept": "text/html",
    }


def typed_by_curl() -> dict[str, str]:
    return {"authorization": "Bearer app-session-1", "accept": "*/*"}


SHAPES = {"server": a_server, "mounted": a_mounted_app} if hasattr(gr, "Server") else {"mounted": a_mounted_app}


@pytest.fixture(scope="module", params=SHAPES.values(), ids=list(SHAPES))
def app(request: pytest.FixtureRequest) -> FastAPI:
    async def build() -> FastAPI:
        built: FastAPI = request.param()
        return built

    # In a running loop: outside of one, Gradio makes loops that it never closes.
    return asyncio.run(build())


def test_the_walk_finds_the_doors(app: FastAPI) -> None:
    """
    A walk that finds nothing proves nothing: these must be among what it knocks at.
    """
    found = set(doors(app.routes))

    assert {"/config", "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/upload"} <= found
    assert "/gradio_api/heartbeat/something" in found
    assert any(path.startswith("/gradio_api/mcp") for path in found)
    assert {"/mine/something"} <= found or {"/custom", "/socket", "/files/", "/docs"} <= found
    assert len(found) > 60


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [asked_by_a_script, opened_in_a_frame, typed_by_curl])
@pytest.mark.parametrize("credentials", [without, ended, of_another_app, forged])
async def test_no_door_opens(app: FastAPI, credentials: Credentials, kind: Callable[[], dict[str, str]]) -> None:
    """
    401 (for a page: with the way to sign in), 403 for what another site sent with a cookie, or
    the guard's own paths; and the app itself is never asked.
    """
    async with a_deployment(app) as deployment:
        headers = {"host": deployment.host, **kind(), **credentials(deployment)}
        for path in sorted({*doors(app.routes), *ODD_PATHS}):
            for method in METHODS:
                outcome = await drive(deployment.guard, http_scope(path, method=method, headers=headers))
                assert is_closed(outcome, path=path), (method, path, outcome.status, outcome.headers)
            socket = await drive(deployment.guard, websocket_scope(path, headers=headers))
            assert [message["type"] for message in socket.messages] == ["websocket.close"], path
        assert deployment.app.scopes == []


def is_closed(outcome: Outcome, *, path: str) -> bool:
    if path.lower().startswith("/.portal"):
        return outcome.status in {401, 403, 404, 405}
    return outcome.status in {401, 403}


@pytest.mark.anyio
async def test_the_same_doors_open_for_somebody_with_a_session(app: FastAPI) -> None:
    """
    The control: what the walk knocks at is there.
    """
    async with a_deployment(app) as deployment:
        for path in ("/config", "/gradio_api/info", "/gradio_api/mcp/schema"):
            assert (await deployment.get(path)).status == 200, path


def test_the_mcp_that_gradio_wants_is_installed() -> None:
    """
    These Gradios speak to mcp 1.x; with 2.x it drops the MCP mount, and the walk would not see it.
    """
    assert version("mcp").split(".")[0] == "1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
