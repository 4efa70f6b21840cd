"""No __main__ guard, a port and a login of its own, and something to tidy up after launch()."""

import os
import tempfile
from pathlib import Path

import gradio as gr


def greet(name: str, request: gr.Request) -> str:
    visitor = request.request.scope["portal.visitor"]
    return f"{name} {request.username} {visitor.name}"


def surroundings() -> dict[str, object]:
    secrets = [name for name in os.environ if name.startswith(("PORTAL_APP_SECRET", "LISTEN_"))]
    return {"cwd": os.getcwd(), "secrets": secrets, "folder_is_there": Path(folder).is_dir()}


with tempfile.TemporaryDirectory() as folder:
    with gr.Blocks() as demo:
        gr.Interface(greet, "text", "text", api_name="greet")
        gr.Button().click(surroundings, None, gr.JSON(), api_name="surroundings")
    demo.launch(server_port=7860, server_name="0.0.0.0", auth=("a", "b"), share=True, ssr_mode=True, num_workers=2)
print("launch() returned and the folder is tidied up")
