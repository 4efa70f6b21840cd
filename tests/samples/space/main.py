import gradio as gr

from portal import WHOSE
from portal.deeper import whose_too

with gr.Blocks() as demo:
    gr.Button().click(lambda: [WHOSE, whose_too(), __name__], None, gr.JSON(), api_name="whose")
