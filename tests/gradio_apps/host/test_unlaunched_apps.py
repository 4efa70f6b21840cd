"""What a script that launched nothing is taken to mean."""

import asyncio
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI

from gradio_apps.runtime.host.unlaunched_apps import app_in, serve


@pytest.fixture(scope="module")
def blocks() -> gr.Blocks:
    async def build() -> gr.Blocks:
        with gr.Blocks() as built:
            gr.Markdown("found")
        return built

    # In a running loop: outside of one, Gradio makes loops that it never closes.
    return asyncio.run(build())


class TestAppIn:
    def test_an_app_of_fastapi_goes_before_blocks_mounted_in_it(self, blocks: gr.Blocks) -> None:
        app = FastAPI()

        assert app_in({"demo": blocks, "app": app, "x": 1}) is app

    @pytest.mark.parametrize("name", ["demo", "app", "iface", "anything"])
    def test_blocks_under_any_name(self, blocks: gr.Blocks, name: str) -> None:
        assert app_in({name: blocks, "app_title": "x"}) is blocks

    def test_one_under_two_names_is_one(self, blocks: gr.Blocks) -> None:
        assert app_in({"first": blocks, "second": blocks}) is blocks

    def test_two_of_unknown_names_are_not_guessed_at(self) -> None:
        assert app_in({"first": FastAPI(), "second": FastAPI()}) is None

    def test_nothing_is_nothing(self) -> None:
        assert app_in({"demo": "not an app"}) is None


def test_what_cannot_launch_is_captured() -> None:
    class Ready:
        is_ready = False

        def ready(self) -> None:
            self.is_ready = True

    captured, seen = Ready(), []

    def capture(app: Any) -> Ready:
        seen.append(app)
        return captured

    app = FastAPI()
    serve(app, capture=capture)

    assert ([app], True) == (seen, captured.is_ready)
