"""An app to be replaced while people use it: something quick, and something that goes on for a while."""

import os
import time
from collections.abc import Iterator

import gradio as gr


def double(number: float) -> str:
    return f"{2 * number:g} by {os.getpid()}"


def count(steps: float) -> Iterator[str]:
    for step in range(int(steps)):
        time.sleep(0.25)
        yield f"{step + 1} by {os.getpid()}"


with gr.Blocks() as demo:
    number, said = gr.Number(), gr.Textbox()
    gr.Button("Double").click(double, number, said, api_name="double", concurrency_limit=None)
    gr.Button("Count").click(count, number, said, api_name="count", concurrency_limit=None)
demo.launch()
