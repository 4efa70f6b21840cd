"""Serves for as long as it is asked to, then crashes in its main thread."""

import threading

import gradio as gr

over = threading.Event()


def die() -> str:
    over.set()
    return "dying"


demo = gr.Interface(die, None, "text", api_name="die")
demo.launch(prevent_thread_lock=True)
over.wait()
raise RuntimeError("died later")
