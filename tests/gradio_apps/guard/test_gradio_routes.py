"""The guard's table of Gradio's routes is held against the Gradio that is installed.

Fails loudly when a route, a body field or a parameter appears that has not been looked at: is it an id that one person
alone acts on?  And every id in the table is tried by another person, wherever it may stand.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gradio_apps.runtime.guard.gradio_routes import IDS, PREFIX, ROUTES, SHARED, IdKind, Route
from gradio_apps.runtime.guard.headers import RawHeaders
from portal.contract.interpreters import GRADIO, minor_of
from tests.asgi import Outcome, drive, websocket_scope
from tests.gradio_apps.guard.deployment import Deployment, a_deployment, a_person

LIST_ROUTES = """
import json
import gradio as gr
from gradio.routes import App

def walk(routes, prefix=""):
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from walk(inner.routes, prefix)
        elif type(route).__name__ == "Mount":
            yield prefix + route.path + "/{path:path}", route
            yield from walk(getattr(route.app, "routes", None) or [], prefix + route.path)
        else:
            yield prefix + route.path, route

def dependants(of):
    yield of
    for one in of.dependencies:
        yield from dependants(one)

def add(left: float, right: float) -> float:
    "Add."
    return left + right

with gr.Blocks() as demo:
    gr.Interface(add, ["number", "number"], "number")
with demo.route("second"):
    gr.Textbox()
app = App.create_app(demo, mcp_server=True)
assert not demo.mcp_error, demo.mcp_error
found = []
for path, route in walk(app.routes):
    dependant = getattr(route, "dependant", None)
    if dependant is None:
        found.append({"path": path, "methods": sorted(getattr(route, "methods", None) or [])})
        continue
    every = list(dependants(dependant))
    body = getattr(route, "body_field", None)
    model = getattr(body.field_info.annotation, "model_fields", None) if body else None
    found.append({
        "path": path,
        "methods": sorted(getattr(route, "methods", None) or ["WEBSOCKET"]),
        "query": [one.alias for each in every for one in each.query_params],
        "else": [one.alias for each in every for one in each.header_params + each.cookie_params],
        "body": sorted(model or [one.alias for one in dependant.body_params]) if body else [],
    })
print(json.dumps(found))
"""

MINOR = minor_of(version("gradio"))
ANAS = {IdKind.SESSION: "anas-hash", IdKind.EVENT: "anas-event", IdKind.UPLOAD: "anas-upload", IdKind.MCP: "a" * 32}


@pytest.fixture(scope="module")
def routes(processes: None) -> list[dict[str, Any]]:
    environ = {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_PROFILING": "1",
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIST_ROUTES],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=environ,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def known(method: str, path: str) -> Route | None:
    """The table's entry for a route of Gradio's; a page of the sample stands for every page."""
    path = "/{page}" if path == "/second" else path
    found = (one for one in ROUTES if one.path == path and method in one.methods.split() and MINOR in one.gradio)
    return next(found, None)


def test_every_route_of_this_gradio_is_in_the_table(routes: list[dict[str, Any]]) -> None:
    unknown = [
        (method, route["path"])
        for route in routes
        for method in route["methods"]
        if known(method, route["path"].rstrip("/") or "/") is None
    ]

    assert unknown == []
    assert len(routes) > 60


def test_every_parameter_of_this_gradio_is_in_the_table(routes: list[dict[str, Any]]) -> None:
    for route, method in [(one, method) for one in routes for method in one["methods"]]:
        entry = known(method, route["path"].rstrip("/") or "/")
        assert entry is not None
        assert set(route.get("query", [])) <= set(entry.query), route
        assert route.get("else", []) == [], route
        if not entry.by_hand:
            assert set(route.get("body", [])) <= set(entry.body), route
            assert bool(route.get("body")) == bool(entry.body), route
        elif "body" in route:  # FastAPI reads none, or one without names
            assert route["body"] in ([], ["body"]), route


def test_every_entry_for_this_gradio_is_a_route_of_it(routes: list[dict[str, Any]]) -> None:
    there = {(method, route["path"].rstrip("/") or "/") for route in routes for method in route["methods"]}
    mounted = {route["path"] for route in routes if not route["methods"]}
    pages = {(method, "/{page}") for method, path in there if path == "/second"}

    assert MINOR in GRADIO
    assert [
        (method, entry.path)
        for entry in ROUTES
        for method in entry.methods.split()
        if MINOR in entry.gradio
        and (method, entry.path) not in there | pages
        and not any(one in mounted for one in (entry.path, f"{entry.path}/{{path:path}}"))
    ] == []


def test_every_parameter_is_an_id_or_said_to_be_none() -> None:
    names = {name for entry in ROUTES for name in (*entry.parameters, *entry.query, *entry.body)}

    assert names == {*IDS, *SHARED}
    assert {minor for entry in ROUTES for minor in entry.gradio} == set(GRADIO)


READ_BY_HAND = re.compile(r"""(?:query_params|req(?:uest)?\.headers)(?:\.get\(|\[)\s*f?["']([^"']+)""")
NO_IDS = {
    "Content-Type", "Range", "if-none-match",  # of HTTP
    "session_hash",  # this header names an upload in what is measured for developers, and nothing else
    "__sign",  # a signature of a proxy's, passed on in addresses
    "_nb_redirects", "_target_url",  # of gr.LoginButton, whose routes the guard answers
    "all_endpoints", "tools",  # what is asked for
    "write_token",  # a secret of the process
    "x-ip-token",  # of Hugging Face's own
}  # fmt: skip


def test_what_gradio_reads_of_a_request_by_hand_is_known() -> None:
    """
    FastAPI knows nothing of these: a new one may be an id.
    """
    [folder] = find_spec("gradio").submodule_search_locations  # type: ignore[union-attr,misc]  # it is a package
    found = {name for file in Path(folder).glob("*.py") for name in READ_BY_HAND.findall(file.read_text("utf-8"))}

    assert {"all_endpoints", "Content-Type"} <= found <= NO_IDS


# --- Another person's ids, in every part of the table -------------------------------------------


def parts() -> Iterator[tuple[Route, str, IdKind]]:
    """Every part where a route may name an id: ``path``, ``query``, ``body`` or ``form``."""
    for entry in ROUTES:
        if entry.path.startswith(PREFIX) and not entry.developer:
            yield from ((entry, "path", IDS[name]) for name in entry.parameters if name in IDS)
            yield from ((entry, "query", IDS[name]) for name in entry.query if name in IDS)
            yield from ((entry, "body", IDS[name]) for name in entry.body if name in IDS)
            if entry.form:
                yield from ((entry, "form", IDS[name]) for name in entry.body if name in IDS)


def unaccounted() -> Iterator[tuple[Route, str, IdKind]]:
    """Ids in queries that Gradio does not read today."""
    named = {(entry.path, kind) for entry, part, kind in parts() if part == "query"}
    for entry, kind in product(ROUTES, IdKind):
        if entry.path.startswith(PREFIX) and not entry.developer and (entry.path, kind) not in named:
            yield entry, "query", kind


async def issuing(scope: Any, receive: Any, send: Any) -> None:
    """Hands out an event, or an MCP session, and says yes to all else."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        return
    headers: RawHeaders = [(b"content-type", b"application/json")]
    if scope["path"].endswith("/sse"):
        body = f"event: endpoint\r\ndata: /gradio_api/mcp/messages/?session_id={ANAS[IdKind.MCP]}\r\n\r\n".encode()
    else:
        body = json.dumps({"event_id": ANAS[IdKind.EVENT]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def named(deployment: Deployment, entry: Route, part: str, kind: IdKind, headers: dict[str, str]) -> Outcome:
    """Send a request to *entry* that names Ana's id in *part*."""
    path = entry.path
    for name in entry.parameters:
        value = ANAS[kind] if part == "path" and name == kind.value else f"of-{headers['x-person']}"
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    if part == "query":
        path += f"?{kind.value}={ANAS[kind]}"
    body = json.dumps({kind.value: ANAS[kind]} if part == "body" else {}).encode()
    headers = {**headers, "content-type": "application/json"}
    if part == "form":
        headers["content-type"] = "multipart/form-data; boundary=b"
        form = f'--b\r\nContent-Disposition: form-data; name="{kind.value}"\r\n\r\n{ANAS[kind]}\r\n--b--\r\n'
        body = form.encode()
    method = entry.methods.split()[0]
    if method != "WEBSOCKET":
        return await drive(deployment.guard, deployment.scope(path, method=method, headers=headers), body=body)
    socket = {"host": deployment.host, "origin": deployment.settings.app_origin, "cookie": headers["cookie"]}
    return await drive(deployment.guard, websocket_scope(path, headers=socket))


def named_so(case: tuple[Route, str, IdKind]) -> str:
    entry, part, kind = case
    return f"{entry.methods.split()[0]} {entry.path.removeprefix(PREFIX)} {part} {kind.value}"


@pytest.mark.anyio
@pytest.mark.parametrize("case", [*parts(), *unaccounted()], ids=named_so)
async def test_another_persons_id_reaches_nothing_wherever_it_stands(case: tuple[Route, str, IdKind]) -> None:
    entry, part, kind = case
    if entry.methods == "WEBSOCKET" and part != "path":
        return  # its messages: test_bindings.py
    async with a_deployment(issuing) as deployment:
        ana = {**deployment.signed_in("ana"), "x-person": "ana"}
        ben = {**deployment.signed_in("ben", a_person(subject="ben")), "x-person": "ben"}
        await deployment.post_json("/gradio_api/queue/join", json.dumps({"session_hash": ANAS[IdKind.SESSION]}), ana)
        await deployment.get(f"/gradio_api/upload_progress?upload_id={ANAS[IdKind.UPLOAD]}", ana)
        await deployment.get("/gradio_api/mcp/sse", ana)
        served = len(deployment.app.scopes)

        refused = await named(deployment, entry, part, kind, ben)

        if entry.methods == "WEBSOCKET":
            assert [message["type"] for message in refused.messages] == ["websocket.close"]
        else:
            assert refused.status == (404 if kind is IdKind.MCP else 403)
        assert len(deployment.app.scopes) == served
        if entry.parameters == () or part == "path":  # other ids in the path would be unknown
            allowed = await named(deployment, entry, part, kind, ana)
            assert allowed.status == (0 if entry.methods == "WEBSOCKET" else 200)
            assert len(deployment.app.scopes) == served + 1


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/mcp", "/gradio_api/mcp/"])
async def test_a_streamable_mcp_session_belongs_to_whom_the_answers_header_gave_it(path: str) -> None:
    async def server(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Mcp-Session-Id", b"anas")]})
        await send({"type": "http.response.body", "body": b""})

    async with a_deployment(server) as deployment:
        ana, ben = deployment.signed_in("ana"), deployment.signed_in("ben", a_person(subject="ben"))
        assert (await deployment.post_json(path, "{}", ana)).status == 200

        assert (await deployment.post_json(path, "{}", {**ana, "mcp-session-id": "anas"})).status == 200
        assert (await deployment.post_json(path, "{}", {**ben, "mcp-session-id": "anas"})).status == 404
        assert (await deployment.post_json(path, "{}", {**ana, "mcp-session-id": "unheard-of"})).status == 404


@pytest.mark.anyio
async def test_what_an_mcp_tool_says_later_hands_out_no_session() -> None:
    async def server(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (
            b"event: endpoint\r\ndata: /m/?session_id=" + b"b" * 32,
            b"\r\n\r\n",
            b"x?session_id=" + b"c" * 32,
        ):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with a_deployment(server) as deployment:
        await deployment.get("/gradio_api/mcp/sse")

        statuses = [
            (await deployment.post_json(f"/gradio_api/mcp/messages/?session_id={one * 32}", "{}")).status
            for one in "bc"
        ]

    assert statuses == [200, 404]


@pytest.mark.anyio
async def test_developers_tools_and_unknown_routes_are_not_there() -> None:
    async with a_deployment(issuing) as deployment:
        for entry in [entry for entry in ROUTES if entry.developer]:
            scope = deployment.scope(entry.path, method=entry.methods)
            assert (await drive(deployment.guard, scope)).status == 404, entry
        assert (await deployment.post_json("/gradio_api/of/a/later/minor", "{}")).status == 404
        assert deployment.app.scopes == []


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/gradio_api/queue/join%0A", "/gradio_api/cancel%0a", "/gradio_api/reset%0A"])
async def test_a_line_feed_at_the_end_of_an_address_hides_no_body(path: str) -> None:
    async with a_deployment(issuing) as deployment:
        assert (await deployment.post_json(path, '{"session_hash": "h", "event_id": "e"}')).status == 400
        assert deployment.app.scopes == []


@pytest.mark.anyio
async def test_a_link_that_would_show_an_upload_as_a_page_is_refused() -> None:
    async with a_deployment(issuing) as deployment:
        assert (await deployment.get("/?deep_link=../0123")).status == 400
        assert (await deployment.get("/config?deep_link=%2E%2E%2F0123")).status == 400
        assert deployment.app.scopes == []
        assert (await deployment.get("/?deep_link=0123-_a")).status == 200
