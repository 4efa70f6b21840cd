"""A service whose root answers with JSON, a page of its own called /launch, and the interface under /ui."""

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

with gr.Blocks() as demo:
    out = gr.Textbox(label="Greeting")
    demo.load(lambda: "mounted", None, out)
    gr.Button("Log out", link="/ui/logout")

app = FastAPI()


@app.get("/")
def home():
    return {"message": "the interface is at /ui"}


@app.get("/launch", response_class=HTMLResponse)
def launch():
    return "<h1>Lift-off</h1>"


app = gr.mount_gradio_app(app, demo, path="/ui")

if __name__ == "__main__":
    uvicorn.run(app, port=8000)
