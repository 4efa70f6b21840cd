"""Examples of everything that must work in a frame: an answer, a stream, an upload, a download, a plot.

An ordinary Gradio app that uses the portal only for a greeting.
"""

import hashlib
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pandas as pd  # type: ignore[import-untyped]  # pandas ships no types

from gradio_apps.look import look
from gradio_apps.visitor import visitor_of

TICK = 0.5
"""Seconds between two lines of the stream."""
_CHUNK = 1 << 20
_STREAMS = 20
"""Streams at once; with Gradio's default of one, the next person would wait for minutes."""


def greet(text: str, request: gr.Request) -> str:
    """Answer at once."""
    visitor = visitor_of(request)
    who = visitor.name or visitor.username if visitor else "stranger"
    return f"Hello {who}. You wrote {len(text.split())} words and {len(text)} characters."


def ticks(count: float) -> Iterator[str]:
    """Answer in pieces: a line every half second, the latest on top."""
    lines: list[str] = []
    for number in range(1, int(count) + 1):
        lines.insert(0, f"{time.strftime('%H:%M:%S')}  tick {number} of {int(count)}")
        yield "\n".join(lines)
        if number < int(count):
            time.sleep(TICK)


def describe(path: str | None) -> str:
    """Return the size and the SHA-256 of the file at *path*."""
    if path is None:
        return "No file yet."
    digest, size = hashlib.sha256(), 0
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return f"{Path(path).name}\n{size:,} bytes\nSHA-256 {digest.hexdigest()}"


def report(request: gr.Request) -> str:
    """Write a file to download, and return its path."""
    visitor = visitor_of(request)
    who = visitor.username if visitor else "nobody"
    path = Path(tempfile.mkdtemp()) / "report.csv"
    path.write_text(f"for,value\n{who},{sum(range(101))}\n", encoding="utf-8")
    return str(path)


def wave(frequency: float) -> pd.DataFrame:
    """Return a damped wave to plot."""
    moments = [number / 40 for number in range(241)]
    return pd.DataFrame(
        {
            "seconds": moments,
            "signal": [math.exp(-moment / 3) * math.sin(2 * math.pi * frequency * moment) for moment in moments],
        }
    )


def build() -> gr.Blocks:
    """Build the app."""
    with gr.Blocks(title="Showcase") as app:
        gr.Markdown("# Showcase\nEverything that must work in an app's frame, each on its own tab.")
        with gr.Tab("Answer"):
            text = gr.Textbox(label="Some words", value="The quick brown fox", elem_id="words")
            answer = gr.Textbox(label="Answer", interactive=False, elem_id="answer")
            gr.Button("Send", variant="primary", elem_id="send").click(greet, text, answer, api_name="greet")
        with gr.Tab("Stream"):
            count = gr.Slider(5, 600, value=20, step=5, label="Number of ticks, two per second", elem_id="count")
            with gr.Row():
                start = gr.Button("Start", variant="primary", elem_id="start")
                stop = gr.Button("Stop", elem_id="stop")
            stream = gr.Textbox(label="Ticks", lines=8, max_lines=8, interactive=False, elem_id="stream")
            running = start.click(ticks, count, stream, concurrency_limit=_STREAMS, api_name="ticks")
            stop.click(None, cancels=running)
        with gr.Tab("Upload"):
            file = gr.File(label="Any file", elem_id="file")
            facts = gr.Textbox(label="Received", lines=3, interactive=False, elem_id="facts")
            file.change(describe, file, facts, api_name="describe")
        with gr.Tab("Download"):
            gr.Markdown("A small CSV file with your name in it.")
            download = gr.DownloadButton("Download the report", variant="primary", elem_id="download")
            app.load(report, outputs=download, api_name="report")
        with gr.Tab("Plot"):
            frequency = gr.Slider(0.2, 4, value=1, step=0.1, label="Frequency in hertz", elem_id="frequency")
            plot = gr.LinePlot(wave(1), x="seconds", y="signal", height=320, elem_id="plot")
            frequency.release(wave, frequency, plot, api_name="wave")
    return app


if __name__ == "__main__":
    demo = build()
    demo.launch(**look())
