"""A button for Hugging Face's sign-in, a token that may be missing and one that may not, and a link to /logout."""

import gradio as gr
from huggingface_hub.utils import build_hf_headers


def mine(token: gr.OAuthToken | None, profile: gr.OAuthProfile | None):
    sent = build_hf_headers(token=token.token if token else False)
    return f"{profile.name if profile else None} {token} {sent.get('authorization')}"


def must(token: gr.OAuthToken):
    return token.token


with gr.Blocks() as demo:
    gr.LoginButton()
    out = gr.Textbox(label="Greeting")
    demo.load(mine, None, out, api_name="mine")
    gr.Button("Must").click(must, None, out, api_name="must")
    gr.Button("Log out", link="/logout")

demo.launch()
