"""What the guard knows of Gradio's paths is held against the Gradio that is installed.

Fails loudly when a route that carries a session hash or an event id appears or moves.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from gradio_apps.runtime.guard.gradio_calls import call_of, is_gradio_path

LIST_ROUTES = """
import json
import gradio as gr
from gradio.routes import App

def walk(routes):
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from walk(inner.routes)
        else:
            yield route

with gr.Blocks() as demo:
    text = gr.Textbox()
    text.change(lambda value: value, text, text)
found = []
for route in walk(App.create_app(demo).routes):
    dependant = getattr(route, "dependant", None)
    if dependant is not None:
        body = getattr(route, "body_field", None)
        found.append({
            "methods": sorted(getattr(route, "methods", ["WEBSOCKET"])),
            "path": route.path,
            "query": [one.name for one in dependant.query_params],
            "body": sorted(getattr(body.field_info.annotation, "model_fields", {})) if body else [],
        })
print(json.dumps(found))
"""

# Gradio overwrites an event id in these bodies, so it is not acted on.
OVERWRITTEN = ("/queue/join", "/run/", "/api/")


@pytest.fixture(scope="module")
def routes(processes: None) -> list[dict[str, Any]]:
    environ = {"GRADIO_ANALYTICS_ENABLED": "False", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
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


def filled(path: str) -> str:
    for name in ("session_hash", "event_id"):
        path = path.replace(f"{{{name}}}", f"the-{name}")
    return path.replace("{", "").replace("}", "")


def test_every_route_that_carries_an_id_is_known(routes: list[dict[str, Any]]) -> None:
    carrying = 0
    for route in routes:
        path, method = filled(route["path"]), route["methods"][0]
        call = call_of(method, path)
        if "the-session_hash" in path:
            assert call.hashes == ("the-session_hash",), route
            carrying += 1
        if "the-event_id" in path:
            assert call.events == ("the-event_id",), route
            carrying += 1
        if "session_hash" in route["query"]:
            assert is_gradio_path(path), route
            carrying += 1
        if "session_hash" in route["body"]:
            assert call.body_hash, route
            carrying += 1
        if "event_id" in route["body"] and not any(part in path for part in OVERWRITTEN):
            assert call.body_event, route
            carrying += 1
    assert carrying >= 18


def test_component_server_reads_its_body_by_hand(routes: list[dict[str, Any]]) -> None:
    assert any(route["path"].endswith("/component_server") and route["body"] == [] for route in routes)
    assert call_of("POST", "/gradio_api/component_server").form
