"""A workflow that would open a browser and print the token that lets one edit it; and prints the key of its figures."""

import gradio as gr


def shout(text: str) -> str:
    return text.upper()


gr.Workflow(bind={"shout": shout}).launch(None, True, quiet=False, enable_monitoring=True)
