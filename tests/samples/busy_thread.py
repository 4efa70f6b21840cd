"""A daemon thread inside of a library in Rust, a file that stays open, and an exit handler."""

import atexit
import threading
import time
from pathlib import Path
from typing import Annotated

import gradio as gr
from pydantic import BaseModel, BeforeValidator


def slowly(value):
    time.sleep(0.02)
    return value


class Measurement(BaseModel):
    value: Annotated[float, BeforeValidator(slowly)]


def measure():
    while True:
        Measurement(value=1.0)


record = Path("record.txt").open("w")  # noqa: SIM115  stays open
record.write("measured\n")
atexit.register(record.write, "and ended\n")
threading.Thread(target=measure, daemon=True).start()
with gr.Blocks() as demo:
    gr.Textbox()
demo.launch()
