"""Whatever makes addresses of its own: pages, files up and down, streams, deep links, a LoginButton, a WebSocket."""

import tempfile
from pathlib import Path

import gradio as gr
from fastapi import WebSocket


def size(path):
    return len(Path(path).read_bytes())


def report():
    path = Path(tempfile.mkdtemp()) / "report.txt"
    path.write_text("all of it")
    return str(path)


def ticks():
    for number in range(3):
        yield f"tick {number}"


with gr.Blocks(title="Pathwise") as demo:
    gr.LoginButton()
    gr.DeepLinkButton()
    file, number, text = gr.File(), gr.Number(), gr.Textbox()
    gr.Button().click(size, file, number, api_name="size")
    gr.Button().click(report, None, gr.DownloadButton(), api_name="report")
    gr.Button().click(ticks, None, text, api_name="ticks")
with demo.route("Second", "/second"):
    gr.Markdown("The second page")
app, _, _ = demo.launch(prevent_thread_lock=True)


@app.websocket("/echo")
async def echo(connection: WebSocket):
    await connection.accept()
    await connection.send_text((await connection.receive_text()).upper())
    await connection.close()


demo.block_thread()
