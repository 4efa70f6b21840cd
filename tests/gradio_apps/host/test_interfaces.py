"""Where in an app its interface is found."""

import asyncio
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp

from gradio_apps.runtime.host.bridge import in_loop
from gradio_apps.runtime.host.interfaces import only_interface


def mounted(*paths: str, app: FastAPI | None = None) -> Any:
    async def build() -> FastAPI:
        built = FastAPI() if app is None else app
        for path in paths:
            with gr.Blocks() as blocks:
                gr.Markdown()
            built = gr.mount_gradio_app(built, blocks, path=path)
        return built

    return asyncio.run(build())  # outside of a running loop, Gradio makes loops that it never closes


def bridged(app: ASGIApp) -> ASGIApp:
    async def build() -> ASGIApp:
        return in_loop(app, asyncio.get_running_loop())

    return asyncio.run(build())


@pytest.mark.parametrize(
    ("app", "found"),
    [
        (mounted("/ui"), "/ui/"),
        (mounted("/a/b/"), "/a/b/"),
        (mounted("/"), None),
        (mounted("/one", "/two"), None),
        (mounted(), None),
        (SessionMiddleware(mounted("/ui"), secret_key="x"), "/ui/"),
        (
            Starlette(routes=[Mount("/deep", mounted("/ui"))], middleware=[Middleware(SessionMiddleware, "x")]),
            "/deep/ui/",
        ),
        (Starlette(routes=[Mount("/{tenant}", mounted("/ui"))]), None),
        (bridged(mounted("/ui")), "/ui/"),
        (object(), None),
    ],
)
def test_one_interface_below_the_root_is_found_and_no_guess_is_made(app: Any, found: str | None) -> None:
    assert only_interface(app) == found


def test_an_app_that_wraps_itself_ends_the_search() -> None:
    class Loop:
        @property
        def app(self) -> "Loop":
            return self

    assert only_interface(Loop()) is None
