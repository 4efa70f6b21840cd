"""An app whose page shows a stream from the moment it opens, until something ends it; and something quick."""

import secrets
import time
from collections.abc import Iterator

import gradio as gr


def ticks() -> Iterator[str]:
    name, tick = secrets.token_hex(4), 0
    while True:
        tick += 1
        yield f"{name} {tick}"
        time.sleep(0.25)


with gr.Blocks() as demo:
    latest = gr.Textbox(elem_id="latest")
    gr.Button("Clock").click(time.ctime, None, gr.Textbox(), api_name="clock")
    demo.load(ticks, None, latest, concurrency_limit=None, api_name="ticks")
demo.launch()
