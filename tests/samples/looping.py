"""prevent_thread_lock, a client to itself, a second launch, and a loop that goes on."""

import time

import gradio as gr
from gradio_client import Client

seen = []


def echo(text, request: gr.Request):
    seen.append(request.username)
    return f"{text} {request.username}"


demo = gr.Interface(echo, "text", "text", api_name="echo")
with gr.Blocks() as demo_again:
    gr.Button().click(lambda: [str(name) for name in seen], None, gr.JSON(), api_name="seen")

app, url, shared = demo.launch(prevent_thread_lock=True)
assert f":{demo.server_port}/" in url and shared is None
demo.launch(prevent_thread_lock=True)
print("itself:", Client(f"http://127.0.0.1:{demo.server_port}", verbose=False).predict("me", api_name="/echo"))
demo_again.launch(prevent_thread_lock=True)
try:
    while True:
        time.sleep(1)
finally:
    print("the loop has ended")
