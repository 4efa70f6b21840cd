"""Gradio's own sign-in, and its documented way out: a button that leads to /logout."""

import gradio as gr


def hello(request: gr.Request):
    return f"Hello {request.username}"


with gr.Blocks() as demo:
    greeting = gr.Textbox(label="Greeting")
    demo.load(hello, None, greeting)
    gr.Button("Log out", link="/logout")

demo.launch(auth=[("visitor", "secret")])
